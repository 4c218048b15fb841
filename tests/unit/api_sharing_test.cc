// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

#include "exporter/api/sharing.h"
#include "tests/support/process.h"

namespace {

using meshhook::api::Problem;
using meshhook::api::Sharing;

// A question that is answered when the test says so.
class SharingTest : public testing::Test {
 protected:
  std::future<Sharing::Answer> Ask(const std::string& question = "q") {
    return std::async(std::launch::async, [this, question] {
      ++came_;
      return sharing_.Get(question, [this] {
        const int number = ++asked_;
        answered_.wait(0);
        if (fail_) throw Problem(503, "away");
        return Sharing::Answer(std::to_string(number));
      });
    });
  }
  void Answer() {
    answered_ = 1;
    answered_.notify_all();
  }

  Sharing sharing_;
  std::atomic<int> came_{0};
  std::atomic<int> asked_{0};
  std::atomic<int> answered_{0};
  std::atomic<bool> fail_{false};
};

TEST_F(SharingTest, AsksOnceMoreForAllWhoComeMeanwhile) {
  // Some may have come to nothing but the door when the first is answered, so
  // that they ask by themselves; not every time.
  bool once = false;
  for (int attempt = 0; attempt < 20 && !once; ++attempt) {
    came_ = asked_ = answered_ = 0;
    auto first = Ask();
    ASSERT_TRUE(test::Await([&] { return asked_ == 1; }));
    std::vector<std::future<Sharing::Answer>> others;
    for (int i = 0; i < 20; ++i) others.push_back(Ask());
    ASSERT_TRUE(test::Await([&] { return came_ == 21; }));
    EXPECT_EQ(asked_, 1);  // not before the first has its answer
    Answer();
    EXPECT_EQ(first.get(), "1");
    for (auto& other : others) EXPECT_GE(std::stoi(*other.get()), 2);
    once = asked_ == 2;
  }
  EXPECT_TRUE(once);
}

TEST_F(SharingTest, NeverGivesAnAnswerThatWasBegunBefore) {
  auto first = Ask();
  ASSERT_TRUE(test::Await([&] { return asked_ == 1; }));
  auto second = Ask();
  Answer();
  EXPECT_EQ(second.get(), "2");
  EXPECT_EQ(first.get(), "1");
  EXPECT_EQ(Ask().get(), "3");
}

TEST_F(SharingTest, KeepsQuestionsApart) {
  auto one = Ask("one");
  auto other = Ask("other");
  EXPECT_TRUE(test::Await([&] { return asked_ == 2; }));
  Answer();
  EXPECT_NE(one.get(), other.get());
}

TEST_F(SharingTest, GivesEveryoneTheFailure) {
  fail_ = true;
  auto first = Ask();
  ASSERT_TRUE(test::Await([&] { return asked_ == 1; }));
  auto second = Ask();
  Answer();
  EXPECT_THROW(first.get(), Problem);
  EXPECT_THROW(second.get(), Problem);
  fail_ = false;
  EXPECT_NO_THROW(Ask().get());
}

}  // namespace
