// SPDX-License-Identifier: MIT
// The record of who asked the API for what: written by the server alone, read
// by operators, kept for a while.
#include "tests/support/tenants.h"

namespace {

using test::Exec;
using test::Refusal;

class ApiAudit : public test::TwoTenants {
 protected:
  ApiAudit() : TwoTenants(false), server_(db_.Connect("meshhook_api")) {}

  std::string Record(const std::string& entries) {
    return Exec(server_,
                "SELECT metrics.record_access(" + Quoted(entries) + ")");
  }
  std::string Read(const std::string& columns) {
    return db_.Exec("SELECT string_agg(concat_ws('|', " + columns +
                    "), ', ' ORDER BY at) FROM metrics.api_audit");
  }

  meshhook::pg::Connection server_;
};

TEST_F(ApiAudit, IsWrittenInBatches) {
  EXPECT_EQ(Record("[]"), "0");
  EXPECT_EQ(Record(R"([
      {"at": ")" + db_.Exec("SELECT to_jsonb(now()) #>> '{}'") +
                   R"(",
       "subject": "s", "role": "authenticated", "method": "GET",
       "endpoint": "/api/metrics", "scope": "p", "status": 200,
       "duration_ms": 1.5},
      {"method": "GET", "endpoint": "/api/metrics/alerts",
       "scope": {"project_id": "q"}, "status": 401, "duration_ms": 0}])"),
            "2");
  EXPECT_EQ(db_.Exec("SELECT string_agg(concat_ws('|', subject, role, method, "
                     "endpoint, scope, status, duration_ms), ', ' "
                     "ORDER BY endpoint) FROM metrics.api_audit"),
            "s|authenticated|GET|/api/metrics|p|200|1.5, "
            "GET|/api/metrics/alerts|{\"project_id\": \"q\"}|401|0");
}

TEST_F(ApiAudit, IsCutToSize) {
  const std::string text(100'000, 'x');
  EXPECT_EQ(Record(R"([{"subject": ")" + text + R"(", "role": ")" + text +
                   R"(", "method": ")" + text + R"(", "endpoint": ")" + text +
                   R"(", "scope": ")" + text +
                   R"(", "status": -5, "duration_ms": -1,
                       "at": "1999-01-01T00:00:00Z"}, {}])"),
            "2");
  EXPECT_EQ(db_.Exec("SELECT max(length(a::text)) < 1200 "
                     "AND min(at) >= now() - interval '25 hours' "
                     "AND min(duration_ms) >= 0 FROM metrics.api_audit AS a"),
            "t");
}

TEST_F(ApiAudit, IsReadByOperatorsAndWrittenByTheServerAlone) {
  Record(R"([{"subject": "s"}])");
  auto ada = User(kAda);
  auto all = Operator();
  EXPECT_EQ(Exec(all, "SELECT count(*) FROM metrics.api_audit"), "1");
  EXPECT_EQ(Refusal(ada, "SELECT FROM metrics.api_audit"), kRefused);
  EXPECT_EQ(Refusal(server_, "SELECT FROM metrics.api_audit"), kRefused);
  for (auto* session : {&ada, &all}) {
    EXPECT_EQ(Refusal(*session, "SELECT metrics.record_access('[]')"),
              kRefused);
  }
  for (auto* session : {&ada, &all, &server_}) {
    EXPECT_EQ(Refusal(*session, "DELETE FROM metrics.api_audit"), kRefused);
    EXPECT_EQ(
        Refusal(*session, "INSERT INTO metrics.api_audit (at) VALUES (now())"),
        kRefused);
  }
}

TEST_F(ApiAudit, IsKeptForNinetyDays) {
  db_.Exec(R"(
      SELECT metrics.ensure_partitions(2, now() - interval '200 days');
      INSERT INTO metrics.api_audit
          (at, method, endpoint, status, duration_ms)
      SELECT now() - i * interval '1 day', 'GET', '/', 200, 1
      FROM generate_series(0, 199) AS i)");
  while (db_.Exec("SELECT metrics.maintain()") != "0") continue;
  // A month goes once all of it is older.
  EXPECT_EQ(db_.Exec("SELECT min(at) >= date_trunc('month', now() - interval "
                     "'90 days', 'UTC') AND count(*) >= 90 "
                     "FROM metrics.api_audit"),
            "t");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.api_audit_default"), "0");
}

}  // namespace
