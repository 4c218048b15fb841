// SPDX-License-Identifier: MIT
// Two tenants and an operator ask the API for everything there is: each gets
// rows of its own, with the numbers that SQL gives.
#include <gtest/gtest.h>
#include <json/writer.h>

#include <array>
#include <cmath>
#include <ctime>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "exporter/api/contract.h"
#include "tests/support/api.h"

namespace {

using meshhook::api::Contract;
using meshhook::api::Operation;
using test::Api;
using test::JsonOf;

constexpr auto kNobody = "00000000-0000-4000-8000-00000000000c";
constexpr auto kUnknown = "30000000-0000-4000-8000-000000000001";

std::string Encoded(const std::string& text) {
  constexpr auto kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    encoded += {'%', kDigits[c >> 4], kDigits[c & 15]};
  }
  return encoded;
}

// What only the others' answers have.
const std::vector<std::string> kOfAda{
    test::kAda,      test::kShop,     test::kBlog,
    test::kImport,   test::kInvoices, test::kPublish,
    "Import orders", "Send invoices", "Publish post"};
const std::vector<std::string> kOfBob{test::kBob,   test::kBakery,
                                      test::kBake,  test::kDeliver,
                                      "Bake bread", "Deliver"};

// A date so many days from now.
std::string Days(int days) {
  const std::time_t at = std::time(nullptr) + days * 86'400;
  std::tm parts{};
  gmtime_r(&at, &parts);
  std::array<char, 16> text{};
  std::strftime(text.data(), text.size(), "%F", &parts);
  return text.data();
}

struct Person {
  std::string name;
  std::string token;
  std::vector<std::string> projects;
  std::vector<std::string> workflows;
  std::vector<std::string> hidden;
};

// Values of each parameter that the person may ask with.
std::map<std::string, std::vector<std::string>> Values(const Person& person) {
  return {{"project_id", person.projects},
          {"workflow_id", person.workflows},
          {"status", {"draft", "published", "archived"}},
          {"start_date",
           {Days(-30) + "T00:00:00Z", Days(-3) + "T10:20:30%2B05:30"}},
          {"end_date", {Days(2) + "T00:00:00Z"}},
          {"sort",
           {"name", "execution_count", "failure_count", "failure_rate",
            "average_duration", "p95_duration", "last_updated"}},
          {"order", {"asc", "desc"}},
          {"limit", {"1", "200"}},
          {"bucket", {"hour", "day"}},
          {"scope", {"global", "project", "workflow"}},
          {"metric",
           {"failure_ratio", "p95_duration", "minimum_runs", "stuck_runs"}},
          {"resolved", {"false"}}};
}

// Every path with each parameter alone and each two of them.
std::vector<std::string> Questions(const Operation& operation,
                                   const Person& person) {
  const auto values = Values(person);
  std::vector<std::string> paths{operation.path};
  if (const auto at = operation.path.find("{workflow_id}");
      at != std::string::npos) {
    paths.clear();
    for (const auto& workflow : person.workflows) {
      paths.push_back(operation.path.substr(0, at) + workflow);
    }
  }
  std::vector<std::vector<std::string>> pairs;  // of each parameter
  for (const auto& parameter : operation.parameters) {
    if (parameter.in_path || !values.contains(parameter.name)) continue;
    auto& own = pairs.emplace_back();
    for (const auto& value : values.at(parameter.name)) {
      own.push_back(parameter.name + "=" + value);
    }
  }
  std::vector<std::string> questions;
  for (const auto& path : paths) {
    questions.push_back(path);
    for (size_t i = 0; i < pairs.size(); ++i) {
      for (const auto& first : pairs[i]) {
        questions.push_back(path + "?" + first);
        for (size_t j = i + 1; j < pairs.size(); ++j) {
          questions.push_back(path + "?" + first + "&" + pairs[j].front());
        }
      }
    }
  }
  return questions;
}

