// SPDX-License-Identifier: MIT
// docs/api.md shows what the API really answers. Its requests are sent as they
// stand there, and the page is made anew with the answers.
#include <gtest/gtest.h>
#include <json/writer.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <map>
#include <set>
#include <sstream>

#include "exporter/api/problem.h"
#include "tests/support/judged_api.h"
#include "tests/support/pattern.h"
#include "tests/support/process.h"
#include "tests/support/samples.h"

namespace {

using test::HttpResponse;
using test::JudgedApi;
using test::Operation;
using namespace std::string_literals;

// What stands for what is never the same twice.
constexpr auto kPageDay = "2026-01-31";  // today
constexpr auto kPageMoment = "2026-01-31T09:41:07.123456+00:00";
constexpr auto kPageCursor = "eyJuIjoiMC4xODMzMzMifQ";
constexpr auto kPageAge = 93'512;  // ms
constexpr size_t kWidth = 100;

// Whether the text begins with a time.
bool IsTime(const std::string& text) {
  return text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
         text[10] == 'T' && text[13] == ':' && text[16] == ':';
}

std::time_t Seconds(const std::string& time) {
  std::tm parts{};
  std::istringstream(time) >> std::get_time(&parts, "%Y-%m-%dT%H:%M:%S");
  return timegm(&parts);
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// 0.1 as 0.1.
std::string Scalar(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["precision"] = 15;
  return Json::writeString(builder, value);
}

// Where the page's requests are sent, and what the page shows of answers.
class Page {
 public:
  Page()
      : api_([](meshhook::api::ServerOptions& options) {
          options.stream_life = std::chrono::milliseconds(2500);
        }) {
    api_.db.Exec(R"(
        SELECT pgmq.send_batch('workflow_jobs',
                               array_fill('{}'::jsonb, '{5}'));
        SELECT pgmq.read('workflow_jobs', 600, 2))");
    api_.Post("/api/metrics/alerts", api_.Operator(),
              R"({"scope": "global", "metric": "p95_duration",
                  "warning": 120000})");
    const auto first = api_.db.Exec(
        "SELECT to_char(min(finished_at) AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD\"T\"00:00:00') FROM workflow_runs");
    // Runs begin six days before today.
    later_ = Seconds(first) + 6 * 86'400 -
             Seconds(std::string(kPageDay) + "T00:00:00");
  }

  // An example made anew: its request, and what is answered.
  std::string Renewed(const std::string& example) {
    const auto begin = example.find("```http\n") + 8;
    const auto end = example.find("```\n", begin);
    const auto request = example.substr(begin, end - begin);
    const auto& operation = OperationOf(request);
    const auto response = Sent(operation, request);
    shown_.insert(operation.id() + (response.status < 300 ? "" : " refused"));
    std::string text = std::to_string(response.status) + " " +
                       meshhook::api::StatusText(response.status) + "\n";
    for (const auto& [name, lower] :
         {std::pair{"Content-Type", "content-type"},
          {"Retry-After", "retry-after"},
          {"WWW-Authenticate", "www-authenticate"}}) {
      const auto found = response.headers.find(lower);
      if (found != response.headers.end()) {
        text += name + (": " + found->second) + "\n";
      }
    }
    return "```http\n" + request + "```\n```http\n" + text +
           Body(operation, response) + "```\n";
  }

  const JudgedApi& api() const { return api_; }
  // Operations that were answered, and those that were refused.
  const std::set<std::string>& shown() const { return shown_; }

 private:
  const Operation& OperationOf(const std::string& request) const {
    const auto method = request.substr(0, request.find(' '));
    auto path = request.substr(method.size() + 1);
    path = path.substr(0, path.find_first_of("?\n"));
    for (const auto& operation : api_.operations) {
      const auto form = test::Replaced(operation.path, R"(\{\w+\})", "[^/]+");
      if (operation.method == method && test::Matches(path, form)) {
        return operation;
      }
    }
    throw std::runtime_error("no operation: " + request);
  }

  HttpResponse Sent(const Operation& operation, const std::string& request) {
    std::istringstream lines(ToReal(request));
    std::string line;
    std::getline(lines, line);
    const auto path = line.substr(line.find(' ') + 1);
    std::string token;
    std::vector<std::string> headers;
    while (std::getline(lines, line) && !line.empty()) {
      if (line == "Authorization: Bearer <Ada's token>") {
        token = api_.Ada();
      } else if (line == "Authorization: Bearer <service key>") {
        token = api_.Operator();
      } else {
        headers.push_back(line);
      }
    }
    std::string body((std::istreambuf_iterator<char>(lines)), {});
    if (!body.empty()) body.pop_back();  // the end of its last line
    return operation.id() == "stream"
               ? Streamed(token)
               : api_.Ask(operation.method, path, token, body, headers);
  }

  // With one run that ends meanwhile.
  HttpResponse Streamed(const std::string& token) {
    const test::HttpConnection connection(api_.port());
    connection.Send(
        "GET /api/metrics/stream HTTP/1.1\r\nHost: localhost\r\n"
        "Authorization: Bearer " +
        token + "\r\n\r\n");
    std::string bytes;
    test::Await([&] {
      if (connection.Readable(100)) bytes += connection.ReadSome();
      return bytes.find("event: ready\ndata: {}\n\n") != bytes.npos;
    });
    api_.db.Exec(
        "INSERT INTO workflow_runs (project_id, workflow_id, status, "
        "finished_at) VALUES ('" +
        std::string(test::kShop) + "', '" + test::kImport +
        "', 'succeeded', now())");
    api_.db.Exec("SELECT metrics.fold()");
    bytes += connection.ReadToEnd();
    const auto body = bytes.find("\r\n\r\n") + 4;
    return {200, {{"content-type", "text/event-stream"}}, bytes.substr(body)};
  }

  std::string Body(const Operation& operation, const HttpResponse& response) {
    if (response.body.empty()) return "";
    const auto& type = response.headers.at("content-type");
    if (type == "text/event-stream") return "\n" + Events(response.body);
    const auto& responses = (*operation.described)["responses"];
    const auto& schema = test::Resolved(
        api_.document,
        responses[std::to_string(response.status)])["content"][type]["schema"];
    auto body = test::JsonOf(response);
    if (operation.id() == "openapi") {  // the page says that it is cut
      for (const auto& name : body.getMemberNames()) {
        if (name != "openapi" && name != "info") body.removeMember(name);
      }
    }
    return "\n" + Pretty(ToPage(body), schema, 0) + "\n";
  }

  std::string Events(const std::string& events) {
    std::istringstream lines(events);
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("data: {\"", 0) == 0) {
        line = "data: " +
               OneLine(ToPage(test::JsonOf(line.substr(6))),
                       api_.document["components"]["schemas"]["Change"]);
      }
      text += line + "\n";
    }
    text.pop_back();  // an event ends with an empty line
    return text;
  }

  // The page's stand-ins in a request, as what they stand for.
  std::string ToReal(const std::string& request) {
    std::string real;
    for (size_t at = 0; at < request.size();) {
      const auto time = request.substr(at, 20);
      if (IsTime(time)) {
        real += test::TimeOf(Seconds(time) + later_);
        at += 20;
      } else {
        real += request[at++];
      }
    }
    for (const auto& [own, shown] : ids_) {
      real = test::Replaced(real, shown, own);
    }
    return test::Replaced(real, kPageCursor, cursor_);
  }

  Json::Value ToPage(Json::Value value) {
    if (value.isString()) {
      const auto text = value.asString();
      if (!IsTime(text)) return value;
      if (text.compare(13, 6, ":00:00") == 0 && text[19] != '.') {
        const auto time = test::TimeOf(Seconds(text) - later_);
        return time.substr(0, 19) + "+00:00";
      }
      return kPageMoment;
    }
    if (value.isArray()) {
      for (auto& item : value) item = ToPage(item);
    }
    if (!value.isObject()) return value;
    for (const auto& name : value.getMemberNames()) {
      if (name == "threshold_id") {
        value[name] = Shown(value[name].asString());
      } else if (name == "next_cursor" && value[name].isString()) {
        cursor_ = value[name].asString();
        value[name] = kPageCursor;
      } else if (name == "oldest_age" && value[name].isNumeric()) {
        value[name] = kPageAge;
      } else {
        value[name] = ToPage(value[name]);
      }
    }
    return value;
  }

  // Ids of thresholds are random: the page numbers them.
  std::string Shown(const std::string& id) {
    const auto number = std::to_string(ids_.size() + 1);
    return ids_
        .emplace(id, "30000000-0000-4000-8000-000000000000"s.replace(
                         36 - number.size(), number.size(), number))
        .first->second;
  }

  // In the order that the schema gives.
  std::vector<std::string> Names(const Json::Value& value,
                                 const Json::Value& schema) const {
    std::vector<std::string> names;
    for (const auto& name : test::Resolved(api_.document, schema)["required"]) {
      if (value.isMember(name.asString())) names.push_back(name.asString());
    }
    for (const auto& name : value.getMemberNames()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
    return names;
  }

  const Json::Value& Inner(const Json::Value& schema,
                           const std::string& name) const {
    const auto& resolved = test::Resolved(api_.document, schema);
    return name.empty() ? resolved["items"] : resolved["properties"][name];
  }

  // The parts of an object or array as they are written, by `write`.
  template <typename Write>
  std::vector<std::string> Parts(const Json::Value& value,
                                 const Json::Value& schema,
                                 const Write& write) const {
    std::vector<std::string> parts;
    if (value.isArray()) {
      for (const auto& item : value)
        parts.push_back(write(item, Inner(schema, "")));
      return parts;
    }
    for (const auto& name : Names(value, schema)) {
      parts.push_back("\"" + name +
                      "\": " + write(value[name], Inner(schema, name)));
    }
    return parts;
  }

  std::string OneLine(const Json::Value& value,
                      const Json::Value& schema) const {
    if (!value.isArray() && !value.isObject()) {
      return Scalar(value);
    }
    std::string text;
    for (const auto& part :
         Parts(value, schema, [this](const auto&inner, const auto&its) {
           return OneLine(inner, its);
         })) {
      text += (text.empty() ? "" : ", ") + part;
    }
    return value.isArray() ? "[" + text + "]" : "{" + text + "}";
  }

  std::string Pretty(const Json::Value& value, const Json::Value& schema,
                     size_t indent) const {
    auto line = OneLine(value, schema);
    if (indent + line.size() <= kWidth || value.empty() ||
        (!value.isArray() && !value.isObject())) {
      return line;
    }
    std::string text;
    for (const auto& part :
         Parts(value, schema, [this, indent](const auto&inner, const auto&its) {
           return Pretty(inner, its, indent + 2);
         })) {
      text += (text.empty() ? "" : ",") +
              ("\n" + std::string(indent + 2, ' ')) + part;
    }
    text += "\n" + std::string(indent, ' ');
    return value.isArray() ? "[" + text + "]" : "{" + text + "}";
  }

  JudgedApi api_;
  std::time_t later_ = 0;                   // than on the page
  std::map<std::string, std::string> ids_;  // → as shown
  std::string cursor_;                      // the last that was given
  std::set<std::string> shown_;
};

