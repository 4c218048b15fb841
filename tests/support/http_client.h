// SPDX-License-Identifier: MIT
// A client that sees exactly what the server sent.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace test {

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One connection to 127.0.0.1.
class HttpConnection {
 public:
  // Throws std::system_error when nothing listens there.
  explicit HttpConnection(int port);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void Send(const std::string& bytes) const;
  // All until the server closes the connection. Throws std::system_error when
  // it does not within half a minute.
  std::string ReadToEnd() const;
  // Whether the server has sent something, or closed, by then.
  bool Readable(int milliseconds) const;

 private:
  int socket_;
};

// One request on a connection of its own; header lines without their ends.
HttpResponse Request(int port, const std::string& method,
                     const std::string& path,
                     const std::vector<std::string>& headers = {});
HttpResponse Get(int port, const std::string& path,
                 const std::vector<std::string>& headers = {});

// What gzip packed. Throws std::runtime_error when it is not that.
std::string Gunzip(const std::string& packed);

}  // namespace test
