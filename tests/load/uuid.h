// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace load {

// A random UUID, version 4; never repeats, whatever --seed says. Thread-safe.
std::string NewUuid();

}  // namespace load
