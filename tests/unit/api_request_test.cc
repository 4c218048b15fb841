// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "exporter/api/problem.h"
#include "exporter/api/request.h"
#include "exporter/api/strict_json.h"
#include "tests/support/api.h"
#include "tests/support/samples.h"

namespace {

using meshhook::api::Arguments;
using meshhook::api::Contract;
using meshhook::api::Operation;
using meshhook::api::Problem;
using meshhook::api::Request;
using test::Encoded;
using test::JsonOf;
using test::SamplesOf;

constexpr auto kId = "4f1c2a9e-0000-4000-8000-000000000001";

const Operation& Called(const std::string& id) {
  for (const auto& operation : Contract::Own().operations()) {
    if (operation.id == id) return operation;
  }
  throw std::logic_error("nothing is called " + id);
}

// The arguments in one line, or "400 limit: …".
std::string Told(const Operation& operation, const Request& request) {
  try {
    return meshhook::api::ToLine(
        Arguments(operation, request, Contract::Own()));
  } catch (const Problem& problem) {
    return std::to_string(problem.status()) + " " + problem.parameter() + ": " +
           problem.detail();
  }
}

std::string Asked(const std::string& id, const std::string& query) {
  return Told(Called(id), {.query = query});
}

std::string Sent(const std::string& body,
                 const std::string& type = "application/json") {
  return Told(Called("setAlert"), {.content_type = type, .body = body});
}

bool Begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}

// What a call needs at least.
Request Least(const Operation& operation, std::string& query) {
  Request request;
  for (const auto& parameter : operation.parameters) {
    if (parameter.in_path) {
      request.path_values[parameter.name] =
          SamplesOf(*parameter.schema).good.front();
    } else if (parameter.required) {
      query += parameter.name + "=" +
               Encoded(SamplesOf(*parameter.schema).good.front()) + "&";
    }
  }
  request.query = query;
  if (operation.body != nullptr) {
    request.content_type = "application/json";
    request.body =
        R"({"scope": "global", "metric": "failure_ratio", "warning": 0.1})";
  }
  return request;
}

TEST(Request, HasTheDefaultsOfWhatIsNotGiven) {
  EXPECT_EQ(JsonOf(Asked("summary", "")),
            JsonOf(R"({"sort": "execution_count", "order": "desc",
                       "limit": 50})"));
  EXPECT_EQ(JsonOf(Asked("alerts", "resolved=true&limit=7")),
            JsonOf(R"({"resolved": true, "limit": 7})"));
  EXPECT_EQ(Asked("queueDepth", ""), "{}");
  EXPECT_EQ(JsonOf(Sent(R"({"scope": "global", "metric": "stuck_runs"})")),
            JsonOf(R"({"scope": "global", "metric": "stuck_runs",
                       "window": "1h", "enabled": true})"));
}

TEST(Request, TakesPathQueryAndBodyTogether) {
  EXPECT_EQ(JsonOf(Told(Called("workflow"),
                        {.path_values = {{"workflow_id", kId}},
                         .query = "start_date=2026-01-01T00%3A00:00%2B01:00"})),
            JsonOf(std::string(R"({"start_date": "2026-01-01T00:00:00+01:00",
                                   "workflow_id": ")") +
                   kId + "\"}"));
}

TEST(Request, ReadsPercentEncoding) {
  EXPECT_TRUE(Begins(Asked("trend", "%62ucket=%68our"), "{"));
  EXPECT_TRUE(Begins(Asked("trend", "&&bucket=hour&"), "{"));
  for (const std::string value : {"%", "%6", "%6g", "hour%", "%00", "%ff",
                                  "%C3%28", "\xFF", "%ED%A0%80", "hour%0"}) {
    EXPECT_EQ(Asked("trend", "bucket=" + value),
              "400 bucket: bucket is not percent-encoded UTF-8")
        << value;
    EXPECT_EQ(Asked("trend", value + "=hour"),
              "400 : the name of a parameter is not percent-encoded UTF-8")
        << value;
  }
  // A plus is a space, so one that is meant has to be encoded.
  EXPECT_TRUE(
      Begins(Asked("trend", "start_date=2026-01-01T00:00:00+01:00"),
             "400 start_date: start_date must be a time with its zone"));
}

TEST(Request, NamesWhatIsUnknownMissingOrThereTwice) {
  EXPECT_EQ(Asked("trend", "buckets=hour"),
            "400 buckets: buckets is not known here; there are bucket, "
            "project_id, workflow_id, start_date, end_date, limit, cursor");
  EXPECT_EQ(Asked("queueDepth", "x"),
            "400 x: x is not known here; this call takes none");
  EXPECT_EQ(Asked("trend", "bucket=hour&bucket=hour"),
            "400 bucket: bucket is given twice; give it once");
  EXPECT_EQ(Asked("trend", "bucket=hour&%62ucket=day"),
            "400 bucket: bucket is given twice; give it once");
  EXPECT_EQ(Asked("removeAlert", ""),
            "400 threshold_id: threshold_id is missing");
  // What the path says cannot be said by the query.
  EXPECT_TRUE(Begins(
      Told(Called("workflow"),
           {.path_values = {{"workflow_id", kId}}, .query = "workflow_id=x"}),
      "400 workflow_id: workflow_id is not known here"));
  // Nothing of a stranger's is repeated that is no name.
  EXPECT_TRUE(Begins(Asked("trend", "%3Cscript%3E=1"),
                     "400 : a parameter is not known here"));
  EXPECT_TRUE(Begins(Asked("trend", std::string(65, 'a') + "=1"),
                     "400 : a parameter is not known here"));
  EXPECT_TRUE(Begins(Asked("trend", "=1"), "400 : a parameter is not known"));
}

