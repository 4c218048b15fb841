// SPDX-License-Identifier: MIT
// A request, checked against the document.
#pragma once

#include <json/value.h>

#include <map>
#include <string>
#include <string_view>

#include "exporter/api/contract.h"

namespace meshhook::api {

inline constexpr size_t kMostBody = 16u << 10;  // bytes
inline constexpr size_t kMostQuery = 4096;

// What a client sent that says what it wants.
struct Request {
  std::map<std::string, std::string> path_values = {};
  std::string_view query = {};  // what follows the ?, as it came
  std::string_view content_type = {};
  std::string_view body = {};
};

// Every parameter that was given, and the defaults of the others, with the
// types that the document gives them. Throws Problem: 400 with the parameter's
// name, 413, 414 or 415.
Json::Value Arguments(const Operation& operation, const Request& request,
                      const Contract& contract);

}  // namespace meshhook::api