class ApiTenants : public testing::Test {
 protected:
  std::vector<Person> People() const {
    Person ada{"Ada",
               api_.Ada(),
               {test::kShop, test::kBlog},
               {test::kImport, test::kInvoices, test::kPublish},
               kOfBob};
    Person bob{"Bob",
               api_.Bob(),
               {test::kBakery},
               {test::kBake, test::kDeliver},
               kOfAda};
    Person all{
        "the operator", api_.Operator(), ada.projects, ada.workflows, {}};
    all.projects.insert(all.projects.end(), bob.projects.begin(),
                        bob.projects.end());
    all.workflows.insert(all.workflows.end(), bob.workflows.begin(),
                         bob.workflows.end());
    return {ada, bob, all};
  }

  // A threshold of the scope that belongs to whom the token says.
  void SetAlert(const std::string& token, const std::string& scope,
                const std::string& id, const std::string& warning) {
    const auto member = scope == "global"
                            ? std::string()
                            : ", \"" + scope + "_id\": \"" + id + "\"";
    const auto response = api_.Post(
        "/api/metrics/alerts", token,
        R"({"scope": ")" + scope +
            R"(", "metric": "p95_duration", "window": "1h", "warning": )" +
            warning + member + "}");
    ASSERT_EQ(response.status, 200) << response.body;
  }
  void SetAlerts() {
    SetAlert(api_.Ada(), "project", test::kShop, "1111.5");
    SetAlert(api_.Ada(), "workflow", test::kImport, "1112.5");
    SetAlert(api_.Bob(), "project", test::kBakery, "2221.5");
    SetAlert(api_.Bob(), "workflow", test::kBake, "2222.5");
  }

  // What SQL says of the runs of that condition, as an answer would.
  Json::Value Truth(const std::string& condition) {
    return JsonOf(api_.db.Exec(R"(
        SELECT jsonb_build_object(
            'execution_count', count(*),
            'success_count', count(*) FILTER (WHERE status = 'succeeded'),
            'failure_count', count(*) FILTER (WHERE status = 'failed'),
            'canceled_count', count(*) FILTER (WHERE status = 'canceled'),
            'success_rate', round(count(*) FILTER (WHERE status = 'succeeded')
                / nullif(count(ms), 0)::numeric, 6),
            'failure_rate', round(count(*) FILTER (WHERE status = 'failed')
                / nullif(count(ms), 0)::numeric, 6),
            'average_duration', round(avg(ms), 3),
            'min_duration', min(ms), 'max_duration', max(ms),
            'median_duration',
            percentile_disc(0.5) WITHIN GROUP (ORDER BY ms),
            'p95_duration', percentile_disc(0.95) WITHIN GROUP (ORDER BY ms),
            'p99_duration', percentile_disc(0.99) WITHIN GROUP (ORDER BY ms),
            'resource_consumption', coalesce(sum(ms), 0) / 1000.0)
        FROM (SELECT *, CASE WHEN status <> 'canceled' THEN
                   metrics.run_duration_ms(started_at, finished_at) END AS ms
              FROM public.workflow_runs
              WHERE finished_at IS NOT NULL AND )" +
                               condition + ") AS runs"));
  }
  // Every member of the answer but those that are no numbers of runs.
  static void ExpectTrue(const Json::Value& given, const Json::Value& truth,
                         const std::string& what) {
    for (const auto& name : given.getMemberNames()) {
      ASSERT_TRUE(truth.isMember(name)) << name << " of " << what;
      const auto& expected = truth[name];
      if (expected.isNull() || given[name].isNull()) {
        EXPECT_EQ(given[name], expected) << name << " of " << what;
        continue;
      }
      const bool percentile = name.find("median") == 0 || name[0] == 'p';
      EXPECT_NEAR(given[name].asDouble(), expected.asDouble(),
                  percentile ? 0.01 * expected.asDouble() : 1e-9)
          << name << " of " << what;
    }
  }

  static std::string In(const std::string& column,
                        const std::vector<std::string>& ids) {
    std::string list;
    for (const auto& id : ids) list += (list.empty() ? "'" : ", '") + id + "'";
    return column + " IN (" + list + ")";
  }

  Api api_;
};

