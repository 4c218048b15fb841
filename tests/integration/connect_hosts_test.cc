// SPDX-License-Identifier: MIT
// Sessions where there are several hosts, a silent one or a slow resolver.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "exporter/pg.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/silent_port.h"

namespace {

std::mutex resolver_mutex;
std::condition_variable resolver_told;
int resolver_holds = 0;  // how many may be under way
int resolver_asked = 0;
bool resolver_silent = false;

}  // namespace

// In place of the C library's, for all of this program and libpq: names under
// .test.invalid, which no real resolver can be made to know or to be slow with.
extern "C" int getaddrinfo(const char* name, const char* service,
                           const addrinfo* hints, addrinfo** found) {
  using Function = decltype(&getaddrinfo);
  static const auto real =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string asked = name == nullptr ? "" : name;
  const bool numeric =
      hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
  if (numeric || asked.find(".test.invalid") == asked.npos) {
    return real(name, service, hints, found);
  }
  if (asked == "two.test.invalid") {  // addresses, first to last
    addrinfo* second = nullptr;
    const int status = real("127.0.0.2", service, hints, found);
    if (status != 0) return status;
    if (const int other = real("127.0.0.1", service, hints, &second)) {
      return other;
    }
    (*found)->ai_next = second;
    return 0;
  }
  std::unique_lock lock(resolver_mutex);
  ++resolver_asked;
  ++resolver_holds;
  resolver_told.wait(lock, [] { return !resolver_silent; });
  --resolver_holds;
  resolver_told.notify_all();
  lock.unlock();
  return real("127.0.0.1", service, hints, found);
}

namespace {

using namespace std::chrono_literals;
using meshhook::pg::Clock;
using meshhook::pg::Connection;
using meshhook::pg::Error;
using meshhook::pg::Interrupt;
using test::Database;
using test::SilentPort;

// A resolver that does not answer for as long as this object lives.
class SilentResolver {
 public:
  SilentResolver() { Set(true); }
  ~SilentResolver() {
    Set(false);
    std::unique_lock lock(resolver_mutex);
    resolver_told.wait(lock, [] { return resolver_holds == 0; });
  }
  SilentResolver(const SilentResolver&) = delete;
  SilentResolver& operator=(const SilentResolver&) = delete;

 private:
  static void Set(bool silent) {
    const std::lock_guard lock(resolver_mutex);
    resolver_silent = silent;
    resolver_asked = 0;
    resolver_told.notify_all();
  }
};

class Connect : public testing::Test {
 protected:
  // The cluster's port stands for %.
  std::string Url(std::string hosts, const std::string& settings = "") const {
    const auto address = test::ClusterAddress();
    const auto port = address.substr(address.rfind(':') + 1);
    for (size_t at; (at = hosts.find('%')) != hosts.npos;) {
      hosts.replace(at, 1, port);
    }
    return "postgresql://postgres@" + hosts + "/" + db_.name() + "?" + settings;
  }

  static Connection Open(const std::string& url, Clock::duration time = 10s,
                         const Interrupt* interrupt = nullptr) {
    return Connection::Open(test::ConninfoOf(url), Clock::now() + time,
                            interrupt);
  }

  // Why there is no session; the time it took must be less than that.
  static Error Refusal(const std::string& url, Clock::duration time = 10s,
                       Clock::duration most = 11s) {
    const auto started = Clock::now();
    try {
      Open(url, time);
    } catch (const Error& error) {
      EXPECT_LT(Clock::now() - started, most) << error.what();
      return error;
    }
    ADD_FAILURE() << "a session by " << url;
    return {"", "", ""};
  }

  static void ExpectSays(const Error& error, const std::string& part) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << part << " is not in: " << error.what();
  }

  Database db_{test::Template::kFixture};
};

TEST_F(Connect, GoesOnToTheNextHostWhereOneRefuses) {
  EXPECT_EQ(Open(Url("127.0.0.1:1,127.0.0.1:%")).host(), "127.0.0.1");
}

TEST_F(Connect, LeavesTimeForTheNextHostWhereOneIsSilent) {
  const SilentPort silent;
  const auto url = Url("127.0.0.1:" + silent.port() + ",127.0.0.1:%");
  const auto started = Clock::now();
  EXPECT_TRUE(Open(url, 2s).open());
  EXPECT_GE(Clock::now() - started, 1s);
  EXPECT_TRUE(silent.visited());
  // And for a while it is not waited for anew.
  const auto again = Clock::now();
  EXPECT_TRUE(Open(url, 2s).open());
  EXPECT_LT(Clock::now() - again, 900ms);
  EXPECT_FALSE(silent.visited());
}

TEST_F(Connect, LeavesTimeForTheNextAddressOfAName) {
  const auto address = test::ClusterAddress();
  const SilentPort silent("127.0.0.2", address.substr(address.rfind(':') + 1));
  const auto session = Open(Url("two.test.invalid:%"), 2s);
  EXPECT_EQ(session.host(), "two.test.invalid");
  EXPECT_TRUE(silent.visited());
}

TEST_F(Connect, NamesEachHostThatFailed) {
  const SilentPort silent;
  const auto error =
      Refusal(Url("127.0.0.1:1,127.0.0.1:" + silent.port()), 500ms, 1s);
  ExpectSays(error, "port 1 failed: Connection refused");
  ExpectSays(error, "; connection to server at \"127.0.0.1\", port " +
                        silent.port() +
                        " failed: no answer within the time allowed");
}

