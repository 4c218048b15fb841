// SPDX-License-Identifier: MIT
#include "tests/faults/page.h"

#include <cctype>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

#include "collectors/all.h"

namespace test {
namespace {

constexpr std::string_view kSuccess = "pg_scrape_collector_success{collector=";

std::vector<std::string> Lines(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream text(page);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::string NameOf(const std::string& sample) {
  return sample.substr(0, sample.find_first_of("{ "));
}

// The family that a sample of that name belongs to.
std::string FamilyOf(const std::string& name,
                     const std::map<std::string, std::string>& types) {
  for (const std::string suffix : {"_bucket", "_count", "_sum"}) {
    if (!name.ends_with(suffix)) continue;
    const auto family = name.substr(0, name.size() - suffix.size());
    const auto type = types.find(family);
    if (type != types.end() &&
        (type->second == "histogram" || type->second == "summary")) {
      return family;
    }
  }
  return name;
}

// Past the name that begins there, which may have colons where it is not of a
// label; 0 where none does.
size_t PastName(const std::string& line, size_t at, bool of_label) {
  const auto begin = at;
  while (at < line.size() &&
         (std::isalpha(static_cast<unsigned char>(line[at])) != 0 ||
          line[at] == '_' || (line[at] == ':' && !of_label) ||
          (at > begin &&
           std::isdigit(static_cast<unsigned char>(line[at])) != 0))) {
    ++at;
  }
  return at == begin ? 0 : at;
}

// Past the value of a label, quotes and all; 0 where there is none.
size_t PastQuoted(const std::string& line, size_t at) {
  if (line[at] != '"') return 0;
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\') continue;
    ++at;
    if (line[at] != '\\' && line[at] != '"' && line[at] != 'n') return 0;
  }
  return at < line.size() ? at + 1 : 0;
}

bool IsValue(const std::string& text) {
  if (text == "NaN" || text == "+Inf" || text == "-Inf") return true;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && end == text.c_str() + text.size();
}

bool IsSample(const std::string& line) {
  size_t at = PastName(line, 0, false);
  if (at == 0) return false;
  if (line[at] == '{') {
    do {
      at = PastName(line, at + 1, true);
      if (at == 0 || line[at] != '=') return false;
      at = PastQuoted(line, at + 1);
      if (at == 0) return false;
    } while (line[at] == ',');
    if (line[at++] != '}') return false;
  }
  return line[at] == ' ' && IsValue(line.substr(at + 1));
}

// The collectors whose success is said to be `value`.
std::set<std::string> Saying(const std::string& page, char value) {
  std::set<std::string> names;
  for (const auto& line : Lines(page)) {
    if (!line.starts_with(kSuccess) || line.back() != value) continue;
    names.insert(line.substr(kSuccess.size() + 1,
                             line.rfind('"') - kSuccess.size() - 1));
  }
  return names;
}

// By collector the names of what it publishes, and of no other.
std::map<std::string, std::set<std::string>> NamesOfCollectors() {
  std::map<std::string, int> publishers;
  std::map<std::string, std::set<std::string>> names;
  for (const auto& collector : meshhook::collectors::All()) {
    auto& own = names[collector.name];
    for (const auto& metric : collector.metrics) own.insert(metric.name);
    for (const auto& name : own) ++publishers[name];
  }
  for (auto& [collector, own] : names) {
    std::erase_if(own, [&](const auto& name) { return publishers[name] > 1; });
  }
  return names;
}

}  // namespace

std::string SyntaxFault(const std::string& page) {
  std::map<std::string, std::string> types;
  std::set<std::string> ended;
  std::set<std::string> series;
  std::string family;
  if (!page.ends_with("\n")) return "it ends in the middle of a line";
  for (const auto& line : Lines(page)) {
    std::string next;
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string type;
      words >> next >> type;
      if (line[2] == 'T' && !types.emplace(next, type).second) {
        return "two types: " + line;
      }
    } else if (IsSample(line)) {
      next = FamilyOf(NameOf(line), types);
      if (!types.contains(next)) return "no type: " + line;
      if (!series.insert(line.substr(0, line.rfind(' '))).second) {
        return "twice: " + line;
      }
    } else {
      return line;
    }
    if (next != family && !ended.insert(next).second) {
      return "in pieces: " + line;
    }
    family = next;
  }
  return "";
}

std::string PieceOfAFailure(const std::string& page) {
  static const auto names = NamesOfCollectors();
  const auto families = Families(page);
  for (const auto& collector : Failed(page)) {
    const auto known = names.find(collector);
    const auto own =
        known == names.end() ? std::set<std::string>{collector} : known->second;
    for (const auto& name : own) {
      if (families.contains(name)) return collector + " failed, but " + name;
    }
  }
  return "";
}

std::set<std::string> Failed(const std::string& page) {
  return Saying(page, '0');
}

std::set<std::string> Succeeded(const std::string& page) {
  return Saying(page, '1');
}

std::set<std::string> Families(const std::string& page) {
  std::map<std::string, std::string> types;
  std::set<std::string> families;
  for (const auto& line : Lines(page)) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string name;
      words >> name >> types[name];
    } else if (!line.starts_with("#")) {
      families.insert(FamilyOf(NameOf(line), types));
    }
  }
  return families;
}

}  // namespace test