TEST_F(ApiTenants, GetRowsOfTheirOwnByEveryParameter) {
  SetAlerts();
  for (const auto& person : People()) {
    for (const auto& operation : Contract::Own().operations()) {
      if (operation.method != "GET" || operation.public_ ||
          operation.id == "stream") {
        continue;
      }
      for (const auto& question : Questions(operation, person)) {
        const auto response = api_.Get(question, person.token);
        const bool refused =
            operation.id == "queueDepth" && person.name != "the operator";
        // A workflow of theirs that is in another of their projects.
        const bool of_both = question.find("project_id=") != question.npos &&
                             question.find("workflow_id=") != question.npos;
        if (refused) {
          EXPECT_EQ(response.status, 403) << question;
        } else if (!of_both) {
          EXPECT_EQ(response.status, 200)
              << person.name << " " << question << response.body;
        }
        for (const auto& hidden : person.hidden) {
          EXPECT_EQ(response.body.find(hidden), std::string::npos)
              << person.name << " " << question << response.body;
        }
      }
    }
  }
}

TEST_F(ApiTenants, SeeAllThatIsTheirs) {
  SetAlerts();
  const auto names = [&](const std::string& token) {
    std::set<std::string> found;
    const auto page = api_.Read("/api/metrics/workflows/summary", token);
    for (const auto& item : page["items"]) {
      found.insert(item["workflow"]["name"].asString());
    }
    return found;
  };
  const std::set<std::string> ada{"Import orders", "Publish post",
                                  "Send invoices"};
  const std::set<std::string> bob{"Bake bread", "Deliver"};
  auto all = ada;
  all.insert(bob.begin(), bob.end());
  EXPECT_EQ(names(api_.Ada()), ada);
  EXPECT_EQ(names(api_.Bob()), bob);
  EXPECT_EQ(names(api_.Operator()), all);
  EXPECT_EQ(names(api_.User(kNobody)), std::set<std::string>{});

  const auto warnings = [&](const std::string& token) {
    std::set<double> found;
    const auto page = api_.Read("/api/metrics/alerts?limit=200", token);
    for (const auto& item : page["items"]) {
      if (item["scope"] != "global") {
        found.insert(item["warning"].asDouble());
      }
    }
    return found;
  };
  EXPECT_EQ(warnings(api_.Ada()), (std::set<double>{1111.5, 1112.5}));
  EXPECT_EQ(warnings(api_.Bob()), (std::set<double>{2221.5, 2222.5}));
  EXPECT_EQ(warnings(api_.Operator()),
            (std::set<double>{1111.5, 1112.5, 2221.5, 2222.5}));
  EXPECT_EQ(warnings(api_.User(kNobody)), std::set<double>{});
}

TEST_F(ApiTenants, CannotTellWhatIsForeignFromWhatIsNot) {
  for (const auto& operation : Contract::Own().operations()) {
    for (const auto& parameter : operation.parameters) {
      const auto& name = parameter.name;
      if (name != "workflow_id" && name != "project_id") continue;
      const auto ask = [&](const std::string& id) {
        auto path = operation.path;
        if (parameter.in_path) {
          path.replace(path.find("{"), std::string::npos, id);
        } else {
          path += "?" + name + "=" + id;
        }
        return api_.Get(path, api_.Ada());
      };
      const auto foreign =
          ask(name == "project_id" ? test::kBakery : test::kBake);
      const auto unknown = ask(kUnknown);
      EXPECT_EQ(foreign.status, 404) << operation.id << " " << name;
      EXPECT_EQ(unknown.status, 404) << operation.id << " " << name;
      EXPECT_EQ(foreign.body, unknown.body);
      EXPECT_EQ(foreign.headers, unknown.headers);
    }
  }
}

TEST_F(ApiTenants, GetNothingWhereProjectAndWorkflowDoNotGoTogether) {
  for (const std::string path :
       {"/api/metrics/workflows/summary", "/api/metrics/workflows/trend",
        "/api/v1/statistics/execution-times"}) {
    for (const auto& [project, workflow] :
         {std::pair{test::kBakery, test::kImport},
          std::pair{test::kShop, test::kBake},
          std::pair{test::kBlog, test::kImport}}) {
      EXPECT_EQ(
          api_.Get(path + "?project_id=" + project + "&workflow_id=" + workflow,
                   api_.Ada())
              .status,
          404)
          << path << project << workflow;
    }
  }
}

