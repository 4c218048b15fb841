// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace meshhook {

// Length of the well-formed UTF-8 sequence that `text` begins with, or 0.
size_t Utf8Length(std::string_view text);

}  // namespace meshhook
