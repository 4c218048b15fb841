// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace meshhook {

// Length of the well-formed UTF-8 sequence that `text` begins with, or 0.
size_t Utf8Length(std::string_view text);

// What stands for each byte that is part of none.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// The text, with what is not UTF-8 replaced.
std::string RepairedUtf8(std::string_view text);

}  // namespace meshhook