TEST(ApiPage, ShowsWhatIsAnswered) {
  const std::string path = MESHHOOK_SOURCE "/docs/api.md";
  const std::string begin = "<!-- example -->\n";
  const std::string end = "<!-- end -->";
  const auto text = Read(path);
  Page page;
  std::string renewed;
  size_t at = 0;
  for (size_t next; (next = text.find(begin, at)) != text.npos;) {
    next += begin.size();
    renewed += text.substr(at, next - at);
    at = text.find(end, next);
    ASSERT_NE(at, text.npos);
    renewed += page.Renewed(text.substr(next, at - next));
  }
  renewed += text.substr(at);

  const auto right = std::string(MESHHOOK_EXPORTER)
                         .substr(0, std::string(MESHHOOK_EXPORTER).rfind('/')) +
                     "/api.md";
  std::ofstream(right) << renewed;
  const auto compared = test::Run({"diff", "--unified=1", path, right});
  EXPECT_EQ(compared.status, 0)
      << compared.out << "\nAs it should be: cp " << right << " docs/api.md";
  for (const auto& operation : page.api().operations) {
    EXPECT_TRUE(page.shown().contains(operation.id()))
        << "no example of " << operation.id();
    EXPECT_NE(text.find("<!-- parameters: " + operation.id() + " -->"),
              text.npos)
        << operation.id();
  }
}

}  // namespace
