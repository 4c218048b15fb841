// SPDX-License-Identifier: MIT
// Keys from files and by HTTP, and when they are read again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "exporter/api/authenticator.h"
#include "exporter/api/key_source.h"
#include "exporter/errors.h"
#include "tests/support/document_server.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/silent_port.h"
#include "tests/support/token_rig.h"

namespace {

using meshhook::UsageError;
using meshhook::api::Authenticator;
using meshhook::api::AuthOptions;
using meshhook::api::KeySource;
using meshhook::api::KeyTimes;
using Why = meshhook::api::TokenError::Why;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::DocumentServer;
using test::Folder;
using test::JwksOf;
using test::kUser;
using test::Signer;
using test::TheEcKey;
using test::TheRsaKey;
using test::TheSecret;
using test::UserClaims;

constexpr auto kSecret = "a secret of a project, 32 bytes or more";

// A source of keys whose time passes when the test says so.
class Rig {
 public:
  explicit Rig(const AuthOptions& options, const KeyTimes& times = {})
      : source(options, times, [this] { return now_.load(); }),
        authenticator_(source, {}) {}

  void Pass(milliseconds time) { now_ = now_.load() + time; }

  // What becomes of a token of the key.
  std::string Ask(const Signer& signer) {
    try {
      const auto token = signer.Token(UserClaims(kUser));
      return authenticator_.Authenticate("Bearer " + token).role;
    } catch (const meshhook::api::TokenError& error) {
      return error.why() == Why::kUnknownKey    ? "unknown key"
             : error.why() == Why::kUnavailable ? "keys unavailable"
                                                : error.what();
    }
  }

 private:
  // Far from 0, which is where a clock of the steady kind may begin.
  std::atomic<std::chrono::steady_clock::time_point> now_{
      std::chrono::steady_clock::time_point(seconds(1'000'000))};

 public:
  KeySource source;

 private:
  Authenticator authenticator_;
};

// What start says of the options.
std::string Refusal(const AuthOptions& options) {
  try {
    const KeySource source(options);
    return "it started";
  } catch (const UsageError& error) {
    EXPECT_FALSE(error.remedy().empty());
    return error.what();
  }
}

int Lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

TEST(KeySource, PutsAllSourcesTogether) {
  const Folder folder;
  DocumentServer server;
  server.Give(JwksOf({TheRsaKey().Jwk()}));
  Rig rig({.secret_file = folder.Write("secret", kSecret + std::string("\n")),
           .jwks_file = folder.Write("jwks", JwksOf({TheEcKey().Jwk()})),
           .jwks_url = server.url()});
  for (const auto* signer : {&TheSecret(), &TheEcKey(), &TheRsaKey()}) {
    EXPECT_EQ(rig.Ask(*signer), "authenticated");
  }
  EXPECT_EQ(rig.Ask(Signer::Ec("gone")), "unknown key");
}

TEST(KeySource, TakesOnlyTheLineEndOffASecret) {
  const Folder folder;
  const std::string secret = std::string(" ") + kSecret + " \t";
  for (const auto* end : {"", "\n", "\r\n"}) {
    Rig rig({.secret_file = folder.Write("secret", secret + end),
             .jwks_file = "",
             .jwks_url = ""});
    EXPECT_EQ(rig.Ask(Signer::Secret(secret)), "authenticated");
  }
}

TEST(KeySource, DoesNotStartWithAFileOfNoUse) {
  const Folder folder;
  const auto secret = [](auto path) { return Refusal({path, "", ""}); };
  const auto jwks = [](auto path) { return Refusal({"", path, ""}); };
  const auto gone = folder.path() + "/gone";
  EXPECT_EQ(secret(gone), gone + ": it cannot be read");
  EXPECT_EQ(jwks(gone), gone + ": it cannot be read");
  EXPECT_EQ(jwks(folder.path()), folder.path() + ": it cannot be read");
  EXPECT_EQ(jwks("/dev/zero"), "/dev/zero: it cannot be read");
  const auto file = folder.Write("file", "");
  EXPECT_EQ(secret(file), file +
                              ": the secret that tokens are signed with is "
                              "shorter than 32 bytes");
  EXPECT_EQ(jwks(file),
            file + ": it is not a JWKS: an object with an array `keys`");
  folder.Write("file", std::string((256 << 10) + 1, ' '));
  EXPECT_EQ(jwks(file), file + ": it is larger than 256 KiB");
  folder.Write("file", std::string(30, 's') + "\n\n\n");
  EXPECT_NE(secret(file), "it started");
}

TEST(KeySource, DoesNotStartWithAnUrlOfNoUse) {
  for (const auto* url : {"jwks.json", "file:///etc/passwd", "ftp://host/x",
                          "http://", "https//host", "gopher://host", "://x"}) {
    EXPECT_EQ(Refusal({.secret_file = "", .jwks_file = "", .jwks_url = url}),
              "the URL of the JWKS is no http or https URL")
        << url;
  }
}

TEST(KeySource, ReadsAFileAgainThatChanged) {
  const Folder folder;
  const auto next = Signer::Ec("next");
  Rig rig({.secret_file = "",
           .jwks_file = folder.Write("jwks", JwksOf({TheEcKey().Jwk()})),
           .jwks_url = ""});
  // As those do who want a file to be whole at any time.
  folder.Write("new", JwksOf({next.Jwk()}));
  std::filesystem::rename(folder.path() + "/new", folder.path() + "/jwks");
  rig.Pass(milliseconds(999));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated") << "not looked at yet";
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Ask(TheEcKey()), "unknown key");
  EXPECT_EQ(rig.Ask(next), "authenticated");
}

