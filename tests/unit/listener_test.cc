// SPDX-License-Identifier: MIT
// The parts of the HTTP server that need no socket.
#include "exporter/listener.h"

#include <gtest/gtest.h>

#include "exporter/errors.h"

namespace {

using meshhook::CivetWebPort;

TEST(CivetWebPort, TakesAPortAloneAsEveryAddress) {
  EXPECT_EQ(CivetWebPort(":9187", "--web.listen-address"), "+9187");
  EXPECT_EQ(CivetWebPort(":0", "--web.listen-address"), "+0");
}

TEST(CivetWebPort, KeepsAHost) {
  EXPECT_EQ(CivetWebPort("127.0.0.1:9187", "--web.listen-address"),
            "127.0.0.1:9187");
  EXPECT_EQ(CivetWebPort("localhost:65535", "--web.listen-address"),
            "localhost:65535");
}

TEST(CivetWebPort, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"", "9187", ":", "host", "host:", ":-1", ":65536", ":9187s", ":9187r",
        ": 9187", ":99999999999999999999", "host:http"}) {
    try {
      CivetWebPort(address, "--web.listen-address");
      ADD_FAILURE() << address;
    } catch (const meshhook::UsageError& error) {
      EXPECT_EQ(error.what(), "\"" + std::string(address) +
                                  "\" is not an address to listen on");
      EXPECT_NE(error.remedy().find("HOST:PORT"), std::string::npos);
    }
  }
}

}  // namespace
