// SPDX-License-Identifier: MIT
// What the API's server does with requests that are too long, too slow, too
// many, malformed, or from somebody else's page.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/api.h"
#include "tests/support/process.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::api::ServerOptions;
using test::Api;
using test::HttpConnection;
using test::HttpResponse;
using test::JsonOf;

constexpr auto kOrigin = "https://console.example.com";
constexpr auto kThreshold = R"({"scope": "project", "metric": "stuck_runs",
    "project_id": "10000000-0000-4000-8000-0000000000a1", "window": "1h",
    "warning": 5})";

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

class ApiHardening : public testing::Test {
 protected:
  explicit ApiHardening(double requests_per_second = 10'000)
      : api_([&](ServerOptions& options) {
          options.cors_origins = {kOrigin, "http://localhost:5173"};
          options.requests_per_second = requests_per_second;
        }) {}

  // All that the server says to these very bytes until it hangs up.
  std::string Raw(const std::string& bytes) const {
    const HttpConnection connection(api_.port());
    connection.Send(bytes);
    return connection.ReadToEnd();
  }
  std::string Authorization() const {
    return "Authorization: Bearer " + api_.Ada() + "\r\n";
  }
  HttpResponse Post(const std::string& body,
                    const std::vector<std::string>& headers) const {
    return api_.Ask("POST", "/api/metrics/alerts", api_.Ada(), body, headers);
  }

  Api api_;
};

TEST_F(ApiHardening, TakesABodyOfSixteenKibAndNoByteMore) {
  const std::vector<std::string> json{"Content-Type: application/json"};
  std::string body = kThreshold;
  body.resize(16 * 1024, ' ');
  EXPECT_EQ(Post(body, json).status, 200);
  const auto refused = Post(body + " ", json);
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(refused.headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(JsonOf(refused)["status"], 413);
  // Neither is it read: what comes next is no second request.
  EXPECT_EQ(refused.headers.at("connection"), "close");
}

TEST_F(ApiHardening, RefusesABodyThatDoesNotSayHowLongItIs) {
  for (const auto* encoding : {"chunked", "gzip, chunked", "identity"}) {
    const auto answer = Raw(
        "POST /api/metrics/alerts HTTP/1.1\r\nHost: x\r\n" + Authorization() +
        "Content-Type: application/json\r\nTransfer-Encoding: " + encoding +
        "\r\n\r\n5\r\n{\"a\":\r\n0\r\n\r\n");
    EXPECT_EQ(answer.rfind("HTTP/1.1 4", 0), 0U) << answer;
    EXPECT_EQ(answer.find("}HTTP/"), answer.npos) << answer;
  }
}

TEST_F(ApiHardening, RefusesABodyWhoseLengthIsInDoubt) {
  for (const std::string lengths :
       {"Content-Length: -1\r\n", "Content-Length: 5x\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 2\r\nContent-Length: 30\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"}) {
    const auto answer =
        Raw("POST /api/metrics/alerts HTTP/1.1\r\nHost: x\r\n" +
            Authorization() + "Content-Type: application/json\r\n" + lengths +
            "\r\n{}GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(answer.rfind("HTTP/1.1 4", 0), 0U) << lengths << answer;
    EXPECT_FALSE(Contains(answer, "HTTP/1.1 200")) << lengths << answer;
  }
}

TEST_F(ApiHardening, DoesNotWaitForABodyThatDoesNotCome) {
  const auto started = Clock::now();
  const auto answer =
      Raw("POST /api/metrics/alerts HTTP/1.1\r\nHost: x\r\n" + Authorization() +
          "Content-Type: application/json\r\n"
          "Content-Length: 100\r\n\r\n{\"scope\":");
  EXPECT_EQ(answer.rfind("HTTP/1.1 408", 0), 0U) << answer;
  EXPECT_LT(Clock::now() - started, 5s);
}

// Nor for the body of one who is refused anyway.
TEST_F(ApiHardening, DoesNotWaitForABodyThatComesByteByByte) {
  for (const auto& authorization : {Authorization(), std::string()}) {
    const HttpConnection connection(api_.port());
    connection.Send("POST /api/metrics/alerts HTTP/1.1\r\nHost: x\r\n" +
                    authorization +
                    "Content-Type: application/json\r\n"
                    "Content-Length: 10000\r\n\r\n");
    const auto hung_up = Clock::now() + 5s;
    bool over = false;
    while (!over && Clock::now() < hung_up) {
      try {
        connection.Send(" ");
      } catch (const std::system_error&) {
        over = true;
      }
      std::this_thread::sleep_for(100ms);
    }
    EXPECT_TRUE(over) << authorization.size();
  }
}

TEST_F(ApiHardening, TakesNoBodyButJson) {
  for (const std::string type :
       {"", "text/plain", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/jsonp",
        "application/problem+json", "application/json text/plain"}) {
    const auto answer =
        Post(kThreshold,
             type.empty() ? std::vector<std::string>{}
                          : std::vector<std::string>{"Content-Type: " + type});
    EXPECT_EQ(answer.status, 415) << type << answer.body;
  }
  for (const std::string type :
       {"application/json", "application/json; charset=utf-8",
        "Application/JSON ;charset=\"UTF-8\""}) {
    EXPECT_EQ(Post(kThreshold, {"Content-Type: " + type}).status, 200) << type;
  }
  EXPECT_EQ(Post(kThreshold,
                 {"Content-Type: application/json", "Content-Type: text/plain"})
                .status,
            400);
}

TEST_F(ApiHardening, RefusesWhatIsTooLong) {
  const auto path = [&](const std::string& target) {
    return api_.Get(target, api_.Ada()).status;
  };
  EXPECT_EQ(path("/api/metrics?project_id=" + std::string(5000, 'a')), 414);
  EXPECT_EQ(path("/api/metrics/workflow/" + std::string(5000, 'a')), 414);
  const auto of_header = [&](size_t length) {
    return api_
        .Ask("GET", "/api/metrics", api_.Ada(), "",
             {"X-Long: " + std::string(length, 'x')})
        .status;
  };
  EXPECT_EQ(of_header(15'000), 200);
  EXPECT_EQ(of_header(17 * 1024), 431);
}

TEST_F(ApiHardening, LetsPagesOfTheListReadItsAnswers) {
  const auto ask = [&](const std::string& origin) {
    return api_.Ask("GET", "/api/metrics", api_.Ada(), "",
                    {"Origin: " + origin});
  };
  for (const std::string origin : {kOrigin, "http://localhost:5173"}) {
    const auto answer = ask(origin);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("access-control-allow-origin"), origin);
    EXPECT_TRUE(Contains(answer.headers.at("vary"), "Origin"));
    EXPECT_FALSE(answer.headers.contains("access-control-allow-credentials"));
  }
  for (const std::string origin :
       {"null", "*", "https://console.example.com.evil.example",
        "https://CONSOLE.example.com", "http://console.example.com",
        "https://console.example.com:8443", "https://console.example.com/",
        "https://evil.example"}) {
    const auto answer = ask(origin);
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.headers.contains("access-control-allow-origin"))
        << origin;
    EXPECT_TRUE(Contains(answer.headers.at("vary"), "Origin"));
  }
}

// Or the page could not tell its user what is wrong.
TEST_F(ApiHardening, LetsPagesOfTheListReadItsRefusals) {
  const std::string origin = std::string("Origin: ") + kOrigin;
  const std::string json = "Content-Type: application/json";
  for (const auto& [status, answer] :
       {std::pair{401, api_.Ask("GET", "/api/metrics", "", "", {origin})},
        std::pair{404, api_.Ask("GET", "/nothing", "", "", {origin})},
        std::pair{405,
                  api_.Ask("PUT", "/api/metrics", api_.Ada(), "", {origin})},
        std::pair{
            400, api_.Ask("GET", "/api/metrics?x=1", api_.Ada(), "", {origin})},
        std::pair{413, Post(std::string(20'000, ' '), {origin, json})}}) {
    EXPECT_EQ(answer.status, status);
    ASSERT_TRUE(answer.headers.contains("access-control-allow-origin"))
        << status;
    EXPECT_EQ(answer.headers.at("access-control-allow-origin"), kOrigin);
  }
}

TEST_F(ApiHardening, AnswersABrowsersPreflight) {
  const auto ask = [&](const std::string& path, const std::string& origin) {
    return api_.Ask("OPTIONS", path, "", "",
                    {"Origin: " + origin, "Access-Control-Request-Method: POST",
                     "Access-Control-Request-Headers: authorization"});
  };
  const auto allowed = ask("/api/metrics/alerts", kOrigin);
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(allowed.body, "");
  EXPECT_EQ(allowed.headers.at("access-control-allow-origin"), kOrigin);
  for (const std::string method : {"GET", "POST", "DELETE"}) {
    EXPECT_TRUE(
        Contains(allowed.headers.at("access-control-allow-methods"), method));
  }
  EXPECT_TRUE(Contains(allowed.headers.at("access-control-allow-headers"),
                       "Authorization"));
  EXPECT_TRUE(Contains(allowed.headers.at("access-control-allow-headers"),
                       "Content-Type"));
  EXPECT_FALSE(allowed.headers.contains("access-control-allow-credentials"));

  for (const auto& refused :
       {ask("/api/metrics/alerts", "https://evil.example"),
        ask("/api/metrics/alerts", "null"), ask("/nothing", "null")}) {
    for (const auto& [name, value] : refused.headers) {
      EXPECT_FALSE(Contains(name, "access-control")) << name << value;
    }
  }
}

// A part of each answer that no client should be without, and nothing that
// says what serves it.
void ExpectHardened(const std::string& answer, const std::string& request) {
  ASSERT_EQ(answer.rfind("HTTP/1.1 ", 0), 0U) << request << answer;
  const auto head = answer.substr(0, answer.find("\r\n\r\n"));
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  for (const std::string header :
       {"cache-control: no-store", "x-content-type-options: nosniff",
        "referrer-policy: no-referrer", "cross-origin-resource-policy:",
        "content-security-policy: default-src 'none'"}) {
    EXPECT_TRUE(Contains(lower, "\r\n" + header)) << request << answer;
  }
  EXPECT_FALSE(Contains(lower, "\r\nserver:")) << answer;
  EXPECT_FALSE(Contains(lower, "\r\nx-powered-by:")) << answer;
  for (const auto* banner : {"ivet", "/tmp/", "xporter", "libpq"}) {
    EXPECT_FALSE(Contains(answer.substr(0, 2000), banner)) << answer;
  }
  const auto status = answer.substr(9, 3);
  if (status >= "400") {
    EXPECT_TRUE(Contains(head, "application/problem+json"))
        << request << answer;
  }
}

TEST_F(ApiHardening, SaysTheSameOfItselfInEveryAnswer) {
  const auto with = [](const std::string& line, const std::string& headers) {
    return line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers +
           "\r\n";
  };
  for (const auto& request :
       {with("GET /api/openapi.json", ""),
        with("GET /api/metrics", Authorization()),
        with("GET /api/metrics", ""),
        with("GET /api/metrics?x=%zz", Authorization()),
        with("GET /api/metrics/workflow/%00", Authorization()),
        with("GET /api/metrics/workflow/%zz", Authorization()),
        with("GET /", ""),
        with("GET /metrics", ""),
        with("GET /../../../../etc/passwd", ""),
        with("GET /api/%2e%2e/%2e%2e/etc/passwd", ""),
        with("GET //evil.example/api/metrics", ""),
        with("OPTIONS /api/metrics", ""),
        with("DELETE /api/metrics", Authorization()),
        with("PROPFIND /api/metrics", ""),
        with("MKCOL /x", ""),
        with("TRACE /api/metrics", ""),
        with("CONNECT evil.example:443", ""),
        with("BREW /api/metrics", ""),
        with("POST /api/metrics/alerts",
             Authorization() + "Content-Length: 20000\r\n"),
        with("POST /api/metrics/alerts",
             Authorization() + "Transfer-Encoding: chunked\r\n"),
        with("GET /api/metrics",
             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
        with("GET /api/metrics",
             "X-Long: " + std::string(17'000, 'x') + "\r\n"),
        with("GET /api/metrics", "no colon\r\n"),
        std::string("GET /api/metrics HTTP/1.0\r\n\r\n"),
        std::string("GET /api/metrics HTTP/9.9\r\nHost: x\r\n\r\n"),
        std::string("GET /api/metrics\r\n\r\n"),
        std::string("GET  HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("nonsense\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x01\r\n\r\n")}) {
    ExpectHardened(Raw(request), request.substr(0, 200));
  }
}

TEST_F(ApiHardening, IsNoProxy) {
  for (const std::string target :
       {"http://evil.example/api/openapi.json", "*", "evil.example:443"}) {
    const auto answer = Raw("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_FALSE(Contains(answer, "HTTP/1.1 2")) << target << answer;
    if (!answer.empty()) ExpectHardened(answer, target);
  }
}

TEST_F(ApiHardening, SaysWhichMethodsThereAre) {
  for (const std::string method : {"PUT", "PATCH", "POST"}) {
    const auto answer = api_.Ask(method, "/api/metrics", api_.Ada());
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_EQ(answer.headers.at("allow"), "GET") << method;
  }
  const auto answer = api_.Ask("PUT", "/api/metrics/alerts", api_.Ada());
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "DELETE, GET, POST");
}

TEST_F(ApiHardening, AnswersHeadAsGetButForTheBody) {
  for (const std::string path :
       {"/api/metrics", "/api/openapi.json", "/api/metrics?x=1", "/nothing"}) {
    const auto get = api_.Get(path, api_.Ada());
    const auto head = api_.Ask("HEAD", path, api_.Ada());
    EXPECT_EQ(head.status, get.status) << path;
    EXPECT_EQ(head.body, "") << path;
    EXPECT_EQ(head.headers, get.headers) << path;
  }
  const auto head = api_.Ask("HEAD", "/api/metrics/stream", api_.Ada());
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(head.body, "");
}

TEST_F(ApiHardening, SaysNothingOfWhatFailedWithin) {
  api_.db.Exec("DROP FUNCTION metrics.api_overview(jsonb)");
  test::Replace(api_.db, "api_execution_times",
                "BEGIN RAISE EXCEPTION 'secret of table tenants'; END");
  const auto origin = std::string("Origin: ") + kOrigin;
  for (const std::string path :
       {"/api/metrics", "/api/v1/statistics/execution-times"}) {
    const auto answer = api_.Ask("GET", path, api_.Ada(), "", {origin});
    EXPECT_EQ(answer.status, 500);
    EXPECT_EQ(answer.headers.at("access-control-allow-origin"), kOrigin);
    for (const auto* internal : {"function", "metrics.", "secret", "tenants",
                                 "SQL", "jsonb", "42883"}) {
      EXPECT_FALSE(Contains(answer.body, internal)) << answer.body;
    }
  }
  EXPECT_EQ(api_.Get("/api/metrics/workflows/summary", api_.Ada()).status, 200);
}

class ApiLimit : public ApiHardening {
 protected:
  ApiLimit() : ApiHardening(1) {}  // two at once
};

TEST_F(ApiLimit, IsOfOneSubjectAndSaysWhenToGoOn) {
  const auto ask = [&](const std::string& token) {
    return api_.Get("/api/metrics", token);
  };
  EXPECT_EQ(ask(api_.Ada()).status, 200);
  // What is malformed counts as well.
  EXPECT_EQ(api_.Get("/api/metrics?x=1", api_.Ada()).status, 400);
  const auto refused = ask(api_.Ada());
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(JsonOf(refused)["status"], 429);
  EXPECT_EQ(ask(api_.Bob()).status, 200);
  EXPECT_EQ(ask(api_.Operator()).status, 200);
  // Of the subject, not of the token.
  EXPECT_EQ(ask(api_.User(test::kAda)).status, 429);
  EXPECT_TRUE(test::Await([&] { return ask(api_.Ada()).status == 200; }, 3s));
}

}  // namespace
