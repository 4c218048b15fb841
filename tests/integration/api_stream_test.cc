// SPDX-License-Identifier: MIT
// The API's stream: what changed, soon, to those whose it is, at the price of
// one question a second for all of them.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/api.h"
#include "tests/support/process.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::api::ServerOptions;
using test::Api;
using test::Await;
using test::HttpConnection;
using test::JsonOf;

constexpr auto kPath = "/api/metrics/stream";

// One who listens, and what came so far.
class Listener {
 public:
  Listener(const Api& api, const std::string& token, int receive_buffer = 0)
      : connection_(api.port(), receive_buffer) {
    connection_.Send(std::string("GET ") + kPath +
                     " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token +
                     "\r\n\r\n");
  }

  // Whether that has come by then.
  bool Got(const std::string& part, std::chrono::milliseconds most = 10s) {
    const auto deadline = Clock::now() + most;
    while (text_.find(part) == text_.npos) {
      if (over_ || Clock::now() > deadline) return false;
      Read(50);
    }
    return true;
  }
  // Whether the server has hung up by then.
  bool Over(std::chrono::milliseconds most = 10s) {
    const auto deadline = Clock::now() + most;
    while (!over_ && Clock::now() < deadline) Read(50);
    return over_;
  }
  const std::string& text() {
    Read(0);
    return text_;
  }
  int status() { return Got("\r\n\r\n") ? std::stoi(text_.substr(9)) : 0; }

 private:
  void Read(int milliseconds) {
    while (!over_ && connection_.Readable(milliseconds)) {
      const auto some = connection_.ReadSome();
      over_ = some.empty();
      text_ += some;
      milliseconds = 0;
    }
  }

  HttpConnection connection_;
  std::string text_;
  bool over_ = false;
};

class ApiStream : public testing::Test {
 protected:
  explicit ApiStream(const std::function<void(ServerOptions&)>& adjust =
                         [](auto&) {})
      : api_([&](ServerOptions& options) {
          options.listeners = 24;
          adjust(options);
        }) {}

  std::unique_ptr<Listener> Listen(const std::string& token) const {
    auto listener = std::make_unique<Listener>(api_, token);
    EXPECT_TRUE(listener->Got("event: ready\ndata: {}\n\n"))
        << listener->text();
    return listener;
  }
  // Runs of that workflow end, and are folded.
  void Finish(const std::string& workflow, int runs = 1) {
    api_.db.Exec(
        "INSERT INTO workflow_runs (project_id, workflow_id, status, "
        "started_at, finished_at) SELECT project_id, id, 'succeeded', now(), "
        "now() FROM workflow_definitions, generate_series(1, " +
        std::to_string(runs) + ") WHERE id = '" + workflow + "'");
    api_.db.Exec("SELECT metrics.fold()");
  }
  // How often statements with that text were run in the database.
  long Calls(const std::string& text) {
    return std::stol(api_.db.Exec(
        "SELECT coalesce(sum(calls), 0) FROM statements.pg_stat_statements "
        "AS s JOIN pg_roles AS r ON r.oid = s.userid "
        "WHERE query LIKE '%" +
            text +
            "%' AND query NOT LIKE '%calls%' "
            "AND dbid = (SELECT oid FROM pg_database "
            "            WHERE datname = current_database())",
        test::kSuperuser));
  }

  Api api_;
};

TEST_F(ApiStream, TellsAChangeWithinTwoSecondsToItsOwnersOnly) {
  const auto ada = Listen(api_.Ada());
  const auto bob = Listen(api_.Bob());
  const auto all = Listen(api_.Operator());
  const auto before =
      api_.Read(std::string("/api/metrics/workflow/") + test::kImport,
                api_.Ada())["lifetime"]["success_count"]
          .asInt();
  Finish(test::kImport, 3);
  const auto changed = Clock::now();
  ASSERT_TRUE(ada->Got("event: change\n"));
  ASSERT_TRUE(all->Got("event: change\n"));
  EXPECT_LT(Clock::now() - changed, 2s);
  ASSERT_TRUE(ada->Got("}\n\n"));
  const auto at = ada->text().find("data: {\"") + 6;
  const auto event =
      JsonOf(ada->text().substr(at, ada->text().find("\n", at) - at));
  EXPECT_EQ(event["workflow_id"], test::kImport);
  EXPECT_EQ(event["project_id"], test::kShop);
  EXPECT_EQ(event["success_count"], before + 3);
  EXPECT_EQ(event["execution_count"], event["success_count"].asInt() +
                                          event["failure_count"].asInt() +
                                          event["canceled_count"].asInt());

  Finish(test::kBake);
  EXPECT_TRUE(bob->Got(test::kBake));
  EXPECT_TRUE(all->Got(test::kBake));
  EXPECT_EQ(bob->text().find(test::kImport), std::string::npos);
  EXPECT_EQ(ada->text().find(test::kBake), std::string::npos);
}