TEST(Request, TakesWhatIsGoodForEachParameterAndNothingElse) {
  int parameters = 0;
  for (const auto& operation : Contract::Own().operations()) {
    for (const auto& parameter : operation.parameters) {
      ++parameters;
      const auto tell = [&](const std::string& text) {
        std::string query;
        auto request = Least(operation, query);
        if (parameter.in_path) {
          request.path_values[parameter.name] = text;
        } else {
          if (parameter.required) query.clear();
          query += parameter.name + "=" + Encoded(text);
          request.query = query;
        }
        return Told(operation, request);
      };
      const auto samples = SamplesOf(*parameter.schema);
      for (const auto& good : samples.good) {
        EXPECT_TRUE(Begins(tell(good), "{"))
            << operation.id << " " << parameter.name << "=" << good;
      }
      for (const auto& bad : samples.bad) {
        const auto refusal =
            "400 " + parameter.name + ": " + parameter.name + " must be ";
        EXPECT_TRUE(Begins(tell(bad), refusal))
            << operation.id << " " << parameter.name << "=" << bad;
      }
    }
  }
  EXPECT_GT(parameters, 30);
}

TEST(Request, MayHaveAQueryOfFourKiB) {
  const std::string query(meshhook::api::kMostQuery, '&');
  EXPECT_TRUE(Begins(Asked("trend", query), "{"));
  EXPECT_EQ(Asked("trend", query + "&"),
            "414 : the query is longer than 4096 bytes");
}

TEST(Request, HasABodyOnlyWhereOneIsTaken) {
  for (const auto& operation : Contract::Own().operations()) {
    std::string query;
    auto request = Least(operation, query);
    if (operation.body != nullptr) {
      request.body = "";
      EXPECT_TRUE(Begins(Told(operation, request), "400 : the body is not"));
    } else {
      request.body = "{}";
      EXPECT_EQ(Told(operation, request), "400 : this call takes no body");
    }
  }
}

TEST(Request, HasABodyOfJsonAndSaysSo) {
  const std::string good = R"({"scope": "global", "metric": "stuck_runs"})";
  for (const std::string type :
       {"application/json", "APPLICATION/JSON", "application/json;charset=utf8",
        "application/json ; charset=utf-8"}) {
    EXPECT_TRUE(Begins(Sent(good, type), "{")) << type;
  }
  for (const std::string type :
       {"", "text/plain", "application/json2", "application/x-json",
        "application/x-www-form-urlencoded", "application/json, text/plain",
        "application/problem+json"}) {
    EXPECT_EQ(Sent(good, type),
              "415 : send the body with Content-Type: application/json")
        << type;
  }
}

TEST(Request, RefusesABodyThatIsNoObjectOrTooLong) {
  for (const std::string& body :
       {std::string("[]"), std::string("null"), std::string("{"),
        std::string("{} x"), std::string(R"({"scope": "a", "scope": "b"})"),
        std::string("{\"scope\": \"\\u0000\"}"), std::string("{'a': 1}"),
        std::string("{\"a\": \"\xFF\"}"), std::string("{/**/}"),
        std::string(1000, '['), std::string("{}\0", 3)}) {
    EXPECT_TRUE(Begins(Sent(body), "400 : the body is not a JSON object"))
        << body;
  }
  const std::string full(meshhook::api::kMostBody, ' ');
  EXPECT_TRUE(Begins(Sent(full), "400 "));
  EXPECT_EQ(Sent(full + " "), "413 : the body is longer than 16 KiB");
}

