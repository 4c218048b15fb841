// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace meshhook {

std::string Gzip(std::string_view text);

}  // namespace meshhook
