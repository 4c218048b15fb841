// SPDX-License-Identifier: MIT
#include "exporter/conninfo.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>

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

// Variables that hold a connection string; the first that is set counts.
const std::vector<std::string> kStandardUrls{"DATA_SOURCE_NAME", "DATABASE_URL",
                                             "DATA_SOURCE_URI"};

// The variables as they are now, for when their files are read again.
Environment Snapshot(const Environment& environment,
                     const std::vector<std::string>& urls) {
  std::map<std::string, std::string> known;
  std::vector<std::string> names = urls;
  names.insert(names.end(),
               {"DATA_SOURCE_USER", "DATA_SOURCE_PASS", "PGPASSWORD"});
  for (const auto& name : names) {
    for (const auto& variable : {name, name + "_FILE"}) {
      if (auto value = environment(variable)) known[variable] = *value;
    }
  }
  return [known = std::move(known)](
             const std::string& name) -> std::optional<std::string> {
    const auto found = known.find(name);
    if (found == known.end()) return std::nullopt;
    return found->second;
  };
}

// Of PGPASSWORD_FILE, where there is no other.
void AddPassword(const Environment& environment,
                 Conninfo::Parameters& parameters) {
  for (const auto& [keyword, value] : parameters) {
    if (keyword == "password" && !value.empty()) return;
  }
  if (environment("PGPASSWORD")) return;  // libpq reads that itself
  if (auto password = Value(environment, "PGPASSWORD")) {
    parameters.emplace_back("password", *password);
  }
}

struct Read {
  std::string source;
  Conninfo::Parameters parameters;
};

Read ReadFrom(const Environment& environment,
              const std::vector<std::string>& urls) {
  Read read;
  std::string text;
  for (const auto& name : urls) {
    if (auto value = Value(environment, name)) {
      read.source = name;
      text = read.source == "DATA_SOURCE_URI" ? Assemble(environment, *value)
                                              : *value;
      break;
    }
  }
  if (read.source.empty()) {
    read.source = "libpq's variables (PGHOST, PGUSER, …)";
    AddPassword(environment, read.parameters);
    return read;
  }

  // libpq's message repeats parts of the text, and so perhaps a password.
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(text.c_str(), nullptr));
  if (!options || PasswordSpilled(text, options.get())) {
    throw UsageError(
        read.source + " is not a valid connection string",
        "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, with "
        "special characters in the password percent-encoded (@ is %40, / is "
        "%2F, : is %3A)");
  }
  for (const PQconninfoOption* option = options.get(); option->keyword;
       ++option) {
    if (option->val != nullptr) {
      read.parameters.emplace_back(option->keyword, option->val);
    }
  }
  AddPassword(environment, read.parameters);
  return read;
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

struct Conninfo::Shared {
  Environment environment;
  std::vector<std::string> urls;  // variables
  std::mutex mutex;
  Parameters parameters;
  std::vector<std::string> secrets;  // the longest first

  void Take(Parameters fresh) {
    for (const auto& [keyword, value] : fresh) {
      if ((keyword != "password" && keyword != "sslpassword") ||
          value.empty() ||
          std::find(secrets.begin(), secrets.end(), value) != secrets.end()) {
        continue;
      }
      secrets.push_back(value);
    }
    // One may begin with another, which would leave its end to be read.
    std::stable_sort(secrets.begin(), secrets.end(),
                     [](const auto& one, const auto& other) {
                       return one.size() > other.size();
                     });
    parameters = std::move(fresh);
  }
};

Conninfo Conninfo::FromEnvironment(const Environment& environment) {
  return From(environment, kStandardUrls);
}

Conninfo Conninfo::FromVariable(const Environment& environment,
                                const std::string& variable) {
  if (!Value(environment, variable)) {
    throw UsageError(variable + " is not set",
                     "set it, or " + variable +
                         "_FILE, to the connection string of a login that is "
                         "for this alone");
  }
  return From(environment, {variable});
}

Conninfo Conninfo::From(const Environment& environment,
                        const std::vector<std::string>& urls) {
  auto read = ReadFrom(environment, urls);
  Conninfo conninfo;
  conninfo.shared_ = std::make_shared<Shared>();
  conninfo.shared_->environment = Snapshot(environment, urls);
  conninfo.shared_->urls = urls;
  conninfo.shared_->Take(std::move(read.parameters));
  conninfo.source_ = std::move(read.source);
  return conninfo;
}

Conninfo::Parameters Conninfo::parameters() const {
  Parameters parameters;
  {
    const std::lock_guard lock(shared_->mutex);
    parameters = shared_->parameters;
  }
  if (!database_.empty()) {
    std::erase_if(parameters, [](const auto& parameter) {
      return parameter.first == "dbname";
    });
    parameters.emplace_back("dbname", database_);
  }
  return parameters;
}

std::optional<Conninfo::Parameters> Conninfo::Renewed(
    const Parameters& used) const {
  auto read = ReadFrom(shared_->environment, shared_->urls);
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->Take(std::move(read.parameters));
  }
  auto fresh = parameters();
  if (fresh == used) return std::nullopt;
  return fresh;
}

Conninfo Conninfo::ForDatabase(const std::string& name) const {
  Conninfo other = *this;
  other.database_ = name;
  return other;
}

std::string Conninfo::Redact(std::string text) const {
  const std::lock_guard lock(shared_->mutex);
  for (const auto& secret : shared_->secrets) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

}  // namespace meshhook
