// SPDX-License-Identifier: MIT
#include "exporter/audience.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace meshhook {

Audience::Audience(const pg::Interrupt* program)
    : program_(program), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::runtime_error("cannot create an epoll descriptor");
  if (program_ == nullptr) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = program_->fd();
  epoll_ctl(epoll_, EPOLL_CTL_ADD, program_->fd(), &event);
}

Audience::~Audience() { close(epoll_); }

Audience::Seat::Seat(Audience& audience, int socket)
    : audience_(audience), socket_(socket) {
  const std::lock_guard lock(audience_.mutex_);
  ++audience_.seats_;
  if (socket_ < 0) return;
  epoll_event event{};
  event.events = EPOLLRDHUP;  // EPOLLHUP and EPOLLERR come unasked
  event.data.fd = socket_;
  epoll_ctl(audience_.epoll_, EPOLL_CTL_ADD, socket_, &event);
}

Audience::Seat::~Seat() {
  const std::lock_guard lock(audience_.mutex_);
  --audience_.seats_;
  if (socket_ < 0 || audience_.hung_up_.erase(socket_) > 0) return;
  epoll_ctl(audience_.epoll_, EPOLL_CTL_DEL, socket_, nullptr);
}

void Audience::Begin() {
  const std::lock_guard lock(mutex_);
  gone_ = false;
}

bool Audience::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

bool Audience::fired() const {
  const std::lock_guard lock(mutex_);
  Look();
  if (seats_ > 0 && hung_up_.size() == static_cast<size_t>(seats_))
    gone_ = true;
  return gone_ || (program_ != nullptr && program_->fired());
}

void Audience::Look() const {
  std::array<epoll_event, 16> events;
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int socket = events.at(static_cast<size_t>(i)).data.fd;
    if (program_ != nullptr && socket == program_->fd()) continue;
    hung_up_.insert(socket);
    epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
  }
}

}  // namespace meshhook