TEST_F(ApiTenants, ChangeNoThresholdOfOthers) {
  SetAlerts();
  const auto thresholds = [&] {
    return api_.db.Exec(
        "SELECT jsonb_agg(t ORDER BY threshold_id) "
        "FROM metrics.alert_thresholds AS t",
        test::kSuperuser);
  };
  const auto body = [](const std::string& scope, const std::string& members) {
    return R"({"metric": "stuck_runs", "window": "1h", "warning": 5, "scope": ")" +
           scope + "\"" + members + "}";
  };
  const auto set = [&](const std::string& text) {
    return api_.Post("/api/metrics/alerts", api_.Ada(), text);
  };
  EXPECT_EQ(
      api_.Post("/api/metrics/alerts", api_.Operator(), body("global", ""))
          .status,
      200);
  const auto before = thresholds();
  const auto of_project = [&](const std::string& id) {
    return set(body("project", R"(, "project_id": ")" + id + "\""));
  };
  const auto of_workflow = [&](const std::string& id) {
    return set(body("workflow", R"(, "workflow_id": ")" + id + "\""));
  };
  EXPECT_EQ(of_project(test::kBakery).status, 404);
  EXPECT_EQ(of_project(test::kBakery).body, of_project(kUnknown).body);
  EXPECT_EQ(of_workflow(test::kBake).status, 404);
  EXPECT_EQ(of_workflow(test::kBake).body, of_workflow(kUnknown).body);
  EXPECT_EQ(set(body("global", "")).status, 403);

  const auto remove = [&](const std::string& id) {
    return api_.Delete("/api/metrics/alerts?threshold_id=" + id, api_.Ada());
  };
  const auto bobs = api_.db.Exec(
      "SELECT threshold_id FROM metrics.alert_thresholds WHERE warning = "
      "2222.5",
      test::kSuperuser);
  const auto global = api_.db.Exec(
      "SELECT threshold_id FROM metrics.alert_thresholds "
      "WHERE scope = 'global' LIMIT 1",
      test::kSuperuser);
  EXPECT_EQ(remove(bobs).status, 404);
  EXPECT_EQ(remove(bobs).body, remove(kUnknown).body);
  EXPECT_EQ(remove(global).status, 403);
  EXPECT_EQ(thresholds(), before);

  const auto own = api_.db.Exec(
      "SELECT threshold_id FROM metrics.alert_thresholds WHERE warning = "
      "1112.5",
      test::kSuperuser);
  EXPECT_EQ(remove(own).status, 204);
  EXPECT_EQ(remove(own).status, 404);
  EXPECT_NE(thresholds(), before);
}

// Whatever a cursor says, it is about the caller's own rows.
TEST_F(ApiTenants, GetNothingOfOthersByACursorOfTheirs) {
  const std::string path = "/api/metrics/workflows/summary?limit=1&sort=name";
  const auto cursor = api_.Read(path, api_.Bob())["next_cursor"].asString();
  ASSERT_NE(cursor, "");
  const auto response = api_.Get(path + "&cursor=" + cursor, api_.Ada());
  EXPECT_TRUE(response.status == 200 || response.status == 400)
      << response.status;
  for (const auto& hidden : kOfBob) {
    EXPECT_EQ(response.body.find(hidden), std::string::npos) << response.body;
  }
}

