// SPDX-License-Identifier: MIT
#include "exporter/api/flags.h"

#include <string>

#include "exporter/errors.h"
#include "exporter/flags.h"

namespace meshhook::api {
namespace {

constexpr auto kGroup = "The JSON API";

// As a browser sends it: no path, no / at the end, no pattern.
std::string OriginFault(const std::string& origin) {
  for (const std::string scheme : {"https://", "http://"}) {
    if (origin.rfind(scheme, 0) != 0) continue;
    const auto host = origin.substr(scheme.size());
    const bool plain =
        !host.empty() &&
        host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:[]") ==
            std::string::npos;
    return plain ? ""
                 : "must be as a browser sends it, as in "
                   "https://console.example.com: lower case, no path, no *";
  }
  return "must begin with https:// or http://";
}

std::string UrlFault(const std::string& url) {
  return url.rfind("https://", 0) == 0 || url.rfind("http://", 0) == 0
             ? ""
             : "must begin with https:// or http://";
}

// CLI::Range takes what is no number at all.
std::string NumberFault(const std::string& text) {
  return CLI::detail::to_lower(text).find("nan") == text.npos
             ? ""
             : "must be a number";
}

}  // namespace

void AddFlags(CLI::App& app, ServerOptions& options) {
  const auto add = [&app](const std::string& flag, auto& value,
                          const std::string& help) {
    return AddFlag(app, "api." + flag, value, help)->group(kGroup);
  };
  add("listen-address", options.listen_addresses,
      "where to serve the JSON API, on a port that is not the metrics'; off "
      "unless given; repeatable")
      ->delimiter(',')
      ->allow_extra_args(false);
  add("jwt-secret-file", options.auth.secret_file,
      "file with the secret of tokens signed by HS256");
  add("jwks-file", options.auth.jwks_file,
      "file with the public keys of tokens signed by ES256 or RS256, a JWKS");
  add("jwks-url", options.auth.jwks_url,
      "the same from a URL, as in "
      "https://PROJECT.supabase.co/auth/v1/.well-known/jwks.json")
      ->check(UrlFault);
  add("jwt-audience", options.rules.audience,
      "what a token must be for; \"\": any");
  add("jwt-issuer", options.rules.issuer,
      "who must have made a token; \"\": any");
  add("cors-origin", options.cors_origins,
      "whose pages may ask from a browser, as in https://console.example.com; "
      "repeatable")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(OriginFault);
  add("requests-per-second", options.requests_per_second,
      "of one caller; twice as many at once")
      ->check(CLI::Range(0.1, 100'000.0))
      ->check(NumberFault);
  add("max-connections", options.pool.connections,
      "most sessions for requests; two more are for the audit and the stream")
      ->check(CLI::Range(1, 100));
  add("max-waiting", options.pool.waiting,
      "most requests that wait for one of them; others get 503")
      ->check(CLI::Range(0, 1000));
  add("max-listeners", options.listeners, "most listeners of the stream")
      ->check(CLI::Range(1, 1000));
}

void CheckFlags(const ServerOptions& options) {
  if (options.listen_addresses.empty()) {
    if (options.auth.empty()) return;
    throw UsageError("there are keys for the API, and nowhere to serve it",
                     "add --api.listen-address, as in "
                     "--api.listen-address=127.0.0.1:9188");
  }
  if (options.auth.empty()) {
    throw UsageError("the API has no keys to check tokens with",
                     "add --api.jwt-secret-file, --api.jwks-file or "
                     "--api.jwks-url");
  }
}

}  // namespace meshhook::api
