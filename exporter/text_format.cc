// SPDX-License-Identifier: MIT
#include "exporter/text_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "exporter/utf8.h"

namespace meshhook {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

// What is left of a counter's name without `_total`; "" where it has none.
std::string_view WithoutTotal(std::string_view name) {
  constexpr std::string_view kTotal = "_total";
  return name.ends_with(kTotal) ? name.substr(0, name.size() - kTotal.size())
                                : "";
}

void AppendCount(std::uint64_t count, std::string& page) {
  std::array<char, 20> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), count).ptr;
  page.append(digits.data(), end);
}

void AppendNumber(double value, std::string& page) {
  constexpr double kExact = 1e15;  // up to here all integers are doubles
  if (value >= 0 && value < kExact && value == std::trunc(value)) {
    AppendCount(static_cast<std::uint64_t>(value), page);
  } else if (std::isnan(value)) {
    page += "NaN";
  } else if (std::isinf(value)) {
    page += value > 0 ? "+Inf" : "-Inf";
  } else {
    std::array<char, 32> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    page.append(digits.data(), end);
  }
}

// A bucket's bound is a label, and so must have one spelling: Go's, as
// Prometheus 3 spells all of them anew.
void AppendBound(double bound, std::string& page) {
  if (std::isinf(bound)) {
    page += bound > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(),
                                 bound, std::chars_format::general)
                       .ptr;
  const std::string_view text(digits.data(),
                              static_cast<size_t>(end - digits.data()));
  page += text;
  if (text.find_first_of(".e") == std::string_view::npos) page += ".0";
}

bool IsPlain(std::string_view text, bool quotes) {
  return std::all_of(text.begin(), text.end(), [quotes](char c) {
    return static_cast<unsigned char>(c) < 0x80 && c != '\\' && c != '\n' &&
           (c != '"' || !quotes);
  });
}

