// SPDX-License-Identifier: MIT
// A CivetWeb server: its addresses, threads and limits, and how it stops. What
// it answers is its user's.
#pragma once

#include <civetweb.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace meshhook {

struct ListenerOptions {
  std::vector<std::string> addresses;  // host:port, :port or [address]:port
  std::string flag;                    // that sets them, for messages
  int threads = 0;                     // most requests at a time
  int max_request_bytes = 8192;        // request line and headers
};

// Serves from CivetWeb's own threads until it is destroyed.
class Listener {
 public:
  // Gets every request, and must not throw: that would end the program. Gives
  // the status that it answered with.
  using Handler = int (*)(mg_connection* connection, void* user);

  // Of the callbacks the log's is set here. Throws
  // UsageError when an address is malformed or taken.
  Listener(ListenerOptions options, mg_callbacks callbacks, Handler handler,
           void* user);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Returns when no request is being answered, or at the deadline: what is not
  // sent when the server is destroyed is lost.
  void AwaitIdle(std::chrono::steady_clock::time_point deadline);

  // The ports it listens on, as chosen by the system where 0 was asked for.
  std::vector<int> Ports() const;

 private:
  static int Handle(mg_connection* connection, void* self);

  const ListenerOptions options_;
  const Handler handler_;
  void* const user_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int answering_ = 0;  // requests; guarded by mutex_
  mg_context* context_ = nullptr;
};

// CivetWeb's word for a listen address: ":9187" is every address, those of IPv6
// too where CivetWeb was built with it. Throws UsageError, which names the
// flag.
std::string CivetWebPort(const std::string& address, const std::string& flag);

// The header's value, "" where there is none.
std::string Header(const mg_connection* connection, const char* name);

}  // namespace meshhook
