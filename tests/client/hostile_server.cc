#include "tests/client/hostile_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace dimwatch {
namespace {

// An empty SETTINGS frame of HTTP/2.
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

std::string Noise(std::mt19937& random, std::size_t size) {
  std::string noise(size, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  return noise;
}

// A frame of HTTP/2, whether it makes sense or not.
std::string Frame(unsigned type, unsigned flags, unsigned stream, const std::string& payload) {
  const std::size_t size = payload.size();
  const std::array<unsigned, 9> head = {static_cast<unsigned>(size >> 16),
                                        static_cast<unsigned>(size >> 8),
                                        static_cast<unsigned>(size),
                                        type,
                                        flags,
                                        0,
                                        0,
                                        0,
                                        stream};
  std::string frame;
  for (const unsigned byte : head) frame.push_back(static_cast<char>(byte));
  return frame + payload;
}

std::string Garbage(unsigned number) {
  std::mt19937 random(number);
  switch (number % 5) {
    case 0:
      return Noise(random, 1 << 16);
    case 1:
      return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    case 2:
      return Frame(1, 4, 1, "\x08\x01x");  // headers, with ":status: x"
    case 3: {
      const auto below = [&random](unsigned end) { return static_cast<unsigned>(random() % end); };
      std::string frames(kSettings);
      for (int i = 0; i < 50; ++i) {
        const std::string payload = Noise(random, below(200));
        frames += Frame(below(12), below(256), below(8), payload);
      }
      return frames;
    }
    default:
      return "";
  }
}

}  // namespace

HostileServer::HostileServer(Kind kind) : kind_(kind) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

HostileServer::~HostileServer() {
  shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  close(listener_);
  for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int connection : connections_) close(connection);
}

int HostileServer::connections() {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(connections_.size());
}

void HostileServer::Accept() {
  while (true) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const std::lock_guard lock(mutex_);
    connections_.push_back(connection);
    const auto number = static_cast<unsigned>(connections_.size());
    threads_.emplace_back([this, connection, number] { Serve(connection, number); });
  }
}

void HostileServer::Serve(int connection, unsigned number) {
  char buffer[1 << 12];
  if (kind_ == Kind::kGarbage && recv(connection, buffer, 24, MSG_WAITALL) > 0) {
    if (number % 5 == 2) {  // garbage as the answer to a call
      send(connection, kSettings.data(), kSettings.size(), MSG_NOSIGNAL);
      recv(connection, buffer, 200, MSG_WAITALL);
    }
    const std::string garbage = Garbage(number);
    send(connection, garbage.data(), garbage.size(), MSG_NOSIGNAL);
    shutdown(connection, SHUT_WR);
  }
  while (recv(connection, buffer, sizeof buffer, 0) > 0) {
  }
}

}  // namespace dimwatch
