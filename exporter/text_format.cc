// SPDX-License-Identifier: MIT
#include "exporter/text_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "exporter/utf8.h"

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

// Escaped for a label's value or, without quotes, for HELP. Bytes that are not
// UTF-8 (a SQL_ASCII database has them) become U+FFFD, as Prometheus would
// refuse the page for one of them.
void AppendEscaped(std::string_view text, bool quotes, std::string& page) {
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = Utf8Length(text);
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
