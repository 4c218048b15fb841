// SPDX-License-Identifier: MIT
// A network between a client and a server on this machine, to be made slow,
// silent or broken.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

namespace test {

// Takes connections on a port of its own and passes on what they carry. Each
// fault holds for the connections that are there and for those that come,
// until Heal(). Thread-safe.
class Proxy {
 public:
  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }

  // Every byte takes that long, each way; however many are on their way.
  void Delay(std::chrono::milliseconds each_way);
  // Packets vanish: connections stay, new ones are taken, nothing passes.
  void Drop();
  // Resets the connections, and new ones are refused.
  void Refuse();
  // Resets each connection after that many more bytes of the server's.
  void ResetAfter(int64_t bytes);
  // From now on all is well, for new connections at least: what was dropped is
  // lost to the old ones, and they are cut.
  void Heal();

  // Since the proxy began: connections taken; how often a client spoke after
  // the server had, which is a round trip each; bytes, both ways.
  long connections() const { return connections_; }
  long round_trips() const { return round_trips_; }
  int64_t bytes() const { return bytes_; }

 private:
  struct Link;
  struct Faults {
    std::chrono::milliseconds delay{0};
    bool drop = false;
    bool refuse = false;
    int64_t reset_after = -1;  // -1: never
    long epoch = 0;            // grows where old connections must go
  };

  void Change(const Faults& faults);
  void Loop();
  void Listen();
  void Accept(const Faults& faults);
  // Whether it lives on.
  bool Carry(Link& link, const Faults& faults);

  const int server_port_;
  int port_ = 0;
  int listener_ = -1;
  int wake_;
  std::atomic<long> connections_{0};
  std::atomic<long> round_trips_{0};
  std::atomic<int64_t> bytes_{0};
  std::mutex mutex_;  // guards the next two
  Faults faults_;
  bool stop_ = false;
  std::list<Link> links_;
  std::thread thread_;
};

}  // namespace test
