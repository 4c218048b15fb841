// SPDX-License-Identifier: MIT
#include "exporter/nearest.h"

#include <algorithm>
#include <numeric>

namespace meshhook {
namespace {

// Letters to add, leave out or change to make one of the other.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(std::string_view word,
                    const std::vector<std::string>& names) {
  constexpr size_t kLongest = 100;  // the time goes by the product of lengths
  if (word.size() > kLongest) return "";
  const std::string* nearest = nullptr;
  // Two letters that changed places are two changes.
  size_t least =
      (word.size() < 3 ? 1 : std::max<size_t>(2, word.size() / 3)) + 1;
  for (const auto& name : names) {
    const size_t distance = Distance(word, name);
    if (distance >= least) continue;
    least = distance;
    nearest = &name;
  }
  return nearest == nullptr ? "" : *nearest;
}

}  // namespace meshhook
