// SPDX-License-Identifier: MIT
// The API's sessions: nothing of one request is there for the next, and what
// happens when they are all taken, ended, slow or of the wrong role.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "exporter/api/pool.h"
#include "tests/support/api.h"
#include "tests/support/pgbouncer.h"
#include "tests/support/process.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::Conninfo;
using meshhook::api::Caller;
using meshhook::api::Pool;
using meshhook::api::Problem;
using meshhook::api::ServerOptions;
using test::Api;
using test::Await;
using test::Database;
using test::HttpResponse;
using test::JsonOf;

constexpr auto kLogin = "meshhook_api";

// What a session is, as it stands.
constexpr auto kSession = R"(jsonb_build_object(
    'pid', pg_backend_pid(), 'user', session_user,
    'role', current_setting('role'),
    'claims', coalesce(current_setting('request.jwt.claims', true), ''),
    'read_only', current_setting('transaction_read_only'),
    'statement_timeout', current_setting('statement_timeout'),
    'lock_timeout', current_setting('lock_timeout'),
    'search_path', current_setting('search_path'),
    'timezone', current_setting('TimeZone')))";

Caller CallerOf(const std::string& role, const std::string& subject) {
  Json::Value claims;
  claims["sub"] = subject;
  claims["role"] = role;
  return {.role = role,
          .subject = subject,
          .claims = test::Text(claims),
          .expires = {}};
}

Pool::Call Call(const std::string& sql, bool writes = false) {
  return {.query = {sql, {}}, .writes = writes};
}

// The status of what the pool refuses; 200 where it does not.
int StatusOf(Pool& pool, const Caller& caller, const Pool::Call& call) {
  try {
    pool.AsCaller(caller, call);
    return 200;
  } catch (const Problem& problem) {
    return problem.status();
  } catch (const meshhook::pg::Error&) {
    return 500;
  }
}

// Every way for a call to end.
const std::vector<std::pair<std::string, int>> kEnds{
    {"SELECT 1", 200},
    {"SELECT 1 / 0", 500},
    {"SELECT pg_catalog.pg_sleep(60)", 503},  // the statement timeout
    {"SELECT metrics.fold()", 403},
    {"SELECT nothing FROM nowhere", 500},
    {"this is no SQL", 500},
    {"SELECT set_config('role', 'none', false)", 200},
    {"SELECT set_config('request.jwt.claims', '{\"sub\": \"x\"}', false)", 200},
};

class ApiPool : public testing::Test {
 protected:
  Json::Value SessionOf(Pool& pool) {
    return JsonOf(
        pool.AsLogin(Call(std::string("SELECT ") + kSession)).value());
  }
  const Caller ada_ = CallerOf("authenticated", test::kAda);
  const Caller operator_ = CallerOf("service_role", "service_role");
};

TEST_F(ApiPool, SetsRoleClaimsAndLimitsForACall) {
  Database db;
  Pool pool(db.Conninfo(kLogin), {.connections = 1});
  const auto session = JsonOf(
      pool.AsCaller(ada_, Call(std::string("SELECT ") + kSession)).value());
  EXPECT_EQ(session["user"], kLogin);
  EXPECT_EQ(session["role"], "authenticated");
  EXPECT_EQ(JsonOf(session["claims"].asString())["sub"], test::kAda);
  EXPECT_EQ(session["read_only"], "on");
  EXPECT_EQ(session["statement_timeout"], "2s");
  EXPECT_EQ(session["lock_timeout"], "500ms");
  EXPECT_EQ(session["timezone"], "UTC");
  // An operator's token is not the role that passes over row security.
  EXPECT_EQ(
      JsonOf(pool.AsCaller(operator_, Call(std::string("SELECT ") + kSession))
                 .value())["role"],
      "meshhook_operator");
  EXPECT_EQ(
      JsonOf(pool.AsCaller(ada_, Call(std::string("SELECT ") + kSession, true))
                 .value())["read_only"],
      "off");
}