TEST(Request, NamesTheMemberOfTheBodyThatIsWrong) {
  const auto with = [](const std::string& member) {
    return Sent(R"({"scope": "workflow", "metric": "stuck_runs", )" + member +
                "}");
  };
  EXPECT_TRUE(Begins(with(R"("warning": 5, "critical": null)"), "{"));
  for (const auto& [member, name] : {std::pair{R"("warning": "5")", "warning"},
                                     {R"("warning": -1)", "warning"},
                                     {R"("warning": 1e13)", "warning"},
                                     {R"("critical": true)", "critical"},
                                     {R"("critical": [1])", "critical"},
                                     {R"("window": "2h")", "window"},
                                     {R"("window": null)", "window"},
                                     {R"("enabled": "true")", "enabled"},
                                     {R"("enabled": 1)", "enabled"},
                                     {R"("project_id": "x")", "project_id"},
                                     {R"("workflow_id": 1)", "workflow_id"},
                                     {R"("threshold_id": "x")", "threshold_id"},
                                     {R"("updated_by": "me")", "updated_by"}}) {
    EXPECT_TRUE(
        Begins(with(member), "400 " + std::string(name) + ": " + name + " "))
        << with(member);
  }
  EXPECT_TRUE(Begins(Sent("{}"), "400 scope: scope is missing"));
  EXPECT_TRUE(Begins(Sent(R"({"scope": "all", "metric": "stuck_runs"})"),
                     "400 scope: scope must be one of global, project"));
  EXPECT_TRUE(Begins(with(R"("<script>": 1)"),
                     "400 : a member of the body is not known here"));
}

// Bytes as a stranger may send them: mostly what the parser knows, in an order
// that it does not.
class Stranger {
 public:
  explicit Stranger(unsigned seed) : random_(seed) {}

  size_t Below(size_t most) { return random_() % most; }
  std::string Bytes(size_t most) {
    std::string bytes(Below(most), '\0');
    for (char& c : bytes) c = static_cast<char>(Below(256));
    return bytes;
  }
  std::string Query(const Operation& operation) {
    std::string query;
    for (size_t left = Below(8); left > 0; --left) {
      if (operation.parameters.empty() || Below(6) == 0) {
        query += Bytes(20);
      } else {
        const auto& parameter =
            operation.parameters[Below(operation.parameters.size())];
        query += parameter.name + "=" + Value(*parameter.schema);
      }
      query += Below(5) == 0 ? "" : "&";
    }
    return query;
  }
  std::string Body() {
    static const std::vector<std::string> kPieces{
        "{",       "}",           R"("scope")",   ":",
        ",",       R"("global")", R"("metric")",  R"("stuck_runs")",
        "1e999",   "-0",          "null",         "true",
        "[",       "]",           R"("warning")", "0.5",
        "\\u0000", R"("\ud800")", R"("enabled")", "\"",
        " ",       "\n"};
    std::string body;
    for (size_t left = Below(25); left > 0; --left) {
      body += Below(12) == 0 ? Bytes(4) : kPieces[Below(kPieces.size())];
    }
    return body;
  }

 private:
  std::string Value(const Json::Value& schema) {
    const auto samples = SamplesOf(schema);
    switch (Below(4)) {
      case 0:
        return Bytes(12);
      case 1:
        return Encoded(samples.bad[Below(samples.bad.size())]);
      default:
        return Encoded(samples.good[Below(samples.good.size())]);
    }
  }

  std::mt19937 random_;
};

// All that a function of the database relies on.
void ExpectToHold(const Operation& operation, const Json::Value& arguments) {
  const auto& schemas = Contract::Own().schemas();
  std::set<std::string> known;
  for (const auto& parameter : operation.parameters) {
    known.insert(parameter.name);
    if (!arguments.isMember(parameter.name)) {
      EXPECT_FALSE(parameter.required) << parameter.name;
      EXPECT_FALSE(parameter.schema->isMember("default")) << parameter.name;
    } else {
      EXPECT_FALSE(
          schemas.FaultOf(arguments[parameter.name], *parameter.schema));
    }
  }
  if (operation.body != nullptr) {
    EXPECT_FALSE(schemas.FaultOf(arguments, *operation.body));
  } else {
    for (const auto& name : arguments.getMemberNames()) {
      EXPECT_TRUE(known.contains(name)) << name;
    }
  }
  const auto line = meshhook::api::ToLine(arguments);
  EXPECT_EQ(line.find_first_of(std::string("\n\0", 2)), line.npos);
  EXPECT_EQ(JsonOf(line), arguments);
}

TEST(Request, OfAnyBytesIsEitherRefusedOrRight) {
  Stranger stranger(6);
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto& operations = Contract::Own().operations();
    const auto& operation = operations[stranger.Below(operations.size())];
    std::string required;
    auto request = Least(operation, required);
    const auto query = required + stranger.Query(operation);
    const auto body = stranger.Body();
    request.query = query;
    if (stranger.Below(operation.body == nullptr ? 10 : 2) == 0) {
      request.body = body;
    }
    if (stranger.Below(10) == 0) {
      for (auto& [name, value] : request.path_values) {
        value = stranger.Bytes(40);
      }
    }
    try {
      ExpectToHold(operation, Arguments(operation, request, Contract::Own()));
      ++taken;
    } catch (const Problem& problem) {
      EXPECT_TRUE(problem.status() == 400 || problem.status() == 413 ||
                  problem.status() == 414 || problem.status() == 415);
      EXPECT_FALSE(problem.detail().empty());
      EXPECT_EQ(problem.parameter().find_first_not_of(
                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789_-"),
                std::string::npos);
      JsonOf(ToText(problem));
      ++refused;
    }
  }
  EXPECT_GT(taken, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
