// SPDX-License-Identifier: MIT
// Two hundred connections at a time, some of which hang up in the middle: every
// answer is its caller's own, and nothing is left of the crowd afterwards.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/api.h"
#include "tests/support/api_program.h"
#include "tests/support/process.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Api;
using test::ApiProgram;
using test::Await;
using test::HttpConnection;

constexpr int kThreads = 20;
constexpr int kConnections = 10;  // of each

struct Question {
  std::string request;
  std::string answer;  // the body; "" where it is never twice the same
  std::string has;     // what is in it
};

// Everybody's questions, and what they give, as asked one by one.
std::vector<Question> Questions(Api& api, const ApiProgram& program) {
  const auto range = api.db.Exec(
      "SELECT format('start_date=%sT00:00:00Z&end_date=%sT00:00:00Z', "
      "current_date - 20, current_date + 2)");
  std::vector<Question> questions;
  for (const auto& [token, project, workflow] :
       {std::tuple{api.Ada(), test::kShop, test::kImport},
        std::tuple{api.Bob(), test::kBakery, test::kBake},
        std::tuple{api.Operator(), test::kBlog, test::kDeliver}}) {
    const auto add = [&](const std::string& path) {
      questions.push_back({"GET " + path +
                               " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               "Authorization: Bearer " +
                               token + "\r\n\r\n",
                           program.Get(path, token).body, ""});
    };
    add("/api/metrics?" + range);
    add("/api/metrics/workflows/summary?" + range);
    add("/api/metrics/workflows/trend?" + range);
    add("/api/v1/statistics/execution-times?" + range);
    add(std::string("/api/metrics/workflow/") + workflow + "?" + range);
    add("/api/metrics/workflow/" + std::string(test::kImport) + "?" + range);
    add("/api/metrics?project_id=" + std::string(test::kBakery) + "&" + range);
    add("/api/metrics/queue-depth");
    add("/api/metrics?x=1");
    const auto body =
        std::string(R"({"scope": "project", "metric": "minimum_runs",
                        "window": "24h", "warning": 3, "project_id": ")") +
        project + "\"}";
    questions.push_back(
        {"POST /api/metrics/alerts HTTP/1.1\r\nHost: x\r\n"
         "Connection: close\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
             std::to_string(body.size()) + "\r\nAuthorization: Bearer " +
             token + "\r\n\r\n" + body,
         "", project});
  }
  return questions;
}

struct Tally {
  std::atomic<long> right{0};
  std::atomic<long> busy{0};
  std::atomic<long> wrong{0};
};

// Asks on ten connections at once, and hangs up some of them.
void AskAll(int port, const std::vector<Question>& questions,
            std::minstd_rand& random, Tally& tally) {
  struct Asked {
    const Question* question;
    std::unique_ptr<HttpConnection> connection;
    bool hangs_up;
  };
  std::vector<Asked> all;
  for (int i = 0; i < kConnections; ++i) {
    const auto& question = questions[random() % questions.size()];
    Asked asked{&question, std::make_unique<HttpConnection>(port), false};
    const auto fate = random() % 20;
    if (fate < 2) {  // in the middle of its request
      asked.connection->Send(
          question.request.substr(0, question.request.size() / 2));
      continue;
    }
    asked.connection->Send(question.request);
    asked.hangs_up = fate < 4;
    all.push_back(std::move(asked));
  }
  for (auto& [question, connection, hangs_up] : all) {
    if (hangs_up) {
      if (random() % 2 == 0) connection->ReadSome();
      connection.reset();
      continue;
    }
    const auto text = connection->ReadToEnd();
    const auto end = text.find("\r\n\r\n");
    if (end == text.npos) {
      ++tally.wrong;
      ADD_FAILURE() << "cut off: " << text;
      continue;
    }
    const auto body = text.substr(end + 4);
    if (text.rfind("HTTP/1.1 503 ", 0) == 0) {
      ++tally.busy;
    } else if (question->has.empty() ? body == question->answer
                                     : body.find(question->has) != body.npos) {
      ++tally.right;
    } else {
      ++tally.wrong;
      ADD_FAILURE() << question->request << text;
    }
  }
}

long CountOf(const std::string& folder) {
  const std::filesystem::directory_iterator entries(folder);
  return std::distance(begin(entries), end(entries));
}

TEST(ApiCrowd, GetsItsOwnAnswersAndLeavesNothingBehind) {
  Api api;
  api.Stop();
  // Written by every session of the API, after each of its callers.
  api.db.Exec(
      "CREATE TABLE public.found (pid int, role text, claims text, PRIMARY KEY "
      "(pid, role, claims)); GRANT ALL ON public.found TO meshhook_api");
  test::Replace(api.db, "record_access",
                "BEGIN INSERT INTO public.found SELECT pg_backend_pid(), "
                "current_setting('role'), "
                "coalesce(current_setting('request.jwt.claims', true), '') "
                "ON CONFLICT DO NOTHING; RETURN '0'; END");
  ApiProgram program(
      api.db.Url(test::kExporter), api.db.Url("meshhook_api"),
      {"--api.requests-per-second=100000", "--api.max-waiting=100"});
  const auto questions = Questions(api, program);
  const auto proc = "/proc/" + std::to_string(program.exporter().pid());
  EXPECT_EQ(test::SampleSum(program.exporter().Page(), "pg_up"), 1);
  const long threads = CountOf(proc + "/task");
  const long files = CountOf(proc + "/fd");

  Tally tally;
  const auto until = Clock::now() + 2s;
  std::vector<std::thread> crowd;
  for (int i = 0; i < kThreads; ++i) {
    crowd.emplace_back([&, i] {
      std::minstd_rand random(static_cast<unsigned>(i) + 1);
      while (Clock::now() < until) {
        try {
          AskAll(program.port(), questions, random, tally);
        } catch (const std::system_error& error) {
          ADD_FAILURE() << error.what();
        }
      }
    });
  }
  do {
    EXPECT_EQ(test::SampleSum(program.exporter().Page(), "pg_up"), 1);
  } while (Clock::now() < until);
  for (auto& thread : crowd) thread.join();

  EXPECT_EQ(tally.wrong, 0);
  EXPECT_GT(tally.right, 100) << tally.busy;
  for (const auto& question : questions) {
    std::minstd_rand random(7);
    AskAll(program.port(), {question}, random, tally);
  }
  EXPECT_EQ(tally.wrong, 0);
  // Six sessions are the most that may be new.
  EXPECT_TRUE(Await([&] { return CountOf(proc + "/fd") <= files + 6; }))
      << files << " before, now " << CountOf(proc + "/fd");
  EXPECT_EQ(CountOf(proc + "/task"), threads);
  EXPECT_TRUE(Await([&] {
    return api.db.Exec(
               "SELECT count(*) FROM pg_stat_activity "
               "WHERE usename = 'meshhook_api' AND state <> 'idle' "
               "AND datname = current_database()",
               test::kSuperuser) == "0";
  }));
  EXPECT_EQ(api.db.Exec("SELECT count(*) FROM public.found "
                        "WHERE role <> 'none' OR claims <> ''",
                        test::kSuperuser),
            "0");
  EXPECT_GT(std::stol(api.db.Exec("SELECT count(*) FROM public.found",
                                  test::kSuperuser)),
            0);
  const auto page = program.exporter().Page();
  EXPECT_EQ(page.find("status=\"500\""), page.npos) << page;
  program.exporter().Signal(SIGTERM);
  EXPECT_EQ(program.exporter().Wait(), 0) << program.exporter().err();
}

}  // namespace
