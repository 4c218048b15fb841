// SPDX-License-Identifier: MIT
#include "exporter/conninfo.h"

#include <libpq-fe.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "exporter/errors.h"

namespace meshhook {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

// A secret file's content without the newline that editors put at its end.
std::string ReadSecret(const std::string& variable, const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  std::string secret = content.str();
  secret.erase(secret.find_last_not_of("\r\n") + 1);
  if (!file || secret.empty()) {
    throw UsageError(
        "cannot read the file that " + variable + " names: " + path,
        "check that the file exists, is not empty and is "
        "readable by this user");
  }
  return secret;
}

// The variable's value, or the content of the file that NAME_FILE names.
std::optional<std::string> Value(const Environment& environment,
                                 const std::string& name) {
  if (auto value = environment(name); value && !value->empty()) return value;
  if (auto path = environment(name + "_FILE"); path && !path->empty()) {
    return ReadSecret(name + "_FILE", *path);
  }
  return std::nullopt;
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

// DATA_SOURCE_URI with its user and password put in.
std::string Assemble(const Environment& environment, const std::string& uri) {
  std::string who;
  if (auto user = Value(environment, "DATA_SOURCE_USER")) {
    who = PercentEncode(*user);
    if (auto password = Value(environment, "DATA_SOURCE_PASS")) {
      who += ":" + PercentEncode(*password);
    }
    who += "@";
  }
  return "postgresql://" + who + uri;
}

// Whether a URI's password holds an @ or a / as it is: libpq then takes the
// rest of it for the host, the port or the database, and would repeat it in
// the message that there is none such. An @ may begin an abstract socket.
bool PasswordSpilled(const std::string& text, const PQconninfoOption* option) {
  if (text.rfind("postgres", 0) != 0) return false;
  for (; option->keyword; ++option) {
    const std::string_view keyword = option->keyword;
    const std::string_view value = option->val == nullptr ? "" : option->val;
    if (((keyword == "host" || keyword == "dbname") &&
         value.find('@', 1) != value.npos) ||
        (keyword == "port" &&
         value.find_first_not_of("0123456789,") != value.npos)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Conninfo Conninfo::FromEnvironment(const Environment& environment) {
  Conninfo conninfo;
  std::string text;
  for (const char* name :
       {"DATA_SOURCE_NAME", "DATABASE_URL", "DATA_SOURCE_URI"}) {
    if (auto value = Value(environment, name)) {
      conninfo.source_ = name;
      text = conninfo.source_ == "DATA_SOURCE_URI"
                 ? Assemble(environment, *value)
                 : *value;
      break;
    }
  }
  if (conninfo.source_.empty()) {
    conninfo.source_ = "libpq's variables (PGHOST, PGUSER, …)";
    conninfo.AddPassword(environment);
    return conninfo;
  }

  // libpq's message repeats parts of the text, and so perhaps a password.
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(text.c_str(), nullptr));
  if (!options || PasswordSpilled(text, options.get())) {
    throw UsageError(
        conninfo.source_ + " is not a valid connection string",
        "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, with "
        "special characters in the password percent-encoded (@ is %40, / is "
        "%2F, : is %3A)");
  }
  for (const PQconninfoOption* option = options.get(); option->keyword;
       ++option) {
    if (option->val != nullptr) {
      conninfo.parameters_.emplace_back(option->keyword, option->val);
    }
  }
  conninfo.AddPassword(environment);
  return conninfo;
}

void Conninfo::AddPassword(const Environment& environment) {
  for (const auto& [keyword, value] : parameters_) {
    if (keyword == "password" && !value.empty()) return;
  }
  if (environment("PGPASSWORD")) return;  // libpq reads that itself
  if (auto password = Value(environment, "PGPASSWORD")) {
    parameters_.emplace_back("password", *password);
  }
}

Conninfo Conninfo::ForDatabase(const std::string& name) const {
  Conninfo other = *this;
  std::erase_if(other.parameters_, [](const auto& parameter) {
    return parameter.first == "dbname";
  });
  other.parameters_.emplace_back("dbname", name);
  return other;
}

std::string Conninfo::Redact(std::string text) const {
  for (const auto& [keyword, value] : parameters_) {
    if ((keyword != "password" && keyword != "sslpassword") || value.empty()) {
      continue;
    }
    for (size_t at = text.find(value); at != std::string::npos;
         at = text.find(value, at + 3)) {
      text.replace(at, value.size(), "***");
    }
  }
  return text;
}

}  // namespace meshhook
