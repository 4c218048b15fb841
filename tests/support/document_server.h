// SPDX-License-Identifier: MIT
// An HTTP server of one document, which may change.
#pragma once

#include <civetweb.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "tests/support/http_client.h"
#include "tests/support/process.h"

namespace test {

class DocumentServer {
 public:
  // On that port, or on any.
  explicit DocumentServer(int port = 0) {
    const auto address = "127.0.0.1:" + std::to_string(port);
    const char* options[] = {"listening_ports", address.c_str(), "num_threads",
                             "4", nullptr};
    context_ = mg_start(nullptr, nullptr, options);
    if (context_ == nullptr) throw std::runtime_error("cannot listen");
    mg_set_request_handler(context_, "/", &Handle, this);
    mg_server_port listening{};
    mg_get_server_ports(context_, 1, &listening);
    port_ = listening.port;
  }
  ~DocumentServer() {
    std::atomic<bool> stopped = false;
    std::thread stopping([this, &stopped] {
      mg_stop(context_);
      stopped = true;
    });
    // CivetWeb looks whether it should stop once in two seconds, and when a
    // client comes.
    Await([this, &stopped] {
      try {
        if (!stopped) const HttpConnection client(port_);
      } catch (const std::system_error&) {  // it does not listen any more
      }
      return stopped.load();
    });
    stopping.join();
  }
  DocumentServer(const DocumentServer&) = delete;
  DocumentServer& operator=(const DocumentServer&) = delete;

  // From now on. The status may be a redirect, to where a Location leads.
  void Give(const std::string& body, int status = 200,
            const std::string& header = "X-Test: 1") {
    const std::lock_guard lock(mutex_);
    answer_ = "HTTP/1.1 " + std::to_string(status) + " Status\r\n" + header +
              "\r\nConnection: close\r\n\r\n" + body;
  }

  int port() const { return port_; }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/jwks.json";
  }
  // How often it was asked.
  int asked() const { return asked_; }
  // Of the last request; "" if it had none.
  std::string authorization() const {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }

  // Held by a test, no answer is given meanwhile.
  std::mutex& hold() { return hold_; }

 private:
  static int Handle(mg_connection* connection, void* self_pointer) {
    auto& self = *static_cast<DocumentServer*>(self_pointer);
    ++self.asked_;
    const std::lock_guard hold(self.hold_);
    const std::lock_guard lock(self.mutex_);
    const char* authorization = mg_get_header(connection, "Authorization");
    self.authorization_ = authorization == nullptr ? "" : authorization;
    mg_write(connection, self.answer_.data(), self.answer_.size());
    return 1;
  }

  mg_context* context_;
  int port_;
  std::atomic<int> asked_{0};
  std::mutex hold_;
  mutable std::mutex mutex_;
  std::string answer_;
  std::string authorization_;
};

}  // namespace test
