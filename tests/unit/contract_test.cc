// SPDX-License-Identifier: MIT
// The catalogue has every metric of postgres_exporter, with its type and its
// labels.
#include "tests/contract/contract.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

#include "collectors/all.h"
#include "exporter/self_metrics.h"
#include "exporter/text_format.h"

namespace {

using Shape = std::pair<std::string, std::set<std::string>>;

// Type and labels by name.
std::map<std::string, Shape> Catalogue() {
  std::map<std::string, Shape> shapes;
  for (const auto& collector : meshhook::collectors::All()) {
    for (const auto& metric : collector.metrics) {
      const auto columns = metric.label_columns.value_or(collector.labels);
      Shape shape{std::string(meshhook::TypeName(metric.type)),
                  {columns.begin(), columns.end()}};
      for (const auto& label : metric.labels) shape.second.insert(label.name);
      shapes[metric.name] = std::move(shape);
    }
  }
  for (const auto& metric : meshhook::SelfMetrics()) {
    shapes[metric.name] = {std::string(meshhook::TypeName(metric.type)),
                           {metric.labels.begin(), metric.labels.end()}};
  }
  return shapes;
}

TEST(Contract, HasEveryMetricOfPostgresExporterWithItsTypeAndLabels) {
  const auto catalogue = Catalogue();
  const auto promises = test::Promises();
  for (const auto& promise : promises) {
    const auto found = catalogue.find(promise.name);
    if (found == catalogue.end()) {
      ADD_FAILURE() << promise.name << " is missing";
      continue;
    }
    EXPECT_EQ(found->second.first, promise.type) << promise.name;
    EXPECT_EQ(found->second.second, promise.labels) << promise.name;
  }
  EXPECT_GT(promises.size(), 100u);
}

}  // namespace
