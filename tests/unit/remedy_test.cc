// SPDX-License-Identifier: MIT
#include "exporter/remedy.h"

#include <gtest/gtest.h>

namespace {

using meshhook::IsMissing;
using meshhook::RemedyFor;
using meshhook::pg::Error;

std::string Remedy(const std::string& message, const std::string& sqlstate = "",
                   const std::string& hint = "") {
  return RemedyFor(Error(message, sqlstate, hint));
}

TEST(Remedy, IsForWhatFailsMostOften) {
  for (const auto& [message, part] :
       {std::pair("FATAL:  password authentication failed for user \"x\"",
                  "ALTER ROLE"),
        std::pair("fe_sendauth: no password supplied", "DATABASE_URL_FILE"),
        std::pair("FATAL:  role \"x\" does not exist", "create the role"),
        std::pair("FATAL:  role \"x\" is not permitted to log in", "LOGIN"),
        std::pair("FATAL:  database \"x\" does not exist", "database name"),
        std::pair("FATAL:  too many connections for role \"x\"",
                  "CONNECTION LIMIT"),
        std::pair("FATAL:  too many connections for database \"x\"",
                  "CONNECTION LIMIT"),
        std::pair("FATAL:  sorry, too many clients already", "max_connections"),
        std::pair("could not translate host name \"x\" to address",
                  "host name"),
        std::pair("connection to server at \"h\", port 1 failed: Connection "
                  "refused",
                  "host and port"),
        std::pair("FATAL:  no pg_hba.conf entry for host \"h\", user \"u\", "
                  "database \"d\", no encryption",
                  "pg_hba.conf"),
        std::pair("FATAL:  pg_hba.conf rejects connection for host \"h\", user "
                  "\"u\", database \"d\", no encryption",
                  "pg_hba.conf"),
        std::pair("SSL error: certificate verify failed", "sslrootcert"),
        std::pair("root certificate file \"x\" does not exist", "sslrootcert"),
        std::pair("server certificate for \"x\" does not match host name "
                  "\"y\"",
                  "the name that the certificate has"),
        std::pair("invalid sslmode value: \"x\"", "verify-full"),
        std::pair("channel binding required, but SSL not in use",
                  "sslmode=require"),
        std::pair("invalid target_session_attrs value: \"x\"",
                  "prefer-standby"),
        std::pair("could not match 2 port numbers to 3 hosts", "one for each"),
        std::pair("session is read-only", "promote a standby"),
        std::pair("server is in hot standby mode", "target_session_attrs"),
        std::pair("no answer within the time allowed", "firewall")}) {
    const auto remedy = Remedy(message);
    EXPECT_NE(remedy.find(part), remedy.npos) << message << ": " << remedy;
  }
}

TEST(Remedy, IsToMigrateWhereTheDataLayerIsMissingOrOld) {
  for (const auto& error :
       {Error("relation \"metrics.workflow_counters\" does not exist", "42P01",
              ""),
        Error("schema \"metrics\" does not exist", "3F000", ""),
        // This hint of the server's is about casts, and so of no use here.
        Error("function metrics.pending_facts() does not exist", "42883",
              "No function matches the given name and argument types. You "
              "might need to add explicit type casts.")}) {
    EXPECT_NE(RemedyFor(error).find("meshhook-exporter migrate"),
              std::string::npos)
        << error.what() << ": " << RemedyFor(error);
  }
}

TEST(Remedy, IsTheServersOwnWhereItHasOne) {
  EXPECT_EQ(Remedy("permission denied", "42501", "as an administrator run: X"),
            "as an administrator run: X");
}

TEST(Remedy, GoesByTheSqlstateElse) {
  EXPECT_NE(Remedy("permission denied for view x", "42501")
                .find("connect as meshhook_exporter"),
            std::string::npos);
  EXPECT_NE(Remedy("canceling statement due to statement timeout", "57014")
                .find("--scrape.timeout"),
            std::string::npos);
  EXPECT_NE(Remedy("the database system is starting up", "57P03").find("wait"),
            std::string::npos);
  EXPECT_NE(Remedy("lock timeout", "55P03").find("lock"), std::string::npos);
}

TEST(Remedy, IsNoneForWhatNobodyFoundYet) {
  EXPECT_EQ(Remedy("division by zero", "22012"), "");
}

TEST(Missing, IsWhatStaysAwayUntilSomebodyChangesTheDatabase) {
  for (const char* sqlstate : {"42P01", "42883", "42501", "3F000", "55000"}) {
    EXPECT_TRUE(IsMissing(Error("x", sqlstate, ""))) << sqlstate;
  }
  for (const char* sqlstate : {"", "57014", "55P03", "40P01", "53200"}) {
    EXPECT_FALSE(IsMissing(Error("x", sqlstate, ""))) << sqlstate;
  }
}

}  // namespace
