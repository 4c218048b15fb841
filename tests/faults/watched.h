// SPDX-License-Identifier: MIT
// The real program while something goes wrong, and what must be so meanwhile.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/exporter.h"
#include "tests/support/folder.h"

namespace test {

// A collector of a test's own: its gauge has its name and the value of the
// column v, with the column l as a label where it says so.
struct Custom {
  std::string name;
  std::string query;
  bool label = false;
  int interval = 0;  // in seconds; 0: with every scrape
};

// The whole catalogue and those, without the worker unless it is asked for. An
// expectation fails where a page is late, cannot be read or has samples of a
// collector that failed, whatever the test is about.
class Watched {
 public:
  Watched(const std::string& url, const std::vector<Custom>& custom,
          std::vector<std::string> flags = {"--no-worker"});
  // Expects that it still lives, ends as it is told to, and that a sanitizer
  // had nothing to say.
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  // As Prometheus with that timeout asks for it.
  std::string Page(std::chrono::milliseconds timeout = kTimeout);
  // How long the last one took.
  std::chrono::milliseconds took() const { return took_; }

  int port() const { return exporter_.port(); }
  std::string log() const { return exporter_.err(); }
  Exporter& program() { return exporter_; }
  // In KiB, as of now and at most.
  long Resident() const { return Memory("VmRSS:"); }
  long Peak() const { return Memory("VmHWM:"); }

  static constexpr std::chrono::milliseconds kTimeout{3000};

 private:
  long Memory(const std::string& field) const;

  Folder folder_;
  Exporter exporter_;
  std::chrono::milliseconds took_{0};
};

// Expects of a page what must be so of every one.
void ExpectSound(const std::string& page);

// The flags that leave only those of the catalogue's collectors.
std::vector<std::string> Only(const std::vector<std::string>& collectors);

// A request as Prometheus sends it, on a connection of its own.
std::string ScrapeRequest(std::chrono::milliseconds timeout);

}  // namespace test
