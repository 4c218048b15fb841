// SPDX-License-Identifier: MIT
#include "exporter/api/token.h"

#include <jwt.h>
#include <openssl/err.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

#include "exporter/api/base64url.h"
#include "exporter/api/strict_json.h"

namespace meshhook::api {
namespace {

using std::chrono::system_clock;

constexpr size_t kLongestSubject = 255;
// The clock's own type ends in the year 2262.
constexpr double kLatest = 9e9;

[[noreturn]] void Refuse(const char* reason) {
  throw TokenError(TokenError::Why::kRefused, reason);
}

Json::Value Part(std::string_view encoded, const char* fault) {
  const auto text = DecodeBase64Url(encoded);
  auto object = text ? ParseObject(*text) : std::nullopt;
  if (!object) Refuse(fault);
  return *std::move(object);
}

// nullopt where it is not there.
std::optional<std::string> Text(const Json::Value& object, const char* name,
                                const char* fault) {
  if (!object.isMember(name)) return std::nullopt;
  if (!object[name].isString()) Refuse(fault);
  return object[name].asString();
}

std::optional<double> Number(const Json::Value& object, const char* name,
                             const char* fault) {
  if (!object.isMember(name)) return std::nullopt;
  if (!object[name].isNumeric()) Refuse(fault);
  return object[name].asDouble();
}

const Key& KeyFor(const Json::Value& header, const KeySet& keys) {
  const auto name = Text(header, "alg", "its algorithm is not a string");
  const auto algorithm = name ? AlgorithmNamed(*name) : std::nullopt;
  if (!algorithm) Refuse("its algorithm is none that is taken");
  // Extensions that must be understood, and none is.
  if (header.isMember("crit")) Refuse("it has a header `crit`");
  return keys.Find(Text(header, "kid", "its `kid` is not a string"),
                   *algorithm);
}

// libjwt goes by the algorithm that the header names, so it must have found
// there what was found before, which is the key's.
bool Signed(const std::string& token, const Key& key) {
  struct Free {
    void operator()(jwt_t* jwt) const { jwt_free(jwt); }
  };
  jwt_t* read = nullptr;
  const int failed =
      jwt_decode(&read, token.c_str(),
                 reinterpret_cast<const unsigned char*>(key.material.data()),
                 static_cast<int>(key.material.size()));
  const std::unique_ptr<jwt_t, Free> jwt(read);
  // Others who use OpenSSL in this thread would take them for their own.
  ERR_clear_error();
  const auto expected = key.algorithm == Algorithm::kHs256   ? JWT_ALG_HS256
                        : key.algorithm == Algorithm::kEs256 ? JWT_ALG_ES256
                                                             : JWT_ALG_RS256;
  return failed == 0 && jwt != nullptr && jwt_get_alg(jwt.get()) == expected;
}

// The time when it ends.
system_clock::time_point CheckTimes(const Json::Value& claims,
                                    std::chrono::seconds leeway,
                                    system_clock::time_point now) {
  using Seconds = std::chrono::duration<double>;
  const double seconds = Seconds(now.time_since_epoch()).count();
  const double tolerance = Seconds(leeway).count();
  const auto expires = Number(claims, "exp", "its `exp` is not a number");
  const auto begins = Number(claims, "nbf", "its `nbf` is not a number");
  const auto issued = Number(claims, "iat", "its `iat` is not a number");
  if (!expires) Refuse("it has no `exp`");
  if (seconds >= *expires + tolerance) Refuse("it has expired");
  if (begins && seconds < *begins - tolerance) Refuse("it is not valid yet");
  if (issued && seconds < *issued - tolerance) {
    Refuse("it was issued in the future");
  }
  return system_clock::time_point(
      std::chrono::duration_cast<system_clock::duration>(
          Seconds(std::min(*expires, kLatest))));
}

bool IsText(const Json::Value& value) { return value.isString(); }

void CheckAudience(const Json::Value& claims, const std::string& audience,
                   bool may_lack) {
  const Json::Value& value = claims["aud"];
  if (!claims.isMember("aud")) {
    if (audience.empty() || may_lack) return;
    Refuse("it has no `aud`");
  }
  if (!value.isString() &&
      !(value.isArray() && std::all_of(value.begin(), value.end(), IsText))) {
    Refuse("its `aud` is neither a string nor an array of them");
  }
  const auto meant = [&audience](const Json::Value& one) {
    return one.asString() == audience;
  };
  const bool found = value.isString()
                         ? meant(value)
                         : std::any_of(value.begin(), value.end(), meant);
  if (!audience.empty() && !found) Refuse("it is for another audience");
}

void CheckIssuer(const Json::Value& claims, const std::string& issuer) {
  const auto value = Text(claims, "iss", "its `iss` is not a string");
  if (!issuer.empty() && value != issuer) Refuse("it is of another issuer");
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-'
               : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

Caller Verify(std::string_view token, const KeySet& keys,
              const TokenRules& rules, system_clock::time_point now) {
  if (token.size() > kLongestToken) Refuse("it is too long");
  const size_t first = token.find('.');
  const size_t second = token.find('.', first + 1);
  if (first == token.npos || second == token.npos) {
    Refuse("it does not have three parts");
  }
  const auto header = token.substr(0, first);
  const auto payload = token.substr(first + 1, second - first - 1);
  // libjwt is given nothing but well-formed base64url: it overlooks much, and
  // writes beyond the memory that it takes for an empty part.
  if (payload.empty() || !DecodeBase64Url(payload) ||
      !DecodeBase64Url(token.substr(second + 1))) {
    Refuse("it is not base64url");
  }
  const Key& key =
      KeyFor(Part(header, "its header is not an object in JSON"), keys);
  if (!Signed(std::string(token), key)) Refuse("its signature is not valid");

  const auto claims = Part(payload, "its claims are not an object in JSON");
  Caller caller{.role = "", .subject = "", .claims = "", .expires = {}};
  caller.expires = CheckTimes(claims, rules.leeway, now);
  CheckIssuer(claims, rules.issuer);
  caller.role = Text(claims, "role", "its `role` is not a string").value_or("");
  const bool service = caller.role == "service_role";
  if (!service && caller.role != "authenticated") {
    Refuse("its `role` is neither authenticated nor service_role");
  }
  CheckAudience(claims, rules.audience, /*may_lack=*/service);
  caller.subject = Text(claims, "sub", "its `sub` is not a string")
                       .value_or(service ? "service_role" : "");
  if (!service && !IsUuid(caller.subject)) Refuse("its `sub` is not a UUID");
  if (caller.subject.empty() || caller.subject.size() > kLongestSubject) {
    Refuse("its `sub` is empty or too long");
  }
  caller.claims = ToLine(claims);
  return caller;
}

}  // namespace meshhook::api