TEST(KeySource, ReadsASecretAgainThatChangedInItsPlace) {
  const Folder folder;
  const std::string other = "another secret of 32 bytes or more";
  Rig rig({.secret_file = folder.Write("secret", kSecret),
           .jwks_file = "",
           .jwks_url = ""});
  folder.Write("secret", other);
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Ask(TheSecret()), "its signature is not valid");
  EXPECT_EQ(rig.Ask(Signer::Secret(other)), "authenticated");
}

TEST(KeySource, KeepsTheKeysOfAFileThatGotWorse) {
  const Folder folder;
  const auto file = folder.Write("jwks", JwksOf({TheEcKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = file, .jwks_url = ""});
  testing::internal::CaptureStderr();
  for (const auto* text : {"{", R"({"keys":[]})"}) {
    folder.Write("jwks", text);
    rig.Pass(seconds(1));
    EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  }
  std::filesystem::remove(file);
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  const auto complaint = testing::internal::GetCapturedStderr();
  EXPECT_EQ(Lines(complaint), 1) << complaint;
  EXPECT_NE(complaint.find("those of before stay"), std::string::npos);

  testing::internal::CaptureStderr();
  folder.Write("jwks", JwksOf({TheRsaKey().Jwk()}));
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Ask(TheRsaKey()), "authenticated");
  EXPECT_EQ(rig.Ask(TheEcKey()), "unknown key");
  EXPECT_NE(testing::internal::GetCapturedStderr().find("can be read again"),
            std::string::npos);
}

TEST(KeySource, SaysWhichKeysAreNotUsed) {
  const Folder folder;
  testing::internal::CaptureStderr();
  Rig rig({.secret_file = "",
           .jwks_file = folder.Write(
               "jwks", JwksOf({TheEcKey().Jwk(), TheRsaKey().PrivateJwk()})),
           .jwks_url = ""});
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("a key is not used"), std::string::npos) << log;
  EXPECT_NE(log.find("key 2: its private part"), std::string::npos) << log;
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
}

