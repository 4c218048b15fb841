// SPDX-License-Identifier: MIT
#include "exporter/text_format.h"

#include <array>
#include <charconv>
#include <cmath>

namespace meshhook {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void AppendNumber(double value, std::string& page) {
  if (std::isnan(value)) {
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

void AppendBound(double bound, std::string& page) {
  const size_t start = page.size();
  AppendNumber(bound, page);
  const bool whole = page.find_first_of(".eIN", start) == std::string::npos;
  if (whole) page += ".0";
}

// Length of the well-formed UTF-8 sequence that `text` begins with, or 0.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(0);
  const size_t length = first < 0x80                     ? 1
                        : first >= 0xC2 && first < 0xE0  ? 2
                        : first >= 0xE0 && first < 0xF0  ? 3
                        : first >= 0xF0 && first <= 0xF4 ? 4
                                                         : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

// Escaped for a label's value or, without quotes, for HELP. Bytes that are not
// UTF-8 (a SQL_ASCII database has them) become U+FFFD, as Prometheus would
// refuse the page for one of them.
void AppendEscaped(std::string_view text, bool quotes, std::string& page) {
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = SequenceLength(text);
    if (length == 0) {
      page += "\xEF\xBF\xBD";
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

// One line; `le` is null save for a histogram's bucket.
void AppendSample(std::string_view name, std::string_view suffix,
                  const ClientMetric& sample, const double* le, double value,
                  std::string& page) {
  page.append(name).append(suffix);
  char separator = '{';
  for (const auto& label : sample.label) {
    page += separator;
    page.append(label.name).append("=\"");
    AppendEscaped(label.value, true, page);
    page += '"';
    separator = ',';
  }
  if (le != nullptr) {
    page += separator;
    page += "le=\"";
    AppendBound(*le, page);
    page += '"';
    separator = ',';
  }
  page += separator == '{' ? " " : "} ";
  AppendNumber(value, page);
  page += '\n';
}

void AppendHistogram(const std::string& name, const ClientMetric& sample,
                     std::string& page) {
  for (const auto& bucket : sample.histogram.bucket) {
    AppendSample(name, "_bucket", sample, &bucket.upper_bound,
                 static_cast<double>(bucket.cumulative_count), page);
  }
  AppendSample(name, "_sum", sample, nullptr, sample.histogram.sample_sum,
               page);
  AppendSample(name, "_count", sample, nullptr,
               static_cast<double>(sample.histogram.sample_count), page);
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

}  // namespace

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

void AppendText(const std::vector<MetricFamily>& families, std::string& page) {
  for (const auto& family : families) {
    if (family.metric.empty()) continue;
    page.append("# HELP ").append(family.name).append(1, ' ');
    AppendEscaped(family.help, false, page);
    page.append("\n# TYPE ").append(family.name).append(1, ' ');
    page.append(TypeName(family.type)).append(1, '\n');
    for (const auto& sample : family.metric) {
      if (family.type == MetricType::Histogram) {
        AppendHistogram(family.name, sample, page);
      } else {
        AppendSample(family.name, "", sample, nullptr,
                     ValueOf(family.type, sample), page);
      }
    }
  }
}

}  // namespace meshhook