TEST_F(ApiTenants, GetTheNumbersThatSqlGives) {
  // Days of the past, hours of one of them, and all there is; UTC.
  const std::map<std::string, std::string> ranges{
      {"", "true"},
      {"date_trunc('day', now(), 'UTC') - interval '5 days'",
       "date_trunc('day', now(), 'UTC') - interval '2 days'"},
      {"date_trunc('day', now(), 'UTC') - interval '69 hours'",
       "date_trunc('day', now(), 'UTC') - interval '64 hours'"},
      {"date_trunc('day', now(), 'UTC') - interval '61 hours'",
       "date_trunc('day', now(), 'UTC') + interval '2 days'"}};
  const auto spelled = [&](const std::string& time) {
    return api_.db.Exec("SELECT to_char((" + time +
                        ") AT TIME ZONE 'UTC', "
                        "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
  };
  for (const auto& [start, end] : ranges) {
    const bool whole = start.empty();
    const auto query =
        whole ? std::string("?")
              : "?start_date=" + spelled(start) + "&end_date=" + spelled(end);
    const auto in_range =
        whole ? std::string(" AND true")
              : " AND finished_at >= " + start + " AND finished_at < " + end;
    for (const auto& person : People()) {
      const auto of_person = In("project_id", person.projects) + in_range;
      const auto read = [&](const std::string& path, const std::string& more) {
        return api_.Read(path + query + more, person.token);
      };
      const auto overview = read("/api/metrics", "");
      ExpectTrue(overview["period"], Truth(of_person), person.name);
      ExpectTrue(overview["lifetime"], Truth(In("project_id", person.projects)),
                 person.name);
      EXPECT_EQ(overview["project_count"].asUInt(), person.projects.size());
      EXPECT_EQ(overview["workflow_count"].asUInt(), person.workflows.size());
      ExpectTrue(read("/api/v1/statistics/execution-times", "")["period"],
                 Truth(of_person), person.name);
      for (const auto& project : person.projects) {
        const auto truth = Truth(In("project_id", {project}) + in_range);
        const auto more = "&project_id=" + project;
        ExpectTrue(read("/api/metrics", more)["period"], truth, project);
        ExpectTrue(read("/api/v1/statistics/execution-times", more)["period"],
                   truth, project);
      }
      for (const auto& workflow : person.workflows) {
        const auto truth = Truth(In("workflow_id", {workflow}) + in_range);
        const auto detail = read("/api/metrics/workflow/" + workflow, "");
        ExpectTrue(detail["period"], truth, workflow);
        ExpectTrue(detail["lifetime"], Truth(In("workflow_id", {workflow})),
                   workflow);
        ExpectTrue(read("/api/v1/statistics/execution-times",
                        "&workflow_id=" + workflow)["period"],
                   truth, workflow);
      }
      const auto summary = read("/api/metrics/workflows/summary", "");
      EXPECT_EQ(summary["items"].size(), person.workflows.size());
      for (const auto& item : summary["items"]) {
        const auto id = item["workflow"]["workflow_id"].asString();
        ExpectTrue(item["period"], Truth(In("workflow_id", {id}) + in_range),
                   "the summary of " + id);
        ExpectTrue(item["lifetime"], Truth(In("workflow_id", {id})),
                   "the summary of " + id);
      }
    }
  }
}

TEST_F(ApiTenants, GetTheTrendThatSqlGives) {
  for (const auto& person : People()) {
    std::vector<std::pair<std::string, std::string>> scopes{
        {"", In("project_id", person.projects)}};
    for (const auto& id : person.projects) {
      scopes.emplace_back("&project_id=" + id, In("project_id", {id}));
    }
    for (const auto& id : person.workflows) {
      scopes.emplace_back("&workflow_id=" + id, In("workflow_id", {id}));
    }
    for (const auto& [more, condition] : scopes) {
      for (const std::string unit : {"hour", "day"}) {
        std::map<std::string, Json::Value> given;
        const auto trend = api_.Read(
            "/api/metrics/workflows/trend?bucket=" + unit + more, person.token);
        for (const auto& item : trend["items"]) {
          given[item["bucket_start"].asString()] = item["sums"];
        }
        std::istringstream starts(api_.db.Exec(
            "SELECT coalesce(string_agg(DISTINCT (to_jsonb(date_trunc('" +
            unit +
            "', finished_at, 'UTC')) #>> '{}'), ' '), '') "
            "FROM workflow_runs WHERE finished_at IS NOT NULL AND " +
            condition));
        size_t expected = 0;
        for (std::string start; starts >> start; ++expected) {
          ASSERT_TRUE(given.contains(start)) << start << trend;
          ExpectTrue(given[start],
                     Truth(condition + " AND date_trunc('" + unit +
                           "', finished_at, 'UTC') = '" + start + "'"),
                     start + more);
        }
        EXPECT_EQ(given.size(), expected) << more;
      }
    }
  }
}

const std::vector<std::string> kInjections{
    "'",
    "' OR '1'='1",
    "'; DROP TABLE projects; --",
    "\" OR \"\"=\"",
    "1); DELETE FROM workflow_runs; --",
    "$$; DROP SCHEMA metrics CASCADE; $$",
    "\\'; DROP TABLE projects; --",
    "' UNION SELECT rolname FROM pg_roles --",
    "'/**/OR/**/true#",
    "' || pg_sleep(10) || '",
    "(SELECT pg_sleep(10))",
    "1; SET ROLE service_role",
    "{\"$ne\": null}",
    "\xef\xbc\x87 OR true --",  // a wide apostrophe
    "%27%20OR%20true",
    "\n; RESET ROLE; SELECT * FROM secrets",
    "a'::uuid::text",
    "NULL",
    "*"};

TEST_F(ApiTenants, InjectNothing) {
  SetAlerts();
  const auto state = [&] {
    return test::SchemaDump(api_.db.Url(test::kSuperuser)) +
           api_.db.Exec(
               "SELECT md5(concat((SELECT jsonb_agg(t ORDER BY t) FROM "
               "projects "
               "AS t), (SELECT jsonb_agg(t ORDER BY t) FROM "
               "workflow_definitions AS t), (SELECT jsonb_agg(t ORDER BY t) "
               "FROM workflow_runs AS t), (SELECT jsonb_agg(t ORDER BY t) FROM "
               "metrics.alert_thresholds AS t)))",
               test::kSuperuser);
  };
  const auto before = state();
  const auto refused = [&](const std::string& method, const std::string& path,
                           const std::string& body) {
    const auto response = body.empty() ? api_.Ask(method, path, api_.Ada())
                                       : api_.Post(path, api_.Ada(), body);
    EXPECT_TRUE(response.status == 400 || response.status == 404)
        << response.status << " " << path << body << response.body;
  };
  for (const auto& operation : Contract::Own().operations()) {
    for (const auto& injection : kInjections) {
      auto own = operation.path;
      if (const auto at = own.find("{"); at != own.npos) {
        refused(operation.method, own.substr(0, at) + Encoded(injection), "");
        own.replace(at, own.npos, test::kImport);
      }
      if (operation.body == nullptr) {
        refused(operation.method, own + "?" + Encoded(injection) + "=1", "");
      }
      for (const auto& parameter : operation.parameters) {
        if (parameter.in_path) continue;
        refused(operation.method,
                own + "?" + parameter.name + "=" + Encoded(injection), "");
      }
      if (operation.body == nullptr) continue;
      const auto good = JsonOf(R"({"scope": "project", "metric": "stuck_runs",
                                   "window": "1h", "warning": 5})");
      for (const auto& name :
           (*operation.body)["properties"].getMemberNames()) {
        auto bad = good;
        bad["project_id"] = test::kShop;
        bad[name] = injection;
        refused("POST", own, test::Text(bad));
      }
      auto bad = good;
      bad[injection] = 1;
      refused("POST", own, test::Text(bad));
    }
  }
  EXPECT_EQ(state(), before);
}

