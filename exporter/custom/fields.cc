// SPDX-License-Identifier: MIT
#include "exporter/custom/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "exporter/nearest.h"

namespace meshhook {
namespace {

using yaml::Kind;
using yaml::Node;

bool IsBoolean(const Node& node) {
  return !node.quoted && (IsTrue(node) || node.text == "false" ||
                          node.text == "False" || node.text == "FALSE");
}

bool IsNumber(const Node& node) {
  constexpr size_t kMostDigits = 9;  // so that it fits an int
  return !node.text.empty() && node.text.size() <= kMostDigits &&
         node.text.find_first_not_of("0123456789") == std::string::npos;
}

bool AreAll(Kind kind, const std::vector<Node>& nodes) {
  return std::all_of(nodes.begin(), nodes.end(),
                     [kind](const Node& node) { return node.kind == kind; });
}

bool Fits(const Node& node, FieldType type) {
  switch (type) {
    case FieldType::kText:
      return node.kind == Kind::kText;
    case FieldType::kBoolean:
      return node.kind == Kind::kText && IsBoolean(node);
    case FieldType::kNumber:
      return node.kind == Kind::kText && IsNumber(node);
    case FieldType::kTexts:
      return node.kind == Kind::kList && AreAll(Kind::kText, node.items);
    case FieldType::kPairs:
      return node.kind == Kind::kMap && AreAll(Kind::kText, node.items);
    case FieldType::kGroup:
      return node.kind == Kind::kMap;
    case FieldType::kGroups:
      return node.kind == Kind::kList && AreAll(Kind::kMap, node.items);
  }
  return false;
}

bool IsBlank(const Node& node) {
  return node.kind == Kind::kNull ||
         (node.kind == Kind::kText &&
          node.text.find_first_not_of(" \t\r\n") == std::string::npos);
}

std::vector<const Field*> FieldsOf(std::string_view group) {
  std::vector<const Field*> fields;
  for (const auto& field : CustomFields()) {
    if (field.of == group) fields.push_back(&field);
  }
  return fields;
}

// What stands where something of another type should.
std::string Instead(const Node& node, FieldType type) {
  const bool list = type == FieldType::kTexts || type == FieldType::kGroups;
  if (node.kind == Kind::kText) return ": " + Quoted(node.text);
  if (node.kind == Kind::kList && list) return ": an item is something else";
  return node.kind == Kind::kList ? ", but a list"
         : type == FieldType::kPairs && node.kind == Kind::kMap
             ? ": a value is something else"
             : ", but a map";
}

void CheckValue(const Node& node, const Field& field, Faults& faults) {
  const auto write = "write " + field.example;
  if (IsBlank(node) && (field.required || node.kind == Kind::kNull)) {
    faults.Add(node.line, field.name + " is empty", write);
  } else if (!Fits(node, field.type)) {
    faults.Add(node.line,
               field.name + " is not " + std::string(TypeText(field.type)) +
                   Instead(node, field.type),
               write);
  } else if (field.type == FieldType::kGroup) {
    CheckFields(node, field.name, faults);
  } else if (field.type == FieldType::kPairs) {
    std::set<std::string> names;
    for (const auto& key : node.keys) {
      if (names.insert(key.text).second) continue;
      faults.Add(key.line, Quoted(key.text) + " stands here twice",
                 "remove one");
    }
  }
}

}  // namespace

const std::vector<Field>& CustomFields() {
  using enum FieldType;
  static const std::vector<Field> fields{
      {"", "collectors", kGroups, true, "collectors: and under it - name: …"},
      {"collectors", "name", kText, true, "name: orders"},
      {"collectors", "summary", kText, false, "summary: orders by state"},
      {"collectors", "query", kText, true,
       "query: SELECT count(*) AS orders FROM shop.orders"},
      {"collectors", "labels", kTexts, false, "labels: [state]"},
      {"collectors", "metrics", kGroups, true,
       "metrics: and under it - name: …"},
      {"collectors", "variants", kGroups, false,
       "variants: and under it - min_server_version: 17"},
      {"collectors", "extension", kText, false, "extension: pgcrypto"},
      {"collectors", "min_server_version", kNumber, false,
       "min_server_version: 15"},
      {"collectors", "needs", kGroup, false,
       "needs: {sql: …, absent: shop is not installed}"},
      {"collectors", "scope", kText, false, "scope: database"},
      {"collectors", "interval", kNumber, false, "interval: 300"},
      {"collectors", "limit", kGroup, false, "limit: {rows: 50, rank: orders}"},
      {"collectors", "settings", kGroups, false,
       "settings: and under it - name: …"},
      {"collectors", "on", kBoolean, false, "on: false"},
      {"metrics", "name", kText, true, "name: shop_orders"},
      {"metrics", "type", kText, true, "type: gauge"},
      {"metrics", "help", kText, true, "help: Orders that are not sent."},
      {"metrics", "column", kText, true, "column: orders"},
      {"metrics", "labels", kPairs, false, "labels: {state: open}"},
      {"metrics", "label_columns", kTexts, false, "label_columns: [state]"},
      {"metrics", "bounds_column", kText, false, "bounds_column: bounds"},
      {"metrics", "sum_column", kText, false, "sum_column: seconds"},
      {"metrics", "name_column", kText, false, "name_column: setting"},
      {"metrics", "additive", kBoolean, false, "additive: true"},
      {"variants", "min_server_version", kNumber, true,
       "min_server_version: 17"},
      {"variants", "query", kText, true, "query: SELECT …"},
      {"needs", "sql", kText, true,
       "sql: to_regclass('shop.orders') IS NOT NULL"},
      {"needs", "absent", kText, true, "absent: shop is not installed"},
      {"limit", "rows", kNumber, true, "rows: 50"},
      {"limit", "rank", kText, true, "rank: orders"},
      {"settings", "name", kText, true, "name: state"},
      {"settings", "value", kText, false, "value: open"},
      {"settings", "help", kText, false, "help: which orders to count"}};
  return fields;
}

std::string_view TypeText(FieldType type) {
  switch (type) {
    case FieldType::kText:
      return "a text";
    case FieldType::kBoolean:
      return "true or false";
    case FieldType::kNumber:
      return "a whole number";
    case FieldType::kTexts:
      return "a list of names";
    case FieldType::kPairs:
      return "a map of texts";
    case FieldType::kGroup:
      return "a map";
    case FieldType::kGroups:
      return "a list of maps";
  }
  return "";
}

std::string Quoted(const std::string& text) {
  constexpr size_t kMost = 60;
  const size_t line_end = text.find('\n');
  if (text.size() <= kMost && line_end == text.npos) return '"' + text + '"';
  size_t end = std::min(kMost, line_end);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) {
    --end;  // not in the middle of a character
  }
  return '"' + text.substr(0, end) + "…\"";
}

