// SPDX-License-Identifier: MIT
// The real program with the API, over a database that it may find as it likes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/support/exporter.h"
#include "tests/support/folder.h"

namespace test {

// Without the worker. Tokens are signed with kSecret of tests/support/api.h.
class ApiProgram {
 public:
  // The metrics' connection, and the API's.
  ApiProgram(const std::string& url, const std::string& api_url,
             std::vector<std::string> flags = {});

  Exporter& exporter() { return *exporter_; }
  int metrics_port() const { return exporter_->port(); }
  int port() const { return port_; }

  HttpResponse Get(const std::string& path, const std::string& token) const;

 private:
  const Folder folder_;
  std::optional<Exporter> exporter_;
  int port_ = 0;
};

}  // namespace test
