// SPDX-License-Identifier: MIT
#include "tests/load/uuid.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <random>

namespace load {
namespace {

std::mt19937_64 SeededByTheSystem() {
  std::random_device device;
  std::seed_seq seeds{device(), device(), device(), device()};
  return std::mt19937_64(seeds);
}

}  // namespace

std::string NewUuid() {
  thread_local std::mt19937_64 engine = SeededByTheSystem();
  const std::uint64_t high =
      (engine() & 0xffffffffffff0fffU) | 0x0000000000004000U;
  const std::uint64_t low =
      (engine() & 0x3fffffffffffffffU) | 0x8000000000000000U;
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-%04x-%04x-%012llx",
                static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff),
                static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffffU));
  return text.data();
}

}  // namespace load
