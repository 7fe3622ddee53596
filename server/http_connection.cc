#include "server/http_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "server/limits.h"

namespace dimwatch::server {

using std::chrono::seconds;
using std::chrono::steady_clock;

bool HttpConnection::AwaitRequest() {
  const Time now = steady_clock::now();
  if (next_ == filled_ && !WaitFor(POLLIN, now + seconds(kHttpIdleSeconds))) return false;
  read_by_ = steady_clock::now() + seconds(kHttpReadSeconds);
  written_by_ = read_by_ + seconds(kHttpWriteSeconds);
  allowed_ = kHttpMaxRequestBytes;
  return true;
}

bool HttpConnection::WaitFor(short event, Time deadline) const {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    pollfd one = {socket_, event, 0};
    const int ready = poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

bool HttpConnection::is_readable() const { return next_ < filled_ || WaitFor(POLLIN, read_by_); }

bool HttpConnection::is_writable() const { return WaitFor(POLLOUT, written_by_); }

ssize_t HttpConnection::read(char* to, std::size_t size) {
  if (allowed_ == 0) return -1;
  if (next_ == filled_) {
    if (!WaitFor(POLLIN, read_by_)) return -1;
    const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return got;
    next_ = 0;
    filled_ = static_cast<std::size_t>(got);
  }
  const std::size_t count = std::min({size, filled_ - next_, allowed_});
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(next_), count, to);
  next_ += count;
  allowed_ -= count;
  return static_cast<ssize_t>(count);
}

ssize_t HttpConnection::write(const char* from, std::size_t size) {
  if (!is_writable()) return -1;
  return send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Nobody asks.
void HttpConnection::get_remote_ip_and_port(std::string&, int&) const {}
void HttpConnection::get_local_ip_and_port(std::string&, int&) const {}

}  // namespace dimwatch::server