TEST_F(Connect, StopsWhereAServerRefusesTheLoginAsLibpqDoes) {
  const SilentPort silent;
  auto url = Url("127.0.0.1:%,127.0.0.1:" + silent.port());
  url.replace(url.find("postgres@"), 9, "nobody@");
  const auto error = Refusal(url, 10s, 5s);
  EXPECT_EQ(error.sqlstate(), "28000");
  ExpectSays(error, "FATAL: role \"nobody\" does not exist");
  EXPECT_EQ(std::string(error.what()).find("LOCATION"), std::string::npos);
  EXPECT_FALSE(silent.visited());
}

TEST_F(Connect, KeepsToTheTimeoutThatTheUrlNames) {
  const SilentPort silent;
  const auto url = Url("127.0.0.1:" + silent.port(), "connect_timeout=1");
  ExpectSays(Refusal(url, 10s, 3s), "no answer within the time allowed");
}

TEST_F(Connect, EndsByTheDeadlineWhereTheResolverIsSilent) {
  const SilentResolver resolver;
  for (int i = 0; i < 3; ++i) {
    ExpectSays(Refusal(Url("slow.test.invalid:%"), 200ms, 1s),
               "could not translate host name \"slow.test.invalid\" to "
               "address: no answer within the time allowed");
  }
  // And holds one thread, however often it is asked.
  const std::lock_guard lock(resolver_mutex);
  EXPECT_EQ(resolver_asked, 1);
}

TEST_F(Connect, EndsAtOnceWhereItIsInterruptedInTheResolver) {
  const SilentResolver resolver;
  meshhook::pg::Stop interrupt;
  std::thread firing([&interrupt] {
    std::this_thread::sleep_for(100ms);
    interrupt.Fire();
  });
  const auto started = Clock::now();
  try {
    Open(Url("slow.test.invalid:%"), 10s, &interrupt);
    ADD_FAILURE() << "a session";
  } catch (const Error& error) {
    ExpectSays(error, "interrupted");
  }
  EXPECT_LT(Clock::now() - started, 5s);
  firing.join();
}

TEST_F(Connect, GoesOnToTheNextHostWhereANameIsNotResolved) {
  const SilentResolver resolver;
  const auto session = Open(Url("slow.test.invalid:%,127.0.0.1:%"), 1s);
  EXPECT_EQ(session.host(), "127.0.0.1");
}

TEST_F(Connect, KeepsTheNameWhereItLookedItUp) {
  const auto session = Open(Url("slow.test.invalid:%"));
  EXPECT_EQ(session.host(), "slow.test.invalid");
  EXPECT_TRUE(Open(Url("localhost:%")).open());
}

TEST_F(Connect, TakesNoHostOfTheWrongKind) {
  db_.Exec("ALTER DATABASE " + db_.name() +
           " SET default_transaction_read_only = on");
  const auto hosts = "127.0.0.1:1,127.0.0.1:%";
  for (const char* attrs : {"any", "read-only", "primary", "prefer-standby"}) {
    EXPECT_TRUE(
        Open(Url(hosts, std::string("target_session_attrs=") + attrs)).open())
        << attrs;
  }
  ExpectSays(Refusal(Url(hosts, "target_session_attrs=read-write")),
             "session is read-only");
  ExpectSays(Refusal(Url(hosts, "target_session_attrs=standby")),
             "server is not in hot standby mode");
  ExpectSays(Refusal(Url(hosts, "target_session_attrs=best")),
             "invalid target_session_attrs value: \"best\"");
}

TEST_F(Connect, SaysWhatLibpqSaysOfListsThatDoNotFit) {
  ExpectSays(Refusal("host=127.0.0.1 port=1,2"),
             "could not match 2 port numbers to 1 hosts");
  ExpectSays(Refusal("service=no-such-service"),
             "definition of service \"no-such-service\" not found");
}

// However often it is scraped, and by all of its sessions.
TEST(Reconnecting, DoesNotHammerAServerThatIsDown) {
  const SilentPort port;
  std::atomic<bool> stop{false};
  std::atomic<int> visits{0};
  std::thread server([&] {
    while (!stop) {
      if (port.visited()) {
        ++visits;  // and sent away
      } else {
        std::this_thread::sleep_for(5ms);
      }
    }
  });
  {
    const test::Exporter exporter("postgresql://x@127.0.0.1:" + port.port() +
                                  "/x?sslmode=disable");
    int scrapes = 0;
    for (const auto until = Clock::now() + 2s; Clock::now() < until;) {
      EXPECT_EQ(test::SampleSum(exporter.Page(), "pg_up"), 0);
      ++scrapes;
    }
    EXPECT_GT(scrapes, 30);
  }
  stop = true;
  server.join();
  // Four sessions, after no less than 250, 500 and 1000 ms.
  EXPECT_GE(visits, 4);
  EXPECT_LE(visits, 16);
}

// Where its socket goes, the session's name, and what keeps it alive.
TEST_F(Connect, IsKeptAliveAndNamed) {
  auto session = Open(Url("127.0.0.1:%"));
  EXPECT_EQ(test::Exec(session, "SHOW application_name"), "meshhook-exporter");
  auto named = Open(Url("127.0.0.1:%", "application_name=mine"));
  EXPECT_EQ(test::Exec(named, "SHOW application_name"), "mine");

  const auto client =
      std::stoi(test::Exec(session,
                           "SELECT client_port FROM pg_stat_activity "
                           "WHERE pid = pg_backend_pid()"));
  int socket = -1;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in local{};
    socklen_t size = sizeof local;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
        local.sin_family == AF_INET && ntohs(local.sin_port) == client) {
      socket = fd;
    }
  }
  ASSERT_GE(socket, 0);
  const auto option = [socket](int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(getsockopt(socket, level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 10);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 5);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 15000);
}

}  // namespace
