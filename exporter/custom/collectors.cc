// SPDX-License-Identifier: MIT
#include "exporter/custom/collectors.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "exporter/custom/advice.h"
#include "exporter/custom/names.h"
#include "exporter/custom/rules.h"
#include "exporter/custom/sql_text.h"
#include "exporter/custom/yaml.h"

namespace meshhook {
namespace {

using prometheus::MetricType;
using yaml::Kind;
using yaml::Node;

constexpr size_t kMostBytes = 1024 * 1024;
constexpr size_t kMostFaults = 20;

// The readers below give "", 0 and the like for what is not as it should be;
// the checks say so.

std::string TextOf(const Node& map, std::string_view key) {
  const auto* value = Find(map, key);
  return value == nullptr ? "" : value->text;
}

// In one line, as what is written over several is meant.
std::string LineTextOf(const Node& map, std::string_view key) {
  std::istringstream words(TextOf(map, key));
  std::string line;
  for (std::string word; words >> word;) {
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

int NumberOf(const Node& map, std::string_view key) {
  return static_cast<int>(std::strtol(TextOf(map, key).c_str(), nullptr, 10));
}

bool BooleanOf(const Node& map, std::string_view key, bool otherwise) {
  const auto* value = Find(map, key);
  return value == nullptr ? otherwise : IsTrue(*value);
}

std::vector<std::string> TextsOf(const Node& map, std::string_view key) {
  std::vector<std::string> texts;
  for (auto& item : ItemsOf(map, key, Kind::kText)) {
    texts.push_back(std::move(item.text));
  }
  return texts;
}

std::string QueryOf(const Node& map) {
  return OneStatement(TextOf(map, "query")).text;
}

// 17, in the file, is 170000 to the server.
int ServerVersionOf(const Node& map) {
  constexpr int kMajor = 10000;
  const int version = NumberOf(map, "min_server_version");
  return version < 100 ? version * kMajor : version;
}

MetricType TypeOf(const std::string& text) {
  return text == "counter"     ? MetricType::Counter
         : text == "histogram" ? MetricType::Histogram
         : text == "untyped"   ? MetricType::Untyped
                               : MetricType::Gauge;
}

Metric MetricOf(const Node& node) {
  Metric metric{.name = TextOf(node, "name"),
                .type = TypeOf(TextOf(node, "type")),
                .help = LineTextOf(node, "help"),
                .column = TextOf(node, "column"),
                .bounds_column = TextOf(node, "bounds_column"),
                .sum_column = TextOf(node, "sum_column"),
                .name_column = TextOf(node, "name_column"),
                .additive = BooleanOf(node, "additive", false)};
  if (const auto* labels = Find(node, "labels")) {
    for (size_t i = 0; i < labels->keys.size(); ++i) {
      metric.labels.push_back({labels->keys[i].text, labels->items[i].text});
    }
  }
  if (Find(node, "label_columns") != nullptr) {
    metric.label_columns = TextsOf(node, "label_columns");
  }
  return metric;
}

Collector CollectorOf(const Node& node, const std::string& file) {
  Collector collector{
      .name = TextOf(node, "name"),
      .summary = LineTextOf(node, "summary"),
      .query = QueryOf(node),
      .labels = TextsOf(node, "labels"),
      .metrics = {},
      .extension = TextOf(node, "extension"),
      .min_server_version = ServerVersionOf(node),
      .scope = TextOf(node, "scope") == "database" ? Scope::kDatabase
                                                   : Scope::kInstance,
      .interval = std::chrono::seconds(NumberOf(node, "interval")),
      .on = BooleanOf(node, "on", true)};
  if (collector.summary.empty()) collector.summary = "of " + file;
  for (const auto& metric : ItemsOf(node, "metrics", Kind::kMap)) {
    collector.metrics.push_back(MetricOf(metric));
  }
  for (const auto& variant : ItemsOf(node, "variants", Kind::kMap)) {
    collector.variants.push_back({ServerVersionOf(variant), QueryOf(variant)});
  }
  std::sort(collector.variants.begin(), collector.variants.end(),
            [](const Variant& a, const Variant& b) {
              return a.min_server_version < b.min_server_version;
            });
  for (const auto& setting : ItemsOf(node, "settings", Kind::kMap)) {
    collector.settings.push_back({TextOf(setting, "name"),
                                  TextOf(setting, "value"),
                                  LineTextOf(setting, "help")});
  }
  if (const auto* needs = Find(node, "needs")) {
    collector.needs = {TextOf(*needs, "sql"), LineTextOf(*needs, "absent")};
  }
  if (const auto* limit = Find(node, "limit")) {
    collector.limit = {NumberOf(*limit, "rows"), TextOf(*limit, "rank")};
  }
  return collector;
}

// Throws yaml::Error.
std::string Contents(const std::string& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (error || !std::filesystem::exists(status)) {
    throw yaml::Error(0, "there is no such file",
                      "check the path that --collectors.file gives");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw yaml::Error(0, "it is not a file", "name each file of a folder");
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  if (!stream) {
    throw yaml::Error(0,
                      std::string("it cannot be read: ") + std::strerror(errno),
                      "let the user that runs this program read it");
  }
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMostBytes) {
    throw yaml::Error(0, "it is larger than 1 MiB", "split it into several");
  }
  return text;
}

class Reader {
 public:
  explicit Reader(const std::vector<Collector>& built_in) : names_(built_in) {}

  CustomCollectors Take() { return std::move(read_); }

  // `contents` gives the text, or throws yaml::Error.
  void Read(const std::string& file,
            const std::function<std::string()>& contents) {
    Faults faults(file);
    try {
      ReadText(file, contents(), faults);
    } catch (const yaml::Error& error) {
      faults.Add(error.line(), error.what(), error.remedy());
    }
    auto all = faults.all();
    std::stable_sort(
        all.begin(), all.end(),
        [](const FileFault& a, const FileFault& b) { return a.line < b.line; });
    Report(all);
  }

 private:
  void ReadText(const std::string& file, const std::string& text,
                Faults& faults) {
    const Node root = yaml::Parse(text);
    constexpr auto kBegin = "begin with collectors: and under it - name: …";
    if (root.kind == Kind::kNull) {
      faults.Add(root.line, "the file is empty", kBegin);
    } else if (root.kind != Kind::kMap) {
      faults.Add(root.line, "the file is not a map", kBegin);
    } else {
      CheckFields(root, "", faults);
    }
    for (const auto& node : ItemsOf(root, "collectors", Kind::kMap)) {
      ReadCollector(file, node, faults);
    }
  }

  void ReadCollector(const std::string& file, const Node& node,
                     Faults& faults) {
    auto collector = CollectorOf(node, file);
    const size_t before = faults.all().size();
    CheckValues(node, collector, faults);
    names_.Check(node, collector, faults);
    if (faults.all().size() > before) {
      read_.refused.push_back(collector.name);
      return;
    }
    names_.Take(collector, file + ":" + std::to_string(node.line));
    Faults advice(file);
    Advise(node, collector, advice);
    read_.advice.insert(read_.advice.end(), advice.all().begin(),
                        advice.all().end());
    read_.collectors.push_back(std::move(collector));
  }

  void Report(const std::vector<FileFault>& faults) {
    const size_t shown = std::min(faults.size(), kMostFaults);
    read_.faults.insert(read_.faults.end(), faults.begin(),
                        faults.begin() + static_cast<std::ptrdiff_t>(shown));
    if (shown == faults.size()) return;
    read_.faults.push_back({faults[shown].file, faults[shown].line,
                            "from here on " +
                                std::to_string(faults.size() - shown) +
                                " more faults",
                            "mend the others first"});
  }

  Names names_;
  CustomCollectors read_;
};

std::string Lines(const std::vector<FileFault>& faults) {
  std::string lines;
  for (const auto& fault : faults) {
    lines += (lines.empty() ? "" : "\n") + Text(fault);
  }
  return lines;
}

}  // namespace

InvalidCollectors::InvalidCollectors(std::vector<FileFault> faults)
    : UsageError(Lines(faults), ""), faults_(std::move(faults)) {}

CustomCollectors ReadCustomCollectors(const std::vector<std::string>& files,
                                      const std::vector<Collector>& built_in) {
  Reader reader(built_in);
  for (const auto& file : files) {
    reader.Read(file, [&file] { return Contents(file); });
  }
  return reader.Take();
}

CustomCollectors ParseCustomCollectors(const std::string& file,
                                       const std::string& text,
                                       const std::vector<Collector>& built_in) {
  Reader reader(built_in);
  reader.Read(file, [&text] { return text; });
  return reader.Take();
}

}  // namespace meshhook
