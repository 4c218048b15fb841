// SPDX-License-Identifier: MIT
// What /metrics answers with.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "exporter/family.h"
#include "exporter/text_format.h"

namespace meshhook {

// Is made by one thread; once it is made, any thread may read it.
class Page {
 public:
  // About as long as `expected_size`, if that is known.
  explicit Page(Format format, size_t expected_size = 0);

  // Takes all names of a family for `owner`. Throws pg::Error when one of them
  // is taken already: Prometheus would refuse the page, or take samples of two
  // families for one.
  void Take(const std::string& name, prometheus::MetricType type,
            const std::string& owner);
  // The same for those that have samples; takes none when it throws.
  void Take(const std::vector<Family>& families, const std::string& owner);

  // Families whose names were taken.
  void Append(const std::vector<Family>& families);
  // Nothing comes after this.
  void End();

  Format format() const { return format_; }
  const std::string& text() const { return text_; }
  // The text as gzip packs it, which is done once.
  const std::string& Gzipped() const;

 private:
  const Format format_;
  std::string text_;
  std::unordered_map<std::string, std::string> owners_;  // of names
  mutable std::once_flag packed_once_;
  mutable std::string packed_;
};

}  // namespace meshhook
