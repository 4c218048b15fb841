// SPDX-License-Identifier: MIT
// Where the keys come from, and when they are read again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "exporter/api/keys.h"

namespace meshhook::api {

// Any of them; "" is none.
struct AuthOptions {
  std::string secret_file;  // what HS256 is signed with
  std::string jwks_file;
  std::string jwks_url;

  bool empty() const {
    return secret_file.empty() && jwks_file.empty() && jwks_url.empty();
  }
};

struct KeyTimes {
  // Files are looked at again after this, and read where they have changed.
  std::chrono::milliseconds look{1'000};
  // A URL is read again after this,
  std::chrono::milliseconds age{300'000};
  // and after this, where it never could be read.
  std::chrono::milliseconds retry{5'000};
  // Everything is read again for a key that nobody knows, at most this often,
  // so that made-up keys make no work. Also where a URL could be read before.
  std::chrono::milliseconds unknown{30'000};
  // How long a URL may take,
  std::chrono::milliseconds patience{2'000};
  // and how long those who want a new key wait for whoever reads it already.
  std::chrono::milliseconds wait{250};
};

// Thread-safe. Whoever comes when something is due reads it; others go on with
// the keys of before. What cannot be read keeps its keys of before, with one
// line in the log.
class KeySource {
 public:
  using Now = std::function<std::chrono::steady_clock::time_point()>;

  // Throws UsageError where a file, or what it holds, is of no use. A URL that
  // cannot be reached yet is a line in the log.
  explicit KeySource(const AuthOptions& options, const KeyTimes& times = {},
                     Now now = &std::chrono::steady_clock::now);

  // Empty as long as there is only a URL, and it never could be read.
  std::shared_ptr<const KeySet> Current();

  // For a token whose key is not among those: other keys than those, or
  // nullptr where there are none now.
  std::shared_ptr<const KeySet> Newer(
      const std::shared_ptr<const KeySet>& than);

  // Whether all sources have been read once.
  bool complete() const;

 private:
  using Time = std::chrono::steady_clock::time_point;

  // What tells that a file is not what it was.
  struct Stamp {
    long modified_s = 0, modified_ns = 0, changed_s = 0, changed_ns = 0;
    unsigned long inode = 0, device = 0;
    long size = -1;  // there is none
    bool operator==(const Stamp&) const = default;
  };

  struct Source {
    std::string name;  // for the log
    std::function<std::vector<Key>()> read;
    std::string path;  // "": a URL
    Stamp stamp{};
    std::vector<Key> keys{};
    bool failing = false;
  };

  static Stamp StampOf(const std::string& path);
  // Throws what it was that could not be read.
  static void Read(Source& source);
  static bool TryRead(Source& source);
  // What is due, or everything, by whoever has the turn.
  void ReadAll(bool everything);
  void Publish(Time next);

  const KeyTimes times_;
  const Now now_;

  // Whoever has it may use these, and only one has it at a time.
  class Turn;
  std::vector<Source> sources_;
  Time url_due_{};

  // Guards the rest; held for an instant.
  mutable std::mutex mutex_;
  std::condition_variable turn_ended_;
  bool turn_taken_ = false;
  std::shared_ptr<const KeySet> keys_ = std::make_shared<const KeySet>();
  bool complete_ = false;
  Time due_{};
  Time unknown_due_{};
};

}  // namespace meshhook::api
