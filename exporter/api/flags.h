// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>

#include "exporter/api/server.h"

namespace meshhook::api {

// The flags --api.…
void AddFlags(CLI::App& app, ServerOptions& options);

// Throws UsageError where they do not go together.
void CheckFlags(const ServerOptions& options);

}  // namespace meshhook::api
