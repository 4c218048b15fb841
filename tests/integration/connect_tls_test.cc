// SPDX-License-Identifier: MIT
// TLS as libpq has it, with a server whose certificate a throwaway authority
// signed.
#include <gtest/gtest.h>

#include "exporter/remedy.h"
#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using meshhook::pg::Clock;
using meshhook::pg::Connection;
using meshhook::pg::Error;
using test::Exec;
using test::Server;

// Two authorities; the first signed the certificate of `localhost`. Sessions
// over TLS give a password, and those without are refused.
constexpr auto kMake = R"(
    cd "$1"
    for name in right wrong; do
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 2 -subj "/CN=$name authority" -keyout "$name.key" \
        -out "$name.crt" 2>/dev/null
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
      -subj /CN=localhost -keyout data/server.key -out server.csr 2>/dev/null
    openssl x509 -req -in server.csr -CA right.crt -CAkey right.key \
      -CAcreateserial -days 2 -out data/server.crt 2>/dev/null \
      -extfile <(echo subjectAltName=DNS:localhost)
    chmod 600 data/server.key
    if ((EUID == 0)); then chown postgres: data/server.*; fi
    pg_psql "$1" postgres <<'SQL'
CREATE ROLE tls LOGIN PASSWORD 'hunter2-kept-to-oneself';
SQL
    cat >data/pg_hba.conf <<'HBA'
hostssl   all tls            127.0.0.1/32 scram-sha-256
hostnossl all tls            127.0.0.1/32 reject
host      all supabase_admin 127.0.0.1/32 trust
HBA
    echo 'ssl = on' >>data/postgresql.conf
    pg_cluster_stop "$1" fast
    pg_cluster_start "$1")";

// One server for all of it: a test of its own for each would start one each.
class Tls : public testing::Test {
 protected:
  Tls() { server_.Shell(kMake); }

  std::string Url(const std::string& host, const std::string& settings) const {
    return "postgresql://tls:hunter2-kept-to-oneself@" + host + ":" +
           test::PortOf(server_.directory()) + "/postgres?" + settings;
  }
  std::string Root(const std::string& name) const {
    return "&sslrootcert=" + server_.directory() + "/" + name;
  }

  // What protects the session: "TLSv1.3".
  static std::string Protocol(const std::string& url) {
    auto session = Connection::Open(test::ConninfoOf(url), Clock::now() + 10s);
    return Exec(session,
                "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  }

  // By the program, in one line with a remedy.
  static void ExpectRefused(const std::string& url, const std::string& part,
                            const std::string& remedy) {
    const auto ended =
        test::Run({MESHHOOK_EXPORTER, "check"}, {{"DATABASE_URL", url}});
    EXPECT_EQ(ended.status, 2);
    EXPECT_EQ(ended.out.rfind("FAIL  no connection, by DATABASE_URL: ", 0), 0u)
        << ended.out;
    EXPECT_EQ(ended.out.find('\n'), ended.out.size() - 1) << ended.out;
    EXPECT_NE(ended.out.find(part), std::string::npos)
        << part << " is not in: " << ended.out;
    const auto to_mend = ended.out.find("; to mend it: ");
    ASSERT_NE(to_mend, std::string::npos) << ended.out;
    EXPECT_NE(ended.out.find(remedy, to_mend), std::string::npos)
        << remedy << " is not in: " << ended.out;
    EXPECT_EQ((ended.out + ended.err).find("hunter2"), std::string::npos);
  }

  Server server_;
};

TEST_F(Tls, IsWhatLibpqMakesOfIt) {
  for (const auto& settings :
       {std::string("sslmode=prefer"), std::string("sslmode=allow"),
        std::string("sslmode=require"), "sslmode=verify-ca" + Root("right.crt"),
        "sslmode=verify-full" + Root("right.crt"),
        "sslmode=verify-full&channel_binding=require" + Root("right.crt")}) {
    EXPECT_EQ(Protocol(Url("localhost", settings)), "TLSv1.3") << settings;
  }
  // The authority vouches for the certificate, which is of another name.
  EXPECT_EQ(Protocol(Url("127.0.0.1", "sslmode=verify-ca" + Root("right.crt"))),
            "TLSv1.3");

  ExpectRefused(Url("127.0.0.1", "sslmode=verify-full" + Root("right.crt")),
                "does not match host name \"127.0.0.1\"",
                "the name that the certificate has");
  for (const char* mode : {"verify-ca", "verify-full", "require"}) {
    ExpectRefused(
        Url("localhost", std::string("sslmode=") + mode + Root("wrong.crt")),
        "certificate verify failed", "sslrootcert");
  }
  ExpectRefused(Url("localhost", "sslmode=verify-full" + Root("no-such.crt")),
                "no-such.crt\" does not exist; Either provide the file or",
                "sslrootcert");
  ExpectRefused(Url("localhost", "sslmode=verify-full" + Root("wrong.crt")),
                "server at \"localhost\" (127.0.0.1), port ", "sslrootcert");
  ExpectRefused(Url("localhost", "sslmode=disable"), "no encryption",
                "sslmode=require");
  ExpectRefused(Url("127.0.0.1", "sslmode=disable&channel_binding=require"),
                "no encryption", "sslmode=require");
  ExpectRefused(Url("localhost", "sslmode=strict"), "invalid sslmode value",
                "verify-full");
}

TEST_F(Tls, IsRefusedWhereTheServerHasNone) {
  server_.Shell(R"(
      echo 'ssl = off' >>"$1/data/postgresql.conf"
      pg_cluster_stop "$1" fast; pg_cluster_start "$1")");
  for (const auto& settings : {std::string("sslmode=require"),
                               "sslmode=verify-full" + Root("right.crt")}) {
    ExpectRefused(Url("localhost", settings), "does not support SSL",
                  "drop sslmode");
  }
}

}  // namespace
