// SPDX-License-Identifier: MIT
// The parts of the HTTP server that need no socket.
#include "exporter/http.h"

#include <gtest/gtest.h>

#include <random>

#include "exporter/errors.h"
#include "tests/support/http_client.h"

namespace {

using meshhook::AcceptsGzip;
using meshhook::CivetWebPort;
using meshhook::Gzip;
using test::Gunzip;

TEST(CivetWebPort, TakesAPortAloneAsEveryAddress) {
  EXPECT_EQ(CivetWebPort(":9187"), "+9187");
  EXPECT_EQ(CivetWebPort(":0"), "+0");
}

TEST(CivetWebPort, KeepsAHost) {
  EXPECT_EQ(CivetWebPort("127.0.0.1:9187"), "127.0.0.1:9187");
  EXPECT_EQ(CivetWebPort("localhost:65535"), "localhost:65535");
}

TEST(CivetWebPort, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"", "9187", ":", "host", "host:", ":-1", ":65536", ":9187s", ":9187r",
        ": 9187", ":99999999999999999999", "host:http"}) {
    try {
      CivetWebPort(address);
      ADD_FAILURE() << address;
    } catch (const meshhook::UsageError& error) {
      EXPECT_EQ(error.what(), "\"" + std::string(address) +
                                  "\" is not an address to listen on");
      EXPECT_NE(error.remedy().find("HOST:PORT"), std::string::npos);
    }
  }
}

TEST(AcceptsGzip, AsTheClientSays) {
  EXPECT_TRUE(AcceptsGzip("gzip"));
  EXPECT_TRUE(AcceptsGzip("deflate, gzip;q=0.5, br"));
  EXPECT_TRUE(AcceptsGzip("gzip;q=1.0"));
  EXPECT_TRUE(AcceptsGzip("identity;q=0, gzip"));
  EXPECT_FALSE(AcceptsGzip(""));
  EXPECT_FALSE(AcceptsGzip("identity, br"));
  EXPECT_FALSE(AcceptsGzip("gzip;q=0"));
  EXPECT_FALSE(AcceptsGzip("gzip; q=0.000, br;q=1"));
}

TEST(Gzip, GivesBackWhatWentIn) {
  std::string text;
  std::minstd_rand random(1);
  for (int i = 0; i < 100000; ++i) text += static_cast<char>(random());
  for (const std::string& original :
       {std::string(), std::string("x"), std::string(1000000, 'a'), text}) {
    EXPECT_EQ(Gunzip(Gzip(original)), original);
  }
}

TEST(Gzip, MakesAPageSmall) {
  std::string page;
  for (int i = 0; i < 1000; ++i) {
    page +=
        "meshhook_workflow_runs_total{id=\"" + std::to_string(i) + "\"} 1\n";
  }
  EXPECT_LT(Gzip(page).size(), page.size() / 5);
}

}  // namespace
