// SPDX-License-Identifier: MIT
#include "exporter/api/key_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "exporter/api/fetch.h"
#include "exporter/errors.h"
#include "exporter/log.h"

namespace meshhook::api {
namespace {

constexpr size_t kMostBytes = 256u << 10;

// Throws UsageError.
std::string Contents(const std::string& path) {
  std::error_code error;
  // A pipe would be waited for.
  const bool file = std::filesystem::is_regular_file(path, error);
  std::ifstream stream(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  if (file) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file || stream.bad() || !stream.is_open()) {
    throw UsageError("it cannot be read",
                     "check that it is a file and readable by this user");
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMostBytes) {
    throw UsageError("it is larger than 256 KiB", "give the keys alone");
  }
  return text;
}

std::vector<Key> ReadSecret(const std::string& path) {
  std::string secret = Contents(path);
  secret.erase(secret.find_last_not_of("\r\n") + 1);  // an editor's
  return {SecretKey(std::move(secret))};
}

std::vector<Key> KeysOf(const std::string& name, const std::string& text) {
  Jwks read = ReadJwks(text);
  for (const auto& reason : read.skipped) {
    log::Warn("a key is not used", {{"source", name}, {"reason", reason}});
  }
  return std::move(read.keys);
}

}  // namespace

// The lock is held before and after it, and not meanwhile.
class KeySource::Turn {
 public:
  Turn(KeySource& source, std::unique_lock<std::mutex>& lock)
      : source_(source), lock_(lock) {
    source_.turn_taken_ = true;
    lock_.unlock();
  }
  ~Turn() {
    lock_.lock();
    source_.turn_taken_ = false;
    source_.turn_ended_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  KeySource& source_;
  std::unique_lock<std::mutex>& lock_;
};

KeySource::KeySource(const AuthOptions& options, const KeyTimes& times, Now now)
    : times_(times), now_(std::move(now)) {
  if (const auto& path = options.secret_file; !path.empty()) {
    sources_.push_back({.name = path,
                        .read = [path] { return ReadSecret(path); },
                        .path = path});
  }
  if (const auto& path = options.jwks_file; !path.empty()) {
    sources_.push_back({.name = path,
                        .read = [path] { return KeysOf(path, Contents(path)); },
                        .path = path});
  }
  for (auto& source : sources_) {
    try {
      Read(source);
    } catch (const UsageError& error) {
      throw UsageError(source.name + ": " + error.what(), error.remedy());
    }
  }
  if (const auto& url = options.jwks_url; !url.empty()) {
    const auto name = ShownUrl(url);
    if (url.rfind("http://", 0) == 0) {
      log::Warn(
          "the keys of tokens come without TLS: whoever is on the way "
          "can put in their own",
          {{"url", name}, {"remedy", "take them from an https:// URL"}});
    }
    sources_.push_back({.name = name,
                        .read =
                            [url, name, patience = times_.patience] {
                              return KeysOf(name,
                                            Fetch(url, kMostBytes, patience));
                            },
                        .path = ""});
  }
  ReadAll(/*everything=*/false);
}

KeySource::Stamp KeySource::StampOf(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {.modified_s = status.st_mtim.tv_sec,
          .modified_ns = status.st_mtim.tv_nsec,
          .changed_s = status.st_ctim.tv_sec,
          .changed_ns = status.st_ctim.tv_nsec,
          .inode = status.st_ino,
          .device = status.st_dev,
          .size = status.st_size};
}

void KeySource::Read(Source& source) {
  // Before it is read: what changes from here on is seen at the next look.
  if (!source.path.empty()) source.stamp = StampOf(source.path);
  source.keys = source.read();
}

bool KeySource::TryRead(Source& source) {
  try {
    Read(source);
    if (std::exchange(source.failing, false)) {
      log::Info("keys can be read again", {{"source", source.name}});
    }
    return true;
  } catch (const std::exception& error) {
    if (!std::exchange(source.failing, true)) {
      log::Warn(source.keys.empty()
                    ? "keys cannot be read"
                    : "keys cannot be read; those of before stay",
                {{"source", source.name}, {"reason", error.what()}});
    }
    return false;
  }
}

void KeySource::ReadAll(bool everything) {
  Time next = Time::max();
  for (auto& source : sources_) {
    if (!source.path.empty()) {
      if (everything || StampOf(source.path) != source.stamp) TryRead(source);
      next = std::min(next, now_() + times_.look);
      continue;
    }
    if (everything || now_() >= url_due_) {
      const bool read = TryRead(source);
      url_due_ = now_() + (read                  ? times_.age
                           : source.keys.empty() ? times_.retry
                                                 : times_.unknown);
    }
    next = std::min(next, url_due_);
  }
  Publish(next);
}

void KeySource::Publish(Time next) {
  std::vector<Key> all;
  bool complete = true;
  for (const auto& source : sources_) {
    all.insert(all.end(), source.keys.begin(), source.keys.end());
    complete = complete && !source.keys.empty();
  }
  auto keys = std::make_shared<const KeySet>(all);
  const std::lock_guard lock(mutex_);
  if (*keys != *keys_) keys_ = std::move(keys);
  complete_ = complete;
  due_ = next;
}

bool KeySource::complete() const {
  const std::lock_guard lock(mutex_);
  return complete_;
}

std::shared_ptr<const KeySet> KeySource::Current() {
  std::unique_lock lock(mutex_);
  if (!turn_taken_ && now_() >= due_) {
    const Turn turn(*this, lock);
    ReadAll(/*everything=*/false);
  }
  return keys_;
}

std::shared_ptr<const KeySet> KeySource::Newer(
    const std::shared_ptr<const KeySet>& than) {
  std::unique_lock lock(mutex_);
  turn_ended_.wait_for(lock, times_.wait, [this] { return !turn_taken_; });
  if (keys_ == than && !turn_taken_ && now_() >= unknown_due_) {
    unknown_due_ = now_() + times_.unknown;
    const Turn turn(*this, lock);
    ReadAll(/*everything=*/true);
  }
  return keys_ == than ? nullptr : keys_;
}

}  // namespace meshhook::api
