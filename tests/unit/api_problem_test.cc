// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "exporter/api/problem.h"
#include "tests/support/api.h"

namespace {

using meshhook::api::Problem;
using meshhook::api::StatusText;
using meshhook::api::ToText;

TEST(Problem, IsAnObjectOfRfc9457) {
  EXPECT_EQ(test::JsonOf(ToText(Problem(400, "limit is missing", "limit"))),
            test::JsonOf(R"({"type": "about:blank", "title": "Bad Request",
                             "status": 400, "detail": "limit is missing",
                             "parameter": "limit"})"));
}

TEST(Problem, NamesNoParameterWhereThereIsNone) {
  const auto body = test::JsonOf(ToText(Problem(404, "nothing")));
  EXPECT_FALSE(body.isMember("parameter"));
  EXPECT_EQ(body["title"], "Not Found");
}

TEST(Problem, KeepsWhatWouldBreakItsLine) {
  const std::string detail = "a \"quote\", a \\ and a\nnew line";
  const auto text = ToText(Problem(400, detail));
  EXPECT_EQ(text.find('\n'), text.npos);
  EXPECT_EQ(test::JsonOf(text)["detail"], detail);
}

TEST(Problem, MayBeOverByItself) {
  EXPECT_EQ(Problem(503, "away").retry_after(), 0);
  const auto passing = Problem::Passing(503, "away", 5);
  EXPECT_EQ(passing.retry_after(), 5);
  EXPECT_EQ(passing.status(), 503);
  EXPECT_STREQ(passing.what(), "away");
}

TEST(Problem, HasATitleForEveryStatusThatThereIs) {
  std::set<std::string> titles;
  for (const int status : {200, 204, 400, 401, 403, 404, 405, 408, 411, 413,
                           414, 415, 429, 431, 500, 503}) {
    EXPECT_TRUE(titles.insert(StatusText(status)).second) << status;
  }
  // What CivetWeb comes up with by itself.
  EXPECT_STREQ(StatusText(418), "Bad Request");
  EXPECT_STREQ(StatusText(505), "Internal Server Error");
}

}  // namespace
