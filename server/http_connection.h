// One connection to the HTTP port, for httplib.
#pragma once

#include <array>
#include <chrono>
#include <string>

#include "httplib.h"

namespace dimwatch::server {

// Bounds a request as a whole, where httplib bounds every read: a byte now and then holds a thread
// no longer than a request may take. Not thread-safe; the socket is the caller's to close.
class HttpConnection final : public httplib::Stream {
 public:
  explicit HttpConnection(socket_t socket) : socket_(socket) {}

  // Waits up to kHttpIdleSeconds for the next request; from then on it has kHttpReadSeconds to
  // come, and its reply kHttpWriteSeconds to go. False if none comes.
  bool AwaitRequest();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  bool WaitFor(short event, Time deadline) const;

  const socket_t socket_;
  Time read_by_;
  Time written_by_;
  std::size_t allowed_ = 0;        // bytes of the request that may still be read
  std::array<char, 4096> buffer_;  // httplib reads lines byte by byte
  std::size_t next_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace dimwatch::server