TEST(KeySource, FollowsAnUrlToANewKeyAtOnce) {
  DocumentServer server;
  server.Give(JwksOf({TheEcKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  EXPECT_EQ(server.asked(), 1);
  server.Give(JwksOf({TheRsaKey().Jwk()}));
  EXPECT_EQ(rig.Ask(TheRsaKey()), "authenticated");
  EXPECT_EQ(rig.Ask(TheEcKey()), "unknown key");
  EXPECT_EQ(server.asked(), 2);
}

TEST(KeySource, AsksForUnknownKeysTwiceAMinuteAtMost) {
  DocumentServer server;
  server.Give(JwksOf({TheEcKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
  const auto garbage = [&rig] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(rig.Ask(TheRsaKey()), "unknown key");
    }
  };
  garbage();
  EXPECT_EQ(server.asked(), 2);
  rig.Pass(milliseconds(29'999));
  garbage();
  EXPECT_EQ(server.asked(), 2);
  rig.Pass(milliseconds(1));
  garbage();
  EXPECT_EQ(server.asked(), 3);
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
}

TEST(KeySource, ReadsAnUrlAgainAfterFiveMinutes) {
  DocumentServer server;
  server.Give(JwksOf({TheEcKey().Jwk(), TheRsaKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
  server.Give(JwksOf({TheRsaKey().Jwk()}));
  rig.Pass(milliseconds(299'999));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Ask(TheEcKey()), "unknown key") << "it was withdrawn";
}

TEST(KeySource, KeepsTheKeysOfAnUrlThatDoesNotAnswer) {
  auto server = std::make_unique<DocumentServer>();
  server->Give(JwksOf({TheEcKey().Jwk()}));
  const int port = server->port();
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server->url()});
  testing::internal::CaptureStderr();
  server->Give(JwksOf({TheRsaKey().Jwk()}), 503);
  rig.Pass(seconds(300));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  server.reset();
  rig.Pass(seconds(30));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  const auto complaint = testing::internal::GetCapturedStderr();
  EXPECT_EQ(Lines(complaint), 1) << complaint;
  EXPECT_NE(complaint.find("it answered with status 503"), std::string::npos)
      << complaint;

  server = std::make_unique<DocumentServer>(port);
  server->Give(JwksOf({TheRsaKey().Jwk()}));
  rig.Pass(seconds(30));
  EXPECT_EQ(rig.Ask(TheRsaKey()), "authenticated");
}

TEST(KeySource, RefusesTokensUntilAnUrlAnswers) {
  auto server = std::make_unique<DocumentServer>();
  const int port = server->port();
  const auto url = server->url();
  server.reset();
  testing::internal::CaptureStderr();
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = url});
  EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
  const auto complaint = testing::internal::GetCapturedStderr();
  EXPECT_EQ(Lines(complaint), 2) << complaint;
  EXPECT_NE(complaint.find("keys cannot be read"), std::string::npos);
  EXPECT_NE(complaint.find("without TLS"), std::string::npos);

  server = std::make_unique<DocumentServer>(port);
  server->Give(JwksOf({TheEcKey().Jwk()}));
  rig.Pass(milliseconds(4'999));
  EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
  EXPECT_EQ(server->asked(), 0);
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  EXPECT_EQ(rig.Ask(TheRsaKey()), "unknown key");
}

TEST(KeySource, KnowsThatAnUrlMayHaveTheKeyThatASecretIsNot) {
  const Folder folder;
  DocumentServer server;
  server.Give("", 500);
  Rig rig({.secret_file = folder.Write("secret", kSecret),
           .jwks_file = "",
           .jwks_url = server.url()});
  EXPECT_EQ(rig.Ask(TheSecret()), "authenticated");
  EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
}

TEST(KeySource, FollowsNoRedirect) {
  DocumentServer target;
  target.Give(JwksOf({TheEcKey().Jwk()}));
  DocumentServer server;
  server.Give("", 302, "Location: " + target.url());
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
  EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
  EXPECT_EQ(target.asked(), 0);
}

TEST(KeySource, TakesNoMoreThanAKeySetMayBe) {
  DocumentServer server;
  const auto padded = [](size_t size) {
    auto text = JwksOf({TheEcKey().Jwk()});
    return text + std::string(size - text.size(), ' ');
  };
  for (const auto* header : {"X-Test: 1", "Content-Length: 262145"}) {
    server.Give(padded((256 << 10) + 1), 200, header);
    Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
    EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
  }
  server.Give(padded(256 << 10));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()});
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
}

TEST(KeySource, GivesUpOnAnUrlThatSaysNothing) {
  const test::SilentPort silent;
  testing::internal::CaptureStderr();
  Rig rig({.secret_file = "",
           .jwks_file = "",
           .jwks_url = "http://127.0.0.1:" + silent.port()},
          {.patience = milliseconds(50)});
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("Timeout was reached"), std::string::npos) << log;
  EXPECT_EQ(rig.Ask(TheEcKey()), "keys unavailable");
}

TEST(KeySource, NeverShowsWhoAsksAnUrl) {
  DocumentServer server;
  server.Give("", 404);
  testing::internal::CaptureStderr();
  const auto host = "127.0.0.1:" + std::to_string(server.port());
  Rig rig({.secret_file = "",
           .jwks_file = "",
           .jwks_url = "http://us3r:pa55@" + host + "/jwks?apikey=k3y#fr4g"});
  EXPECT_NE(server.authorization(), "") << "it was told to the server";
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("source=http://" + host + "/jwks "), std::string::npos)
      << log;
  for (const auto* secret : {"us3r", "pa55", "k3y", "fr4g", "apikey"}) {
    EXPECT_EQ(log.find(secret), std::string::npos) << log;
  }
}

TEST(KeySource, LetsOthersGoOnWhileOneReads) {
  DocumentServer server;
  server.Give(JwksOf({TheEcKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()},
          {.wait = milliseconds(1)});
  std::unique_lock hold(server.hold());
  rig.Pass(seconds(300));
  std::thread reader(
      [&rig] { EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated"); });
  ASSERT_TRUE(test::Await([&server] { return server.asked() == 2; }));
  EXPECT_EQ(rig.Ask(TheEcKey()), "authenticated");
  EXPECT_EQ(rig.Ask(TheRsaKey()), "unknown key");
  EXPECT_EQ(server.asked(), 2);
  hold.unlock();
  reader.join();
}

TEST(KeySource, GivesANewKeyToAllWhoWaitForIt) {
  DocumentServer server;
  server.Give(JwksOf({TheEcKey().Jwk()}));
  Rig rig({.secret_file = "", .jwks_file = "", .jwks_url = server.url()},
          {.wait = seconds(10)});
  server.Give(JwksOf({TheRsaKey().Jwk()}));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&rig] { EXPECT_EQ(rig.Ask(TheRsaKey()), "authenticated"); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(server.asked(), 2);
}

}  // namespace
