// SPDX-License-Identifier: MIT
// What somebody who wrote a name that is not there may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace meshhook {

// The one of these names that is nearest to the word by letters added, left
// out and changed; "" where none is near.
std::string Nearest(std::string_view word,
                    const std::vector<std::string>& names);

}  // namespace meshhook