TEST_F(ApiStream, TellsEachChangeOnce) {
  const auto ada = Listen(api_.Ada());
  Finish(test::kImport);
  ASSERT_TRUE(ada->Got(test::kImport));
  // What comes after it has been asked for once more.
  Finish(test::kInvoices);
  ASSERT_TRUE(ada->Got(test::kInvoices));
  const auto& text = ada->text();
  EXPECT_EQ(text.find(test::kImport), text.rfind(test::kImport)) << text;
}

TEST_F(ApiStream, TellsWhatWasCommittedLate) {
  const auto ada = Listen(api_.Ada());
  auto late = api_.db.Connect();
  test::Exec(late, "BEGIN");
  test::Exec(late, std::string("UPDATE metrics.workflow_run_metrics "
                               "SET success_count = success_count + 1 "
                               "WHERE workflow_id = '") +
                       test::kImport + "'");
  Finish(test::kInvoices);
  ASSERT_TRUE(ada->Got(test::kInvoices));
  EXPECT_EQ(ada->text().find(test::kImport), std::string::npos);
  test::Exec(late, "COMMIT");
  EXPECT_TRUE(ada->Got(test::kImport));
}

TEST_F(ApiStream, AsksNoMoreOftenForMoreListeners) {
  api_.db.Exec(
      "CREATE SCHEMA IF NOT EXISTS statements; "
      "DROP EXTENSION IF EXISTS pg_stat_statements; "
      "CREATE EXTENSION pg_stat_statements SCHEMA statements",
      test::kSuperuser);
  std::vector<std::unique_ptr<Listener>> listeners;
  const auto listen = [&](int count) {
    for (int i = 0; i < count; ++i) {
      listeners.push_back(
          Listen(api_.User("00000000-0000-4000-8000-0000000000" +
                           std::to_string(10 + listeners.size()))));
    }
  };
  // How long three questions take, and what else is asked meanwhile.
  const auto three_questions = [&] {
    const auto questions = Calls("api_changes");
    EXPECT_TRUE(Await([&] { return Calls("api_changes") > questions; }));
    const auto began = Clock::now();
    const auto projects = Calls("api_projects");
    EXPECT_TRUE(Await([&] { return Calls("api_changes") >= questions + 3; }));
    EXPECT_EQ(Calls("api_projects"), projects);
    return Clock::now() - began;
  };
  listen(1);
  EXPECT_GT(three_questions(), 1500ms);
  listen(19);
  EXPECT_GT(three_questions(), 1500ms);
}

TEST_F(ApiStream, AsksNothingWhereNobodyListens) {
  api_.db.Exec(
      "CREATE SCHEMA IF NOT EXISTS statements; "
      "DROP EXTENSION IF EXISTS pg_stat_statements; "
      "CREATE EXTENSION pg_stat_statements SCHEMA statements",
      test::kSuperuser);
  Listen(api_.Ada()).reset();
  ASSERT_TRUE(Await([&] { return api_.server().Statistics().listeners == 0; }));
  EXPECT_FALSE(Await(
      [&, before = Calls("api_changes")] {
        return Calls("api_changes") > before + 1;
      },
      2500ms));
}

TEST_F(ApiStream, LetsASubjectListenEightTimes) {
  std::vector<std::unique_ptr<Listener>> listeners;
  for (int i = 0; i < 8; ++i) listeners.push_back(Listen(api_.Ada()));
  const auto refused = api_.Get(kPath, api_.Ada());
  EXPECT_EQ(refused.status, 429);
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  Listen(api_.Bob());
}