// Bytes that are not UTF-8 (a SQL_ASCII database has them) become U+FFFD, as
// Prometheus would refuse the page for one of them.
void AppendEscaped(std::string_view text, bool quotes, std::string& page) {
  if (IsPlain(text, quotes)) {
    page += text;
    return;
  }
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = Utf8Length(text);
    if (length == 0) {
      page += kReplacement;
    } else if (c == '\\') {
      page += "\\\\";
    } else if (c == '\n') {
      page += "\\n";
    } else if (c == '"' && quotes) {
      page += "\\\"";
    } else {
      page += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

// {a="b",c="d"}, or nothing.
void SetLabels(const std::vector<ClientMetric::Label>& labels,
               std::string& text) {
  text.clear();
  for (const auto& label : labels) {
    text += text.empty() ? '{' : ',';
    text.append(label.name).append("=\"");
    AppendEscaped(label.value, true, text);
    text += '"';
  }
  if (!text.empty()) text += '}';
}

double ValueOf(MetricType type, const ClientMetric& sample) {
  switch (type) {
    case MetricType::Counter:
      return sample.counter.value;
    case MetricType::Gauge:
      return sample.gauge.value;
    default:
      return sample.untyped.value;
  }
}

// The family as OpenMetrics has it.
struct Heading {
  std::string_view name;
  std::string_view type;
};

// A counter is one by its name, and counters and summaries never fall below 0.
Heading HeadingOf(const Family& family) {
  const std::string_view name = family.name;
  switch (family.type) {
    case MetricType::Gauge:
    case MetricType::Histogram:
      return {name, TypeName(family.type)};
    case MetricType::Counter:
    case MetricType::Summary: {
      const bool counter = family.type == MetricType::Counter;
      const bool never_below_0 =
          std::all_of(family.metric.begin(), family.metric.end(),
                      [&family, counter](const auto& sample) {
                        const double value = ValueOf(family.type, sample);
                        return value >= 0 || (!counter && std::isnan(value));
                      });
      const auto open_name = counter ? WithoutTotal(name) : name;
      if (!never_below_0 || open_name.empty()) break;
      return {open_name, TypeName(family.type)};
    }
    default:
      break;
  }
  return {name, "unknown"};
}

// What the name says that its values are, in base units; "" where it does not.
std::string_view UnitOf(std::string_view name) {
  for (const std::string_view unit : {"seconds", "bytes", "ratio"}) {
    if (name.size() > unit.size() + 1 && name.ends_with(unit) &&
        name[name.size() - unit.size() - 1] == '_') {
      return unit;
    }
  }
  return "";
}

// One family after the other, in one of the formats.
class Writer {
 public:
  Writer(Format format, std::string& page)
      : open_(format == Format::kOpenMetrics), page_(page) {}

  void Write(const Family& family) {
    const auto heading =
        open_ ? HeadingOf(family) : Heading{family.name, TypeName(family.type)};
    Head(heading, family.help);
    for (size_t i = 0; i < family.metric.size(); ++i) {
      static const Detail nothing;
      const auto& sample = family.metric[i];
      const auto& detail =
          open_ && i < family.details.size() ? family.details[i] : nothing;
      SetLabels(sample.label, labels_);
      if (family.type == MetricType::Histogram) {
        Histogram(family.name, sample.histogram, detail);
      } else {
        Sample(family.name, "", ValueOf(family.type, sample));
        if (detail.created && heading.type != "unknown") {
          Sample(heading.name, "_created", *detail.created);
        }
      }
    }
  }

 private:
  void Head(const Heading& heading, std::string_view help) {
    page_.append("# HELP ").append(heading.name).append(1, ' ');
    AppendEscaped(help, open_, page_);
    page_.append("\n# TYPE ").append(heading.name).append(1, ' ');
    page_.append(heading.type).append(1, '\n');
    const auto unit = open_ ? UnitOf(heading.name) : "";
    if (unit.empty()) return;
    page_.append("# UNIT ").append(heading.name).append(1, ' ');
    page_.append(unit).append(1, '\n');
  }

  void Sample(std::string_view name, std::string_view suffix, double value) {
    page_.append(name).append(suffix).append(labels_).append(1, ' ');
    AppendNumber(value, page_);
    page_ += '\n';
  }

  void Histogram(std::string_view name,
                 const ClientMetric::Histogram& histogram,
                 const Detail& detail) {
    // `le` closes them.
    const auto others = std::string_view(labels_).substr(
        0, labels_.empty() ? 0 : labels_.size() - 1);
    double lower = -INFINITY;
    for (const auto& bucket : histogram.bucket) {
      page_.append(name).append("_bucket").append(others);
      page_.append(others.empty() ? "{le=\"" : ",le=\"");
      AppendBound(bucket.upper_bound, page_);
      page_.append("\"} ");
      AppendCount(bucket.cumulative_count, page_);
      WriteExemplar(detail.exemplars, lower, bucket.upper_bound);
      page_ += '\n';
      lower = bucket.upper_bound;
    }
    // OpenMetrics has a sum only where it cannot fall, and a count only with
    // the sum; the count is in the last bucket as well.
    const bool below_0 =
        !histogram.bucket.empty() && histogram.bucket[0].upper_bound < 0;
    if (!open_ || (histogram.sample_sum >= 0 && !below_0)) {
      Sample(name, "_sum", histogram.sample_sum);
      page_.append(name).append("_count").append(labels_).append(1, ' ');
      AppendCount(histogram.sample_count, page_);
      page_ += '\n';
    }
    if (detail.created) Sample(name, "_created", *detail.created);
  }

  // The one with a value in that range, if there is one.
  void WriteExemplar(const std::vector<Exemplar>& exemplars, double above,
                     double up_to) {
    for (const auto& exemplar : exemplars) {
      if (exemplar.value <= above || exemplar.value > up_to) continue;
      page_.append(" # {").append(exemplar.label).append("=\"");
      AppendEscaped(exemplar.label_value, true, page_);
      page_.append("\"} ");
      AppendNumber(exemplar.value, page_);
      page_ += ' ';
      AppendNumber(exemplar.time, page_);
      return;
    }
  }

  const bool open_;
  std::string& page_;
  std::string labels_;  // of the sample that is being written
};

}  // namespace

bool IsMetricName(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == ':' || (c >= '0' && c <= '9');
  };
  return !name.empty() && (name[0] < '0' || name[0] > '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::Summary:
      return "summary";
    default:
      return "untyped";
  }
}

std::vector<std::string> NamesOf(const std::string& name, MetricType type) {
  switch (type) {
    case MetricType::Counter: {
      const std::string family(WithoutTotal(name));
      if (family.empty()) return {name};
      return {name, family, family + "_created"};
    }
    case MetricType::Histogram:
      return {name, name + "_bucket", name + "_count", name + "_sum",
              name + "_created"};
    case MetricType::Summary:
      return {name, name + "_count", name + "_sum", name + "_created"};
    default:
      return {name};
  }
}

void Append(const std::vector<Family>& families, Format format,
            std::string& page) {
  Writer writer(format, page);
  for (const auto& family : families) {
    if (!family.metric.empty()) writer.Write(family);
  }
}

}  // namespace meshhook
