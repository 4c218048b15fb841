// SPDX-License-Identifier: MIT
// The API, in this process, over a database with two tenants.
#pragma once

#include <json/value.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "exporter/api/server.h"
#include "tests/support/database.h"
#include "tests/support/folder.h"
#include "tests/support/http_client.h"
#include "tests/support/tokens.h"

namespace test {

// Users, their projects and their workflows. Ada has two projects: of the three
// workflows the last never ran. Bob has one of two.
inline constexpr auto kAda = "00000000-0000-4000-8000-00000000000a";
inline constexpr auto kBob = "00000000-0000-4000-8000-00000000000b";
inline constexpr auto kShop = "10000000-0000-4000-8000-0000000000a1";
inline constexpr auto kBlog = "10000000-0000-4000-8000-0000000000a2";
inline constexpr auto kBakery = "10000000-0000-4000-8000-0000000000b1";
inline constexpr auto kImport = "20000000-0000-4000-8000-0000000000a1";
inline constexpr auto kInvoices = "20000000-0000-4000-8000-0000000000a2";
inline constexpr auto kPublish = "20000000-0000-4000-8000-0000000000a3";
inline constexpr auto kBake = "20000000-0000-4000-8000-0000000000b1";
inline constexpr auto kDeliver = "20000000-0000-4000-8000-0000000000b2";

inline constexpr auto kSecret = "a secret of the tests, of 32 bytes and more";

// Each workflow but kPublish has twelve runs on each of five days, which begin
// six days before today in UTC, and six in the last hour: some failed, some
// canceled, all with steps. All of them are folded and refreshed.
class Api {
 public:
  // The options may be changed before the server starts. They allow so many
  // requests a second that a test meets no limit unless it wants to.
  explicit Api(
      const std::function<void(meshhook::api::ServerOptions&)>& adjust = {});

  int port() const { return server_->Ports().front(); }
  meshhook::api::Server& server() { return *server_; }
  // Serves from now on over sessions of that login, or database.
  void Serve(const meshhook::Conninfo& conninfo);
  // No more answers.
  void Stop() { server_.reset(); }

  // Tokens.
  std::string Ada() const { return User(kAda); }
  std::string Bob() const { return User(kBob); }
  std::string User(const std::string& id) const;
  std::string Operator() const;
  const Signer& signer() const { return signer_; }

  // A token of "" is none; a body of "" is none.
  HttpResponse Ask(const std::string& method, const std::string& path,
                   const std::string& token, const std::string& body = "",
                   std::vector<std::string> headers = {}) const;
  HttpResponse Get(const std::string& path, const std::string& token) const;
  HttpResponse Post(const std::string& path, const std::string& token,
                    const std::string& body) const;
  HttpResponse Delete(const std::string& path, const std::string& token) const;
  // What a GET answers, which must be 200.
  Json::Value Read(const std::string& path, const std::string& token) const;

  // Folds and refreshes everything.
  void Refresh();

  Database db;

 private:
  const Folder folder_;
  const Signer signer_ = Signer::Secret(kSecret);
  meshhook::api::ServerOptions options_;
  std::optional<meshhook::api::Server> server_;
};

// Makes metrics.FUNCTION(request jsonb) do something else for those who may
// call it: the body of a function in PL/pgSQL that returns jsonb.
void Replace(Database& db, const std::string& function,
             const std::string& body);

// Throws std::runtime_error where the text is not JSON.
Json::Value JsonOf(const std::string& text);
inline Json::Value JsonOf(const HttpResponse& response) {
  return JsonOf(response.body);
}

}  // namespace test
