// SPDX-License-Identifier: MIT
// Requests, as CivetWeb hands them on. An input is three lines and the body:
//   GET /api/metrics/workflows/trend
//   bucket=hour&limit=7
//   application/json
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "exporter/api/contract.h"
#include "exporter/api/problem.h"
#include "exporter/api/request.h"
#include "exporter/api/strict_json.h"

namespace {

using meshhook::api::Contract;
using meshhook::api::Operation;
using meshhook::api::Problem;

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << what << '\n';
  std::abort();
}

std::string_view TakeLine(std::string_view& text, char end) {
  const auto line = text.substr(0, text.find(end));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

// What the functions of the database rely on.
void CheckTaken(const Operation& operation, const Json::Value& arguments) {
  const auto& schemas = Contract::Own().schemas();
  size_t known = 0;
  for (const auto& parameter : operation.parameters) {
    if (!arguments.isMember(parameter.name)) {
      Check(!parameter.required, "what is required is not there");
      Check(!parameter.schema->isMember("default"), "a default is not there");
      continue;
    }
    ++known;
    Check(!schemas.FaultOf(arguments[parameter.name], *parameter.schema),
          "an argument is not as its schema says");
  }
  if (operation.body == nullptr) {
    Check(known == arguments.size(), "an argument is not known");
  } else {
    Check(!schemas.FaultOf(arguments, *operation.body),
          "the body is not as its schema says");
  }
  const auto line = meshhook::api::ToLine(arguments);
  Check(line.find('\n') == line.npos, "the arguments are not one line");
  Check(meshhook::api::ParseObject(line) == arguments,
        "the arguments are read as others");
}

// What a client is told.
void CheckRefused(const Problem& problem) {
  constexpr std::array kStatuses{400, 413, 414, 415};
  Check(std::find(kStatuses.begin(), kStatuses.end(), problem.status()) !=
            kStatuses.end(),
        "it is refused with another status");
  Check(problem.parameter().size() <= 64, "a stranger's text is repeated");
  const auto body = meshhook::api::ParseObject(ToText(problem));
  Check(body && (*body)["detail"] == problem.detail(),
        "the refusal is no object of JSON");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kGoOn = 0;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto method = TakeLine(rest, ' ');
  const auto path = TakeLine(rest, '\n');
  const auto match = Contract::Own().Find(method, path);
  if (match.operation == nullptr) return kGoOn;
  meshhook::api::Request request{.path_values = match.path_values};
  request.query = TakeLine(rest, '\n');
  request.content_type = TakeLine(rest, '\n');
  request.body = rest;
  try {
    CheckTaken(*match.operation,
               Arguments(*match.operation, request, Contract::Own()));
  } catch (const Problem& problem) {
    CheckRefused(problem);
  }
  return kGoOn;
}
