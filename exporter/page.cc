// SPDX-License-Identifier: MIT
#include "exporter/page.h"

#include <utility>

#include "exporter/gzip.h"
#include "exporter/pg.h"

namespace meshhook {

Page::Page(Format format, size_t expected_size) : format_(format) {
  text_.reserve(expected_size + expected_size / 16);
}

void Page::Take(const std::string& name, prometheus::MetricType type,
                const std::string& owner) {
  for (auto& taken : NamesOf(name, type)) {
    const auto [place, added] = owners_.emplace(std::move(taken), owner);
    if (added) continue;
    throw pg::Error("the metric " + name + " takes the name " + place->first +
                        ", which " + place->second + " has taken",
                    "", "give it another name");
  }
}

void Page::Take(const std::vector<Family>& families, const std::string& owner) {
  try {
    for (const auto& family : families) {
      if (!family.metric.empty()) Take(family.name, family.type, owner);
    }
  } catch (...) {
    std::erase_if(owners_,
                  [&owner](const auto& one) { return one.second == owner; });
    throw;
  }
}

void Page::Append(const std::vector<Family>& families) {
  meshhook::Append(families, format_, text_);
}

void Page::End() {
  if (format_ == Format::kOpenMetrics) text_ += "# EOF\n";
  owners_.clear();
}

const std::string& Page::Gzipped() const {
  std::call_once(packed_once_, [this] { packed_ = Gzip(text_); });
  return packed_;
}

}  // namespace meshhook