std::string Text(const FileFault& fault) {
  const auto line = fault.line == 0 ? "" : fmt::format(":{}", fault.line);
  return fmt::format("{}{}: {}; to mend it: {}", fault.file, line, fault.what,
                     fault.remedy);
}

const Node* Find(const Node& map, std::string_view key) {
  for (size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text == key) return &map.items[i];
  }
  return nullptr;
}

std::vector<Node> ItemsOf(const Node& map, std::string_view key, Kind kind) {
  const auto* list = Find(map, key);
  if (list == nullptr || list->kind != Kind::kList ||
      !AreAll(kind, list->items)) {
    return {};
  }
  return list->items;
}

int LineOf(const Node& map, std::string_view key) {
  const auto* value = Find(map, key);
  return value == nullptr ? map.line : value->line;
}

bool IsTrue(const Node& boolean) {
  return boolean.text == "true" || boolean.text == "True" ||
         boolean.text == "TRUE";
}

void CheckFields(const Node& map, std::string_view group, Faults& faults) {
  const auto fields = FieldsOf(group);
  std::vector<std::string> names;
  for (const auto* field : fields) names.push_back(field->name);

  std::set<std::string> seen;
  std::set<std::string> meant;  // by keys that are misspelt
  for (size_t i = 0; i < map.keys.size(); ++i) {
    const auto& key = map.keys[i];
    const auto field =
        std::find_if(fields.begin(), fields.end(),
                     [&key](const auto* one) { return one->name == key.text; });
    if (!seen.insert(key.text).second) {
      faults.Add(key.line, Quoted(key.text) + " stands here twice",
                 "remove one");
    } else if (field != fields.end()) {
      CheckValue(map.items[i], **field, faults);
    } else if (const auto near = Nearest(key.text, names); !near.empty()) {
      meant.insert(near);
      faults.Add(key.line, "unknown key " + Quoted(key.text), "write " + near);
    } else {
      faults.Add(key.line, "unknown key " + Quoted(key.text),
                 fmt::format("remove it; what can stand here: {}",
                             fmt::join(names.begin(), names.end(), ", ")));
    }
  }
  for (const auto* field : fields) {
    if (!field->required || seen.contains(field->name) ||
        meant.contains(field->name)) {
      continue;
    }
    faults.Add(map.line, field->name + " is missing", "add " + field->example);
  }
}

}  // namespace meshhook
