// SPDX-License-Identifier: MIT
#include "exporter/negotiation.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using meshhook::AcceptsGzip;
using meshhook::ChooseOffer;
using meshhook::Format;

// In short.
std::string Chosen(std::string_view accept) {
  const auto offer = ChooseOffer(accept);
  const bool open = offer.format == Format::kOpenMetrics;
  const std::string type(offer.content_type);
  EXPECT_EQ(type.rfind(open ? "application/openmetrics-text;" : "text/plain;"),
            0u);
  EXPECT_TRUE(type.ends_with("; charset=utf-8")) << type;
  const size_t version = type.find("version=") + 8;
  return type.substr(version, 5);
}

TEST(ChooseOffer, GivesPrometheusWhatItLikesBest) {
  // 2.42, 3.x, and one that was told to ask for text.
  EXPECT_EQ(Chosen("application/openmetrics-text;version=1.0.0,"
                   "application/openmetrics-text;version=0.0.1;q=0.75,"
                   "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            "1.0.0");
  EXPECT_EQ(Chosen("application/openmetrics-text;version=1.0.0;"
                   "escaping=allow-utf-8;q=0.5,"
                   "application/openmetrics-text;version=0.0.1;q=0.4,"
                   "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                   "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
            "1.0.0");
  EXPECT_EQ(
      Chosen("text/plain;version=0.0.4;q=0.6,"
             "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"),
      "0.0.4");
}

TEST(ChooseOffer, GivesTextToThoseWhoDoNotNameOpenMetrics) {
  for (const char* accept :
       {"", "*/*", "text/*", "text/plain", "image/png", "garbage", ",;=,",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/*;q=0.5,text/*"}) {
    EXPECT_EQ(Chosen(accept), "0.0.4") << accept;
  }
}

TEST(ChooseOffer, GivesTheVersionThatIsNamed) {
  EXPECT_EQ(Chosen("application/openmetrics-text"), "1.0.0");
  EXPECT_EQ(Chosen("application/openmetrics-text;version=0.0.1"), "0.0.1");
  EXPECT_EQ(Chosen("application/openmetrics-text; version=\"0.0.1\""), "0.0.1");
  EXPECT_EQ(Chosen("Application/OpenMetrics-Text; Version=1.0.0"), "1.0.0");
  EXPECT_EQ(Chosen("application/openmetrics-text;version=2.0.0"), "0.0.4");
  EXPECT_EQ(Chosen("application/openmetrics-text;version=0.0.1,"
                   "application/openmetrics-text;version=1.0.0;q=0.9"),
            "0.0.1");
}

TEST(ChooseOffer, GoesByQuality) {
  EXPECT_EQ(Chosen("text/plain,application/openmetrics-text"), "1.0.0");
  EXPECT_EQ(Chosen("text/plain,application/openmetrics-text;q=0.999"), "0.0.4");
  EXPECT_EQ(Chosen("application/openmetrics-text;q=0,*/*"), "0.0.4");
  EXPECT_EQ(Chosen("application/openmetrics-text;q=0"), "0.0.4");
  EXPECT_EQ(Chosen("text/plain;q=0,application/*"), "1.0.0");
  EXPECT_EQ(Chosen("application/openmetrics-text ; q = 0.2 , text/plain;q=0.1"),
            "1.0.0");
  for (const char* quality : {"", "x", "-1", "2", "nan", "0.5x"}) {
    EXPECT_EQ(Chosen("text/plain;q=0.1,application/openmetrics-text;q=" +
                     std::string(quality)),
              "0.0.4")
        << quality;
  }
}

TEST(AcceptsGzip, AsTheClientSays) {
  for (const char* header :
       {"gzip", "GZIP", "x-gzip", "deflate, gzip;q=0.5, br", "gzip;q=1.0",
        "identity;q=0, gzip", "*", "*;q=0.1", "identity;q=0.5, gzip",
        "gzip, identity", "br;q=0.5,gzip ; q=0.001"}) {
    EXPECT_TRUE(AcceptsGzip(header)) << header;
  }
  for (const char* header :
       {"", "identity", "identity, br", "gzip;q=0", "gzip; q=0.000, br;q=1",
        "gzip;q=0, *", "*;q=0", "identity, gzip;q=0.5", "gzipped", "not-gzip",
        "br;x=gzip", "gzip;q=", "gzip;q=yes"}) {
    EXPECT_FALSE(AcceptsGzip(header)) << header;
  }
}

}  // namespace