TEST_F(ApiPool, LeavesNothingForTheNextCall) {
  Database db;
  Pool pool(db.Conninfo(kLogin), {.connections = 1});
  const auto before = SessionOf(pool);
  EXPECT_EQ(before["role"], "none");
  EXPECT_EQ(before["claims"], "");
  for (const auto& [sql, status] : kEnds) {
    EXPECT_EQ(StatusOf(pool, ada_, Call(sql, true)), status) << sql;
    auto after = SessionOf(pool);
    if (sql.find("false)") == sql.npos) {
      EXPECT_EQ(test::Text(after), test::Text(before))
          << sql;  // by the same process of the server's
    }
    // Even what a call sets for longer than itself does not reach a caller.
    const auto bob = CallerOf("authenticated", test::kBob);
    const auto next = JsonOf(
        pool.AsCaller(bob, Call(std::string("SELECT ") + kSession)).value());
    EXPECT_EQ(next["role"], "authenticated") << sql;
    EXPECT_EQ(JsonOf(next["claims"].asString())["sub"], test::kBob) << sql;
    EXPECT_EQ(db.Exec("SELECT string_agg(DISTINCT state, ' ') "
                      "FROM pg_stat_activity WHERE usename = 'meshhook_api' "
                      "AND datname = current_database()",
                      test::kSuperuser),
              "idle")
        << sql;
  }
}

TEST_F(ApiPool, LeavesNothingForOthersBehindATransactionPooler) {
  Database db;
  test::PgBouncer bouncer(test::ClusterPort());
  Pool pool(test::ConninfoOf(bouncer.Url(kLogin, db.name())),
            {.connections = 4});
  // Each of the pooler's few connections, as whoever comes next finds it.
  auto other = meshhook::pg::Connection::Open(
      test::ConninfoOf(bouncer.Url(kLogin, db.name())), Clock::now() + 10s);
  for (const auto& [sql, status] : kEnds) {
    if (sql.find("false)") != sql.npos) continue;
    EXPECT_EQ(StatusOf(pool, ada_, Call(sql)), status) << sql;
    EXPECT_EQ(StatusOf(pool, operator_, Call(sql)), status) << sql;
    const auto session =
        JsonOf(test::Exec(other, std::string("SELECT ") + kSession));
    EXPECT_EQ(session["role"], "none") << sql;
    EXPECT_EQ(session["claims"], "") << sql;
    EXPECT_EQ(session["read_only"], "off") << sql;
    EXPECT_EQ(session["statement_timeout"], "0") << sql;
  }
}

TEST_F(ApiPool, CannotWriteByAGet) {
  Api api;
  const std::string write =
      "BEGIN UPDATE metrics.retention SET period = '1000 days'; RETURN '{}'; "
      "END";
  api.db.Exec("GRANT UPDATE, SELECT ON metrics.retention TO authenticated");
  const auto kept = [&] {
    return api.db.Exec(
        "SELECT jsonb_agg(r ORDER BY r) FROM metrics.retention AS r");
  };
  const auto before = kept();
  test::Replace(api.db, "api_overview", write);
  EXPECT_EQ(api.Get("/api/metrics", api.Ada()).status, 500);
  EXPECT_EQ(kept(), before);
  // It is the method that makes the difference.
  test::Replace(api.db, "api_remove_alert", write);
  EXPECT_EQ(api.Delete(std::string("/api/metrics/alerts?threshold_id=") +
                           test::kImport,
                       api.Ada())
                .status,
            204);
  EXPECT_NE(kept(), before);
}

// Sessions of the API that wait for a lock.
long Waiting(Database& db) {
  return std::stol(
      db.Exec("SELECT count(*) FROM pg_stat_activity "
              "WHERE usename = 'meshhook_api' AND wait_event_type = 'Lock' "
              "AND datname = current_database()",
              test::kSuperuser));
}

void ExpectBusy(const HttpResponse& response) {
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.at("retry-after"), "1");
  EXPECT_EQ(JsonOf(response)["status"], 503);
}

TEST_F(ApiPool, IsFullAtOnceAndSaysSo) {
  Api api([](ServerOptions& options) {
    options.pool = {.connections = 2, .waiting = 0};
  });
  EXPECT_EQ(api.Get("/api/metrics", api.Ada()).status, 200);
  auto holder = api.db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.workflow_run_metrics");
  const auto ask = [&](const std::string& token) {
    return std::async(std::launch::async,
                      [&api, token] { return api.Get("/api/metrics", token); });
  };
  auto first = ask(api.Ada());
  ASSERT_TRUE(Await([&] { return Waiting(api.db) == 1; }));
  // Half of them are the most that one caller may have.
  ExpectBusy(api.Get("/api/metrics/workflows/summary", api.Ada()));
  auto second = ask(api.Operator());
  ASSERT_TRUE(Await([&] { return Waiting(api.db) == 2; }));
  const auto started = Clock::now();
  ExpectBusy(api.Get("/api/metrics", api.Bob()));
  EXPECT_LT(Clock::now() - started, 200ms);
  // What needs no session is served all the same.
  EXPECT_EQ(api.Get("/api/openapi.json", "").status, 200);
  EXPECT_EQ(api.Get("/api/metrics", "").status, 401);
  // Those that waited for the lock have waited long enough.
  ExpectBusy(first.get());
  ExpectBusy(second.get());
  EXPECT_LT(Clock::now() - started, 2s);
  test::Exec(holder, "ROLLBACK");
  EXPECT_EQ(api.Get("/api/metrics", api.Ada()).status, 200);
}

