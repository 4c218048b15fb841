// SPDX-License-Identifier: MIT
#include "exporter/hosts.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/support/database.h"
#include "tests/support/folder.h"

namespace {

using meshhook::pg::Host;
using meshhook::pg::HostsOf;
using meshhook::pg::NeedsLookup;

// "name/address/port", one a word.
std::string Text(const std::vector<Host>& hosts) {
  std::string text;
  for (const auto& host : hosts) {
    text += (text.empty() ? "" : " ") + host.name + "|" + host.address + "|" +
            host.port;
  }
  return text;
}

std::string Of(const std::string& url) {
  return Text(HostsOf(test::ConninfoOf(url).parameters()).list);
}

// Set for as long as this object lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

TEST(Hosts, AreOneForEachNameAddressOrSocket) {
  EXPECT_EQ(Of("postgresql://h/d"), "h||5432");
  EXPECT_EQ(Of("postgresql://h:6432/d"), "h||6432");
  EXPECT_EQ(Of("postgresql://a,b:5433/d"), "a||5432 b||5433");
  EXPECT_EQ(Of("postgresql://[::1]:1,127.0.0.1/d"), "::1||1 127.0.0.1||5432");
  EXPECT_EQ(Of("host=a,b port=1"), "a||1 b||1");
  EXPECT_EQ(Of("host=/run/a,b port=1,2"), "/run/a||1 b||2");
  EXPECT_EQ(Of("host=a,b hostaddr=127.0.0.1,127.0.0.2"),
            "a|127.0.0.1|5432 b|127.0.0.2|5432");
  EXPECT_EQ(Of("hostaddr=127.0.0.1,::1"), "|127.0.0.1|5432 |::1|5432");
}

TEST(Hosts, AreTheDefaultSocketWhereNoneIsNamed) {
  EXPECT_EQ(Of("dbname=d"), "||5432");
}

TEST(Hosts, AreLeftToLibpqWhereTheListsDoNotFitOrHaveGaps) {
  for (const char* url :
       {"host=a,b port=1,2,3", "host=a,b hostaddr=127.0.0.1", "host=a,,b",
        "host=a,b hostaddr=,127.0.0.1", "service=no-such-service"}) {
    EXPECT_EQ(Of(url), "") << url;
  }
}

TEST(Hosts, TakeLibpqsVariablesForDefaults) {
  const Variable host("PGHOST", "a,/run/b");
  const Variable port("PGPORT", "1,2");
  const Variable attrs("PGTARGETSESSIONATTRS", "primary");
  const Variable timeout("PGCONNECT_TIMEOUT", "7");
  EXPECT_EQ(Of("user=u"), "a||1 /run/b||2");
  const auto hosts = HostsOf(test::ConninfoOf("user=u").parameters());
  EXPECT_EQ(hosts.session_attrs, "primary");
  EXPECT_EQ(hosts.connect_timeout, std::chrono::seconds(7));
  EXPECT_EQ(Of("postgresql://c:3/d"), "c||3");
  EXPECT_EQ(Of("postgresql://c,d:3/d"), "c||5432 d||3");
}

TEST(Hosts, TakeServiceFilesForDefaults) {
  const test::Folder folder;
  const auto file = folder.Write("services", "[watched]\nhost=a,b\nport=1\n");
  const Variable services("PGSERVICEFILE", file);
  EXPECT_EQ(Of("service=watched"), "a||1 b||1");
  EXPECT_EQ(Of("service=watched host=c"), "c||1");
  const Variable service("PGSERVICE", "watched");
  EXPECT_EQ(Of("user=u"), "a||1 b||1");
}

TEST(Hosts, AreLookedUpWhereTheyAreNames) {
  EXPECT_TRUE(NeedsLookup({"localhost", "", ""}));
  EXPECT_TRUE(NeedsLookup({"db.internal", "", ""}));
  EXPECT_FALSE(NeedsLookup({"db.internal", "127.0.0.1", ""}));
  EXPECT_FALSE(NeedsLookup({"127.0.0.1", "", ""}));
  EXPECT_FALSE(NeedsLookup({"::1", "", ""}));
  EXPECT_FALSE(NeedsLookup({"/run/postgresql", "", ""}));
  EXPECT_FALSE(NeedsLookup({"@abstract", "", ""}));
  EXPECT_FALSE(NeedsLookup({"", "", ""}));
}

}  // namespace
