// SPDX-License-Identifier: MIT
// Lists page by page: everything once and in order, whatever comes in between.
#include <set>
#include <sstream>
#include <vector>

#include "tests/support/tenants.h"

namespace {

constexpr const char* kSorts[] = {
    "name",         "execution_count",  "failure_count",
    "failure_rate", "average_duration", "p95_duration",
    "last_updated"};

class ApiPages : public test::TwoTenants {
 protected:
  // A page's items by that member, and the cursor of the next.
  struct Page {
    std::vector<std::string> items;
    std::string next;
  };
  Page Ask(meshhook::pg::Connection& session, const std::string& function,
           const std::string& request, const std::string& member,
           const std::string& cursor) {
    const auto answer = Answer(
        session, function,
        cursor.empty() ? "{" + request + "}"
                       : "{" + request + ", \"cursor\": \"" + cursor + "\"}");
    Page page;
    page.next = Member(answer, "next_cursor");
    EXPECT_EQ(page.next.find_first_not_of(
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789-_"),
              std::string::npos)
        << page.next;
    EXPECT_LE(page.next.size(), 1024u);
    std::istringstream lines(db_.Exec(
        "SELECT string_agg(coalesce(i #>> '{" + member +
        "}', 'null'), E'\\n' ORDER BY n) FROM jsonb_array_elements(" +
        Quoted(answer) + "::jsonb -> 'items') WITH ORDINALITY AS t (i, n)"));
    for (std::string line; std::getline(lines, line);) {
      page.items.push_back(line);
    }
    return page;
  }
  // All pages; `between` runs after each.
  std::vector<std::string> Walk(
      meshhook::pg::Connection& session, const std::string& function,
      const std::string& request, const std::string& member,
      const std::function<void()>& between = [] {}) {
    std::vector<std::string> all;
    std::string cursor;
    do {
      auto page = Ask(session, function, request, member, cursor);
      EXPECT_FALSE(page.items.empty() && !page.next.empty()) << request;
      all.insert(all.end(), page.items.begin(), page.items.end());
      cursor = page.next;
      between();
    } while (!cursor.empty() && all.size() < 10000);
    return all;
  }
};

constexpr auto kId = "workflow,workflow_id";

TEST_F(ApiPages, HaveEachWorkflowOnceInTheOrderOfOnePage) {
  // Some have the same value, two have none.
  db_.Exec(
      "INSERT INTO workflow_definitions (project_id, slug, name) "
      "SELECT '" +
      Project("a2") + "', 'same' || i, 'Same' FROM generate_series(1, 3) AS i");
  auto ada = User(kAda);
  for (const std::string sort : kSorts) {
    for (const std::string order : {"asc", "desc"}) {
      const auto by =
          "\"sort\": \"" + sort + "\", \"order\": \"" + order + "\"";
      const auto whole = Walk(ada, "summary", by + ", \"limit\": 200", kId);
      EXPECT_EQ(whole.size(), 9u) << by;
      EXPECT_EQ(std::set<std::string>(whole.begin(), whole.end()).size(), 9u);
      for (const std::string limit : {"1", "2", "9"}) {
        EXPECT_EQ(Walk(ada, "summary", by + ", \"limit\": " + limit, kId),
                  whole)
            << by << limit;
      }
    }
  }
}

TEST_F(ApiPages, AreInTheOrderThatWasAskedFor) {
  auto ada = User(kAda);
  for (const auto& [sort, member] :
       {std::pair{"execution_count", "period,execution_count"},
        std::pair{"failure_count", "period,failure_count"},
        std::pair{"failure_rate", "period,failure_rate"},
        std::pair{"average_duration", "period,average_duration"},
        std::pair{"p95_duration", "recent,24h,p95_duration"},
        std::pair{"last_updated", "last_updated"}}) {
    for (const std::string order : {"asc", "desc"}) {
      const auto values = Walk(ada, "summary",
                               "\"sort\": \"" + std::string(sort) +
                                   "\", \"order\": \"" + order + "\"",
                               member);
      std::string list;
      for (const auto& value : values) {
        list += (list.empty() ? "" : ",") + value;
      }
      EXPECT_EQ(
          db_.Exec("SELECT array_agg(v ORDER BY v " + order +
                   " NULLS LAST) = array_agg(v ORDER BY n) FROM unnest('{" +
                   list + "}'::" +
                   (std::string(sort) == "last_updated" ? "timestamptz"
                                                        : "numeric") +
                   "[]) WITH ORDINALITY AS t (v, n)"),
          "t")
          << sort << order << list;
    }
  }
  const std::vector<std::string> names = {"apple",     "Mango", "mango",
                                          "Never ran", "Zebra", "Éclair"};
  EXPECT_EQ(Walk(ada, "summary", R"("sort": "name", "order": "asc")",
                 "workflow,name"),
            names);
}

TEST_F(ApiPages, AreNotMovedByWhatComesInBetween) {
  auto ada = User(kAda);
  for (const std::string sort : kSorts) {
    for (const std::string order : {"asc", "desc"}) {
      const auto by =
          "\"sort\": \"" + sort + "\", \"order\": \"" + order + "\"";
      const auto before = Walk(ada, "summary", by, kId);
      const std::set<std::string> known(before.begin(), before.end());
      int come = 0;
      auto after = Walk(ada, "summary", by + ", \"limit\": 2", kId, [&] {
        for (const std::string name : {"AAA", "zzz"}) {
          db_.Exec(
              "INSERT INTO workflow_definitions (project_id, slug, name) "
              "VALUES ('" +
              Project("a1") + "', '" + sort + order + std::to_string(++come) +
              "', '" + name + "')");
        }
      });
      EXPECT_GE(come, 6);
      EXPECT_EQ(std::set<std::string>(after.begin(), after.end()).size(),
                after.size())
          << by;
      std::erase_if(after, [&](const auto& id) { return !known.contains(id); });
      EXPECT_EQ(after, before) << by;
      db_.Exec("DELETE FROM workflow_definitions WHERE name IN ('AAA', 'zzz')");
    }
  }
}

// The range of all pages is that of the first, though time goes on.
TEST_F(ApiPages, HaveOneRange) {
  auto ada = User(kAda);
  const auto first = Answer(ada, "summary", R"({"limit": 1})");
  EXPECT_EQ(
      Member(Answer(ada, "summary",
                    Of("cursor", Member(first, "next_cursor"), "\"limit\": 2")),
             "range"),
      Member(first, "range"));
}

TEST_F(ApiPages, OfBucketsAreThoseOfOnePage) {
  auto ada = User(kAda);
  auto all = Operator();
  const auto long_ago = "\"start_date\": " +
                        db_.Exec("SELECT to_jsonb(now() - interval '48 days')");
  for (const std::string bucket : {"hour", "day"}) {
    for (const auto& more : {long_ago, long_ago + ", \"workflow_id\": \"" +
                                           Workflow("a5") + "\""}) {
      const auto of = "\"bucket\": \"" + bucket + "\", " + more;
      const auto whole =
          Walk(ada, "trend", of + ", \"limit\": 1000", "bucket_start");
      EXPECT_GT(whole.size(), 35u);
      EXPECT_EQ(Walk(ada, "trend", of + ", \"limit\": 37", "bucket_start"),
                whole)
          << of;
      EXPECT_EQ(
          Walk(all, "trend", of + ", \"limit\": 999", "bucket_start").empty(),
          false);
    }
  }
  // Far between, so that a page reaches further than its buckets.
  db_.Exec(
      "DELETE FROM metrics.project_metrics_daily "
      "WHERE extract(day FROM bucket_start) > 3");
  const auto sparse = Walk(ada, "trend", long_ago, "bucket_start");
  EXPECT_EQ(Walk(ada, "trend", long_ago + ", \"limit\": 1", "bucket_start"),
            sparse);
}

TEST_F(ApiPages, OfThresholdsHaveEachOnce) {
  auto ada = User(kAda);
  for (const std::string workflow : {"a1", "a2", "a3", "a4"}) {
    for (const std::string metric : {"stuck_runs", "minimum_runs"}) {
      Answer(ada, "set_alert",
             Of("workflow_id", Workflow(workflow),
                R"("scope": "workflow", "warning": 3, "metric": ")" + metric +
                    "\""));
    }
  }
  const auto whole = Walk(ada, "alerts", "\"limit\": 200", "threshold_id");
  EXPECT_EQ(whole.size(), 11u);
  for (const std::string limit : {"1", "4", "10", "11"}) {
    EXPECT_EQ(Walk(ada, "alerts", "\"limit\": " + limit, "threshold_id"),
              whole);
  }
  EXPECT_EQ(Walk(ada, "alerts", R"("metric": "stuck_runs", "limit": 2)",
                 "threshold_id")
                .size(),
            5u);
}

TEST_F(ApiPages, RefuseACursorOfAnotherQuestion) {
  auto ada = User(kAda);
  auto all = Operator();
  for (const auto& [function, request] :
       {std::pair{"summary", R"("limit": 2, "sort": "name")"},
        std::pair{"trend", R"("limit": 2, "bucket": "day")"},
        std::pair{"alerts", R"("limit": 2, "metric": null)"}}) {
    const std::string of = request;
    const auto cursor = Ask(ada, function, of, "x", "").next;
    ASSERT_NE(cursor, "");
    const auto with = [&](const std::string& more) {
      return "{" + more + ", \"cursor\": \"" + cursor + "\"}";
    };
    EXPECT_EQ(Complaint(ada, function, with(of)), kDone);
    EXPECT_EQ(Complaint(ada, function, with(of + ", \"limit\": 3")), kDone);
    for (const std::string other :
         {R"("sort": "last_updated")", R"("order": "asc")",
          R"("bucket": "hour")", R"("metric": "stuck_runs")",
          R"("end_date": "2026-01-01T00:00:00Z")"}) {
      EXPECT_EQ(Complaint(ada, function, with(of + ", " + other)),
                "MH400 cursor is not one that this question gave")
          << function << other;
    }
    for (const std::string& garbage :
         {std::string("e30"), std::string("bnVsbA"), std::string("AAAA"),
          std::string("_"), std::string("''"), cursor + "x", "A" + cursor,
          cursor.substr(0, cursor.size() / 2)}) {
      EXPECT_EQ(Complaint(ada, function,
                          "{" + of + ", \"cursor\": \"" + garbage + "\"}"),
                "MH400 cursor is not one that this question gave")
          << function << garbage;
    }
  }
}

// A cursor is no secret: one that was made up shows its maker's own rows.
TEST_F(ApiPages, OfAMadeUpCursorHaveTheCallersOwn) {
  auto ada = User(kAda);
  const auto forged = [&](const std::string& place) {
    return db_.Exec("SELECT metrics.new_cursor('{\"limit\": 2}', 'summary', '" +
                    place + "')");
  };
  for (const std::string& place :
       {R"({"i": ")" + Workflow("b1") + R"(", "n": "-1e9"})",
        R"({"i": ")" + Workflow("b1") + R"(", "w": ""})",
        std::string(R"({"i": "00000000-0000-0000-0000-000000000000"})"),
        std::string(R"({"u": "2050-01-01T00:00:00Z"})"), std::string("{}")}) {
    const auto page = Ask(ada, "summary", "\"limit\": 2", kId, forged(place));
    for (const auto& id : page.items) {
      EXPECT_EQ(id.substr(id.size() - 2, 1), "a") << place;
    }
  }
  for (const std::string place :
       {R"({"i": "1"})", R"({"n": "x"})", R"({"u": "infinity"})",
        R"({"u": "9999-01-01T00:00:00Z"})"}) {
    EXPECT_EQ(
        Complaint(ada, "summary", Of("cursor", forged(place), "\"limit\": 2")),
        "MH400 cursor is not one that this question gave")
        << place;
  }
}

}  // namespace
