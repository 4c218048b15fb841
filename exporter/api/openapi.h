// SPDX-License-Identifier: MIT
#pragma once

namespace meshhook::api {

// openapi.json, put in when the program is built.
extern const char* const kOpenApi;

}  // namespace meshhook::api
