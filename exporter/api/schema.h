// SPDX-License-Identifier: MIT
// The part of JSON Schema that the API's document uses.
#pragma once

#include <json/value.h>

#include <optional>
#include <string>
#include <string_view>

namespace meshhook::api {

// What is wrong with a value.
struct Fault {
  std::string where;  // the member at fault, as in "range.start_date", or ""
  std::string what;   // "must be an integer from 1 to 200"
};

// Schemas of one document. Thread-safe; refers to the document.
class Schemas {
 public:
  // Throws std::logic_error where a schema of the document says what is not
  // checked here: a promise that nobody keeps.
  explicit Schemas(const Json::Value& document);

  // The schema itself, or what it refers to by $ref.
  const Json::Value& Resolved(const Json::Value& schema) const;

  std::optional<Fault> FaultOf(const Json::Value& value,
                               const Json::Value& schema) const;

  // A URL's text as a value of the schema's type, which then is to be checked;
  // text that is not of that type stays text.
  Json::Value FromText(const std::string& text,
                       const Json::Value& schema) const;

 private:
  const Json::Value& document_;
};

// RFC 3339, in years and zones that PostgreSQL has.
bool IsDateTime(std::string_view text);
bool IsUuid(std::string_view text);

}  // namespace meshhook::api