// A cursor is no secret, so each of its members may hold anything.
TEST_F(ApiTenants, InjectNothingByACursor) {
  for (const std::string path :
       {"/api/metrics/workflows/summary?sort=name",
        "/api/metrics/workflows/summary?x", "/api/metrics/workflows/trend?x"}) {
    const auto question =
        path.substr(0, path.find("?x")) +
        (path.find("?x") == path.npos ? "&limit=1" : "?limit=1");
    const auto genuine =
        api_.Read(question, api_.Ada())["next_cursor"].asString();
    const auto text =
        api_.db.Exec("SELECT convert_from(decode(translate('" + genuine +
                     "', '-_', '+/') || repeat('=', -length('" + genuine +
                     "') & 3), 'base64'), 'UTF8')");
    const auto place = JsonOf(text);
    for (const auto& name : place.getMemberNames()) {
      for (const auto& injection : kInjections) {
        auto bad = place;
        bad[name] = injection;
        const auto response =
            api_.Get(question + "&cursor=" + test::Base64Url(test::Text(bad)),
                     api_.Ada());
        // A name is text, so any will do.
        EXPECT_EQ(response.status, name == "w" ? 200 : 400)
            << name << " " << injection << response.body;
        for (const auto& hidden : kOfBob) {
          EXPECT_EQ(response.body.find(hidden), std::string::npos);
        }
      }
    }
  }
}

}  // namespace
