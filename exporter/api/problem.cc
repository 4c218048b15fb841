// SPDX-License-Identifier: MIT
#include "exporter/api/problem.h"

#include <json/value.h>

#include "exporter/api/strict_json.h"

namespace meshhook::api {

const char* StatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Bad Request" : "Internal Server Error";
  }
}

std::string ToText(const Problem& problem) {
  Json::Value body;
  body["type"] = "about:blank";
  body["title"] = StatusText(problem.status());
  body["status"] = problem.status();
  body["detail"] = problem.detail();
  if (!problem.parameter().empty()) body["parameter"] = problem.parameter();
  return ToLine(body);
}

}  // namespace meshhook::api
