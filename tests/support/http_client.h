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
  // Throws std::system_error when nothing listens there. The system takes in
  // that many bytes that nobody has read, more or less; 0: as it likes.
  explicit HttpConnection(int port, int receive_buffer = 0);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void Send(const std::string& bytes) const;
  // Says that nothing more comes from here, and can still read.
  void SendEnd() const;
  // The first bytes, as many as have come. Throws as ReadToEnd() does.
  std::string ReadSome() const;
  // All until the server closes the connection. Throws std::system_error when
  // it does not within half a minute.
  std::string ReadToEnd() const;
  // Whether the server has sent something, or closed, by then.
  bool Readable(int milliseconds) const;

 private:
  int socket_;
};

// One request on a connection of its own; header lines without their ends. A
// body has its Content-Length; "" is none.
HttpResponse Request(int port, const std::string& method,
                     const std::string& path,
                     const std::vector<std::string>& headers = {},
                     const std::string& body = "");
HttpResponse Get(int port, const std::string& path,
                 const std::vector<std::string>& headers = {});

// What gzip packed. Throws std::runtime_error when it is not that.
std::string Gunzip(const std::string& packed);

}  // namespace test
