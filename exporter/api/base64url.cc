// SPDX-License-Identifier: MIT
#include "exporter/api/base64url.h"

#include <cstdint>

namespace meshhook::api {
namespace {

constexpr uint32_t kNone = 64;

constexpr uint32_t ValueOf(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<uint32_t>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0') + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return kNone;
}

}  // namespace

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;  // of the bits that are not written yet
  for (const char c : text) {
    const uint32_t value = ValueOf(c);
    if (value == kNone) return std::nullopt;
    bits = (bits << 6 | value) & 0xFFF;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  // One character alone is no byte; what is left over of others must be zeros.
  const bool whole = text.size() % 4 != 1;
  const bool canonical = (bits & ((1u << count) - 1)) == 0;
  if (!whole || !canonical) return std::nullopt;
  return bytes;
}

}  // namespace meshhook::api
