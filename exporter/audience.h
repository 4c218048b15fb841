// SPDX-License-Identifier: MIT
// Who waits for the scrape under way: its waits end when the program does, or
// when every client has hung up.
#pragma once

#include <mutex>
#include <set>

#include "exporter/pg.h"

namespace meshhook {

// Thread-safe.
class Audience : public pg::Interrupt {
 public:
  // `program`, which may be null, ends the waits as well.
  explicit Audience(const pg::Interrupt* program);
  ~Audience() override;
  Audience(const Audience&) = delete;
  Audience& operator=(const Audience&) = delete;

  // Waits for as long as it lives.
  class Seat {
   public:
    // The client's socket; -1 is somebody who never hangs up.
    Seat(Audience& audience, int socket);
    ~Seat();
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

   private:
    Audience& audience_;
    const int socket_;
  };

  // Before each scrape.
  void Begin();
  // Whether the waits of this scrape were ended as all had hung up: once they
  // have, it is over for those who come later too. One that shuts down its side
  // of the connection counts, as it cannot be told from one that closed both.
  bool gone() const;

  bool fired() const override;
  int fd() const override { return epoll_; }

 private:
  // Those whose connection has ended are no longer listened to.
  void Look() const;

  const pg::Interrupt* const program_;
  const int epoll_;
  mutable std::mutex mutex_;
  int seats_ = 0;
  mutable std::set<int> hung_up_;  // sockets
  mutable bool gone_ = false;
};

}  // namespace meshhook
