// SPDX-License-Identifier: MIT
// What of an answer a client wants, by its headers.
#pragma once

#include <string>
#include <string_view>

#include "exporter/text_format.h"

namespace meshhook {

struct Offer {
  Format format;
  std::string_view content_type;
};

// For a client that sends this Accept. OpenMetrics goes to those who name it
// and like nothing better; text to all others, whatever else they want.
Offer ChooseOffer(std::string_view accept);

// Whether a client that sends this Accept-Encoding takes gzip, and likes it no
// less than the text as it is.
bool AcceptsGzip(std::string_view accept_encoding);

}  // namespace meshhook
