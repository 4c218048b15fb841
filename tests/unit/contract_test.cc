// SPDX-License-Identifier: MIT
// The catalogue has every metric of postgres_exporter, with its type and its
// labels.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "collectors/all.h"
#include "exporter/self_metrics.h"
#include "exporter/text_format.h"

namespace {

// "type label,label", the labels in order of their names.
std::string Shape(prometheus::MetricType type,
                  std::vector<std::string> labels) {
  std::sort(labels.begin(), labels.end());
  std::string shape(meshhook::TypeName(type));
  shape += " ";
  for (const auto& label : labels) shape += label + ",";
  return shape;
}

std::map<std::string, std::string> Catalogue() {
  std::map<std::string, std::string> shapes;
  for (const auto& collector : meshhook::collectors::All()) {
    for (const auto& metric : collector.metrics) {
      auto labels = metric.label_columns.value_or(collector.labels);
      // Where postgres_exporter reads one database and says not which, the
      // label that tells several apart is besides.
      if (metric.name.rfind("pg_statio_user_indexes", 0) == 0) {
        std::erase(labels, "datname");
      }
      for (const auto& label : metric.labels) labels.push_back(label.name);
      shapes[metric.name] = Shape(metric.type, labels);
    }
  }
  for (const auto& metric : meshhook::SelfMetrics()) {
    shapes[metric.name] = Shape(metric.type, metric.labels);
  }
  return shapes;
}

TEST(Contract, HasEveryMetricOfPostgresExporterWithItsTypeAndLabels) {
  std::ifstream contract(MESHHOOK_CONTRACT);
  const auto catalogue = Catalogue();
  int metrics = 0;
  for (std::string line; std::getline(contract, line);) {
    if (line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::string type;
    std::string labels;
    words >> name >> type >> labels;
    std::vector<std::string> wanted;
    std::istringstream list(labels == "-" ? "" : labels);
    for (std::string label; std::getline(list, label, ',');) {
      wanted.push_back(label);
    }
    std::sort(wanted.begin(), wanted.end());
    std::string shape = type + " ";
    for (const auto& label : wanted) shape += label + ",";
    const auto found = catalogue.find(name);
    if (found == catalogue.end()) {
      ADD_FAILURE() << name << " is missing";
    } else {
      EXPECT_EQ(found->second, shape) << name;
    }
    ++metrics;
  }
  EXPECT_GT(metrics, 100);
}

}  // namespace