TEST_F(ApiPool, LetsAFewWaitForASession) {
  Api api([](ServerOptions& options) {
    options.pool = {.connections = 1, .waiting = 1};
  });
  test::Replace(api.db, "api_overview",
                "BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN '{}'; END");
  const auto ask = [&] {
    return std::async(std::launch::async,
                      [&] { return api.Get("/api/metrics", api.Ada()); });
  };
  auto first = ask();
  auto second = ask();
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(second.get().status, 200);
}

TEST_F(ApiPool, EndsACallThatTakesTooLong) {
  Api api([](ServerOptions& options) { options.pool.connections = 1; });
  test::Replace(api.db, "api_overview",
                "BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN '{}'; END");
  const auto started = Clock::now();
  ExpectBusy(api.Get("/api/metrics", api.Ada()));
  EXPECT_LT(Clock::now() - started, 2900ms);
  EXPECT_EQ(api.Get("/api/metrics/workflows/summary", api.Ada()).status, 200);
  EXPECT_EQ(api.db.Exec("SELECT count(*) FROM pg_stat_activity "
                        "WHERE wait_event = 'PgSleep' "
                        "AND datname = current_database()",
                        test::kSuperuser),
            "0");
}

TEST_F(ApiPool, MakesNewSessionsWhereTheOldOnesWereEnded) {
  Api api;
  const auto sessions = [&] {
    return api.db.Exec(
        "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity "
        "WHERE usename = 'meshhook_api' AND datname = current_database()",
        test::kSuperuser);
  };
  // Some at a time, so that there are several idle ones.
  std::vector<std::future<HttpResponse>> answers;
  for (int i = 0; i < 8; ++i) {
    answers.push_back(std::async(std::launch::async, [&] {
      return api.Get("/api/metrics", api.Ada());
    }));
  }
  for (auto& answer : answers) answer.get();  // 503 where all were taken
  const auto before = sessions();
  ASSERT_NE(before, "");
  api.db.Exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE usename = 'meshhook_api' AND datname = current_database()",
      test::kSuperuser);
  ASSERT_TRUE(Await([&] { return sessions() == ""; }));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(api.Get("/api/metrics", api.Ada()).status, 200);
  }
  EXPECT_NE(sessions(), before);
}

// The API with another login, and what it logs.
struct Other {
  int status;
  std::string log;
};
Other AskAs(Api& api, const std::string& role) {
  testing::internal::CaptureStderr();
  api.Serve(api.db.Conninfo(role));
  int status = 0;
  for (int i = 0; i < 3; ++i) {
    const auto response = api.Get("/api/metrics", api.Ada());
    status = response.status;
    EXPECT_TRUE(response.headers.contains("retry-after"));
    EXPECT_EQ(response.body.find(role), std::string::npos) << response.body;
  }
  api.Stop();
  return {status, testing::internal::GetCapturedStderr()};
}

long Count(const std::string& text, const std::string& part) {
  long count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++count;
  return count;
}

TEST_F(ApiPool, RefusesALoginThatPassesOverRowSecurity) {
  Api api;
  for (const std::string role : {test::kSuperuser, test::kOwner}) {
    const auto other = AskAs(api, role);
    EXPECT_EQ(other.status, 503) << role;
    EXPECT_EQ(Count(other.log, "the API cannot reach its database"), 1)
        << other.log;
    EXPECT_EQ(Count(other.log, role + " passes over row security"), 1)
        << other.log;
    EXPECT_NE(other.log.find("connect as meshhook_api"), other.log.npos);
  }
}

TEST_F(ApiPool, RefusesALoginThatMayNotBecomeTheRolesOfTokens) {
  Api api;
  const auto other = AskAs(api, test::kExporter);
  EXPECT_EQ(other.status, 503);
  EXPECT_EQ(Count(other.log, "the API cannot reach its database"), 1)
      << other.log;
  EXPECT_NE(other.log.find("meshhook_exporter may not become"), other.log.npos)
      << other.log;
  EXPECT_NE(other.log.find("GRANT authenticated, meshhook_operator TO "
                           "meshhook_exporter"),
            other.log.npos)
      << other.log;
}

}  // namespace