TEST_F(ApiStream, SparesAListenerThatReadsSlowly) {
  // Enough to fill what the system takes in for one who does not read.
  api_.db.Exec(
      "INSERT INTO workflow_definitions (project_id, slug, name) "
      "SELECT '10000000-0000-4000-8000-0000000000a1', 's' || i, 'S' "
      "FROM generate_series(1, 4000) AS i;"
      "INSERT INTO workflow_runs (project_id, workflow_id, status, started_at, "
      "finished_at) SELECT project_id, id, 'succeeded', now(), now() "
      "FROM workflow_definitions WHERE name = 'S'");
  api_.db.Exec("SELECT metrics.fold()");
  Listener slow(api_, api_.Ada(), 2048);
  ASSERT_TRUE(slow.Got("event: ready"));
  const auto quick = Listen(api_.Bob());
  ASSERT_EQ(api_.server().Statistics().listeners, 2U);
  bool freed = false;
  for (int i = 0; i < 20 && !freed; ++i) {
    api_.db.Exec(
        "UPDATE metrics.workflow_run_metrics "
        "SET success_count = success_count + 1");
    Finish(test::kBake);
    const auto count =
        "\"execution_count\":" +
        api_.db.Exec(std::string("SELECT success_count + "
                                 "failure_count + canceled_count "
                                 "FROM metrics."
                                 "workflow_run_metrics WHERE "
                                 "workflow_id = '") +
                     test::kBake + "'");
    ASSERT_TRUE(quick->Got(count)) << i;
    freed = api_.server().Statistics().listeners == 1;
  }
  EXPECT_TRUE(freed) << "one who does not read keeps its place";
}

class ApiStreamForThree : public ApiStream {
 protected:
  ApiStreamForThree()
      : ApiStream([](ServerOptions& options) { options.listeners = 3; }) {}
};

TEST_F(ApiStreamForThree, RefusesTheFourthUntilOneHangsUp) {
  auto first = Listen(api_.Ada());
  const auto second = Listen(api_.Bob());
  const auto third = Listen(api_.Operator());
  const auto refused = api_.Get(kPath, api_.Bob());
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "5");
  // Others are answered all the same.
  EXPECT_EQ(api_.Get("/api/metrics", api_.Bob()).status, 200);
  first.reset();
  EXPECT_TRUE(
      Await([&] { return Listener(api_, api_.Bob()).status() == 200; }, 2s));
}

TEST_F(ApiStreamForThree, RefusesWhoeverMayNot) {
  EXPECT_EQ(Listener(api_, "x").status(), 401);
  EXPECT_EQ(api_.Get(std::string(kPath) + "?x=1", api_.Ada()).status, 400);
  EXPECT_EQ(api_.Ask("POST", kPath, api_.Ada()).status, 405);
}

class ApiStreamThatEnds : public ApiStream {
 protected:
  ApiStreamThatEnds()
      : ApiStream([](ServerOptions& options) {
          options.stream_life = 1200ms;
          options.heartbeat = 300ms;
        }) {}

  static void ExpectTheEnd(Listener& listener) {
    EXPECT_TRUE(listener.Got("event: end\ndata: {}\n\n")) << listener.text();
    EXPECT_TRUE(listener.Over(2s));
  }
};

TEST_F(ApiStreamThatEnds, SaysThatItLivesAndWhenItDoesNot) {
  const auto began = Clock::now();
  const auto ada = Listen(api_.Ada());
  EXPECT_TRUE(ada->Got("\n: alive\n\n", 1s));
  EXPECT_TRUE(ada->Got(": alive\n\n: alive\n\n", 1s));
  ExpectTheEnd(*ada);
  EXPECT_GE(Clock::now() - began, 1100ms);
}

TEST_F(ApiStream, EndsWhenTheTokenDoes) {
  auto claims = test::UserClaims(test::kAda);
  claims["exp"] = static_cast<Json::Int64>(std::time(nullptr) + 2);
  const auto began = Clock::now();
  const auto ada = Listen(api_.signer().Token(claims));
  EXPECT_TRUE(ada->Got("event: end\ndata: {}\n\n", 4s)) << ada->text();
  EXPECT_TRUE(ada->Over(2s));
  EXPECT_GT(Clock::now() - began, 500ms);
}

TEST_F(ApiStream, EndsWhenTheServerStops) {
  const auto ada = Listen(api_.Ada());
  const auto bob = Listen(api_.Bob());
  const auto began = Clock::now();
  api_.server().Drain(Clock::now() + 5s);
  EXPECT_LT(Clock::now() - began, 2s);
  for (auto* listener : {ada.get(), bob.get()}) {
    EXPECT_TRUE(listener->Got("event: end\ndata: {}\n\n", 2s));
    EXPECT_TRUE(listener->Over(2s));
  }
  EXPECT_EQ(api_.Get(kPath, api_.Ada()).status, 503);
}

TEST_F(ApiStream, BeginsOnlyWhereItMissesNothing) {
  auto holder = api_.db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.workflow_run_metrics");
  Listener ada(api_, api_.Ada());
  EXPECT_FALSE(ada.Got("event: ready", 300ms)) << ada.text();
  test::Exec(holder, "COMMIT");
  EXPECT_TRUE(ada.Got("event: ready"));
  Finish(test::kImport);
  EXPECT_TRUE(ada.Got(test::kImport));
}

}  // namespace
