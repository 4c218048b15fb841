// SPDX-License-Identifier: MIT
#include "exporter/negotiation.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <vector>

namespace meshhook {
namespace {

// One element of a header's list: gzip;q=0.5, or text/plain;version=0.0.4.
struct Element {
  std::string name;     // in lower case
  std::string version;  // "": any
  double quality = 1;   // 0: not wanted
};

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const size_t start = text.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return "";
  return text.substr(start, text.find_last_not_of(kBlank) - start + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return lower;
}

// Takes what stands before the separator off the text.
std::string_view Next(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const auto part = Trimmed(text.substr(0, end));
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

// What is no quality is not wanted.
double Quality(std::string_view text) {
  double quality = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), quality);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && quality >= 0 && quality <= 1 ? quality : 0;
}

std::vector<Element> ElementsOf(std::string_view header) {
  std::vector<Element> elements;
  while (!header.empty()) {
    auto rest = Next(header, ',');
    Element element;
    element.name = Lower(Next(rest, ';'));
    while (!rest.empty()) {
      auto value = Next(rest, ';');
      const auto key = Lower(Next(value, '='));
      if (value.size() > 1 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
      }
      if (key == "q") element.quality = Quality(Trimmed(value));
      if (key == "version") element.version = Trimmed(value);
    }
    if (!element.name.empty()) elements.push_back(std::move(element));
  }
  return elements;
}

// How much a client wants something, by the element that names it best.
struct Wish {
  double quality = 0;
  int exactness = 0;  // 0: no element names it
};

void Consider(const Element& element, int exactness, Wish& wish) {
  if (exactness < wish.exactness) return;
  if (exactness == wish.exactness) {
    wish.quality = std::max(wish.quality, element.quality);
  } else {
    wish = {element.quality, exactness};
  }
}

constexpr int kByName = 3;

Wish WishFor(const std::vector<Element>& elements, std::string_view type,
             std::string_view version) {
  const auto group = std::string(type.substr(0, type.find('/'))) + "/*";
  Wish wish;
  for (const auto& element : elements) {
    if (element.name == "*/*") Consider(element, 1, wish);
    if (element.name == group) Consider(element, 2, wish);
    if (element.name != type) continue;
    if (element.version.empty()) Consider(element, kByName, wish);
    if (element.version == version) Consider(element, kByName + 1, wish);
  }
  return wish;
}

}  // namespace

Offer ChooseOffer(std::string_view accept) {
  struct Kind {
    std::string_view type;
    std::string_view version;
    Offer offer;
  };
  static constexpr Kind kText{
      "text/plain",
      "0.0.4",
      {Format::kText, "text/plain; version=0.0.4; charset=utf-8"}};
  // The two differ in nothing that is written here.
  static constexpr std::array<Kind, 2> kOpenMetrics{
      {{"application/openmetrics-text",
        "1.0.0",
        {Format::kOpenMetrics,
         "application/openmetrics-text; version=1.0.0; charset=utf-8"}},
       {"application/openmetrics-text",
        "0.0.1",
        {Format::kOpenMetrics,
         "application/openmetrics-text; version=0.0.1; charset=utf-8"}}}};
  const auto elements = ElementsOf(accept);
  const Kind* best = &kText;
  Wish most = WishFor(elements, kText.type, kText.version);
  for (const auto& kind : kOpenMetrics) {
    const auto wish = WishFor(elements, kind.type, kind.version);
    const bool tie_goes_to_it = best == &kText && wish.exactness >= kByName;
    if (wish.quality > most.quality ||
        (wish.quality > 0 && wish.quality == most.quality && tie_goes_to_it)) {
      best = &kind;
      most = wish;
    }
  }
  return best->offer;
}

bool AcceptsGzip(std::string_view accept_encoding) {
  std::optional<double> gzip;
  std::optional<double> any;
  double identity = 0;
  for (const auto& element : ElementsOf(accept_encoding)) {
    if (element.name == "gzip" || element.name == "x-gzip") {
      gzip = std::max(gzip.value_or(0), element.quality);
    } else if (element.name == "*") {
      any = element.quality;
    } else if (element.name == "identity") {
      identity = element.quality;
    }
  }
  const double quality = gzip.value_or(any.value_or(0));
  return quality > 0 && quality >= identity;
}

}  // namespace meshhook
