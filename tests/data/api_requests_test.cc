// SPDX-License-Identifier: MIT
// What is wrong with a request is said with the parameter's name first.
#include "tests/support/tenants.h"

namespace {

class ApiRequests : public test::TwoTenants {
 protected:
  ApiRequests() : TwoTenants(false), ada_(User(kAda)) {}

  void ExpectRefused(const std::string& function, const std::string& request,
                     const std::string& complaint) {
    EXPECT_EQ(Complaint(ada_, function, request), "MH400 " + complaint)
        << function << request;
  }
  void ExpectTaken(const std::string& function, const std::string& request) {
    EXPECT_EQ(Complaint(ada_, function, request), kDone) << function << request;
  }

  meshhook::pg::Connection ada_;
};

constexpr const char* kRanged[] = {"overview", "summary", "trend",
                                   "execution_times"};

TEST_F(ApiRequests, HaveTimesWithAZone) {
  for (const std::string function : kRanged) {
    for (const std::string name : {"start_date", "end_date"}) {
      for (const std::string value :
           {"", "now", "2026-11-01", "2026-11-01T00:00:00",
            "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
            "2026-11-01T25:00:00Z", "infinity", "2026-11-01T00:00:00 UTC",
            "1762000000", "2026-11-01T00:00:00+25:00",
            "٢٠٢٦-11-01T00:00:00Z"}) {
        ExpectRefused(function, Of(name, value),
                      name + " is not a time with a zone");
      }
      for (const std::string value :
           {"1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z"}) {
        ExpectRefused(function, Of(name, value), name + " is out of range");
      }
    }
    for (const std::string value :
         {"2026-11-01T00:00:00Z", "2026-11-01t00:00:00.123456z",
          "2026-11-01T00:00:00-12:00", "2026-11-01 23:59:60Z"}) {
      ExpectTaken(function, Of("end_date", value));
    }
  }
}

TEST_F(ApiRequests, HaveARangeThatBeginsBeforeItEnds) {
  for (const std::string function : kRanged) {
    ExpectRefused(function,
                  R"({"start_date": "2026-03-01T00:00:00Z",
                      "end_date": "2026-03-01T00:00:00Z"})",
                  "start_date is not before end_date");
    ExpectRefused(function, R"({"start_date": "2099-01-01T00:00:00Z"})",
                  "start_date is not before end_date");
    ExpectRefused(function,
                  R"({"start_date": "2024-01-01T00:00:00Z",
                      "end_date": "2025-02-04T00:00:01Z"})",
                  "start_date is more than 400 days before end_date");
    ExpectTaken(function, R"({"start_date": "2024-01-01T00:00:00Z",
                              "end_date": "2025-02-04T00:00:00Z"})");
    ExpectTaken(function, R"({"end_date": "2000-01-01T00:00:01Z"})");
  }
}

TEST_F(ApiRequests, HaveIdsThatAreUuids) {
  for (const std::string function :
       {"summary", "trend", "execution_times", "alerts", "workflow"}) {
    for (const std::string value :
         {"", "1", "20000000-0000-4000-8000-0000000000a",
          "{20000000-0000-4000-8000-0000000000a1}",
          "20000000000040008000000000000000a1", "' OR true"}) {
      ExpectRefused(function, Of("workflow_id", value),
                    "workflow_id is not a UUID");
      ExpectRefused(function, Of("project_id", value),
                    "project_id is not a UUID");
    }
  }
  ExpectRefused("workflow", "{}", "workflow_id is missing");
  ExpectRefused("remove_alert", "{}", "threshold_id is missing");
  ExpectTaken("workflow",
              Of("workflow_id", "20000000-0000-4000-8000-0000000000A1"));
}

TEST_F(ApiRequests, HaveWordsThatThereAre) {
  for (const auto& [function, name] :
       {std::pair{"summary", "sort"}, std::pair{"summary", "order"},
        std::pair{"summary", "status"}, std::pair{"trend", "bucket"},
        std::pair{"alerts", "scope"}, std::pair{"alerts", "metric"},
        std::pair{"alerts", "resolved"}, std::pair{"set_alert", "window"},
        std::pair{"set_alert", "enabled"}}) {
    ExpectRefused(function, Of(name, "week"),
                  std::string(name) + " is none of those there are");
    ExpectTaken(function == std::string("set_alert") ? "alerts" : function,
                "{\"" + std::string(name) + "\": null}");
  }
}

TEST_F(ApiRequests, HaveLimitsOfPages) {
  for (const auto& [function, most] :
       {std::pair{"summary", 200}, std::pair{"trend", 1000},
        std::pair{"alerts", 200}}) {
    for (const auto& value :
         {std::string("0"), std::string("-1"), std::string("1.5"),
          std::string("\"x\""), std::to_string(most + 1),
          std::string("99999999999")}) {
      ExpectRefused(function, "{\"limit\": " + value + "}",
                    "limit is not such a number");
    }
    ExpectTaken(function, "{\"limit\": " + std::to_string(most) + "}");
    ExpectTaken(function, "{\"limit\": 1}");
  }
}

TEST_F(ApiRequests, SayWhatWouldBeRight) {
  try {
    Answer(ada_, "summary", R"({"order": "up"})");
    FAIL();
  } catch (const meshhook::pg::Error& error) {
    EXPECT_EQ(error.hint(), "one of asc, desc");
  }
}

}  // namespace
