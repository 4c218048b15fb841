// SPDX-License-Identifier: MIT
#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace test {
namespace {

using namespace std::chrono_literals;

// A file in memory, which never fills up as a pipe would.
int Buffer(const char* name) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), name);
  return fd;
}

std::string Content(int fd) {
  std::string content;
  std::array<char, 65536> chunk;
  ssize_t count = 0;
  while ((count = pread(fd, chunk.data(), chunk.size(),
                        static_cast<off_t>(content.size()))) > 0) {
    content.append(chunk.data(), static_cast<size_t>(count));
  }
  return content;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments,
                 const Variables& variables)
    : out_(Buffer("stdout")), err_(Buffer("stderr")) {
  auto words = arguments;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) {
    environment.push_back(name + "=" + value);
  }
  for (const char* name : {"PATH", "PG_BINDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                           "LSAN_OPTIONS", "TSAN_OPTIONS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && !variables.contains(name)) {
      environment.push_back(std::string(name) + "=" + value);
    }
  }

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out_, 1);
  posix_spawn_file_actions_adddup2(&files, err_, 2);
  const int error =
      posix_spawnp(&pid_, words.front().c_str(), &files, nullptr,
                   Pointers(words).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), words.front());
  }
}

Process::~Process() {
  if (status_ < 0) {
    kill(pid_, SIGCONT);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Process::Signal(int signal) const {
  if (status_ < 0) kill(pid_, signal);
}

int Process::Wait(std::chrono::milliseconds most) {
  int status = 0;
  const auto ended = [&] { return waitpid(pid_, &status, WNOHANG) == pid_; };
  if (status_ < 0) {
    if (!Await(ended, most)) {
      throw std::runtime_error("still running; it wrote: " + out() + err());
    }
    status_ =
        WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return status_;
}

std::string Process::out() const { return Content(out_); }

std::string Process::err() const { return Content(err_); }

Ended Run(const std::vector<std::string>& arguments,
          const Variables& variables) {
  Process process(arguments, variables);
  const int status = process.Wait(60s);
  return {status, process.out(), process.err()};
}

bool Await(const std::function<bool()>& condition,
           std::chrono::milliseconds most) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

}  // namespace test
