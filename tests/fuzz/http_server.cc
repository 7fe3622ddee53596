// Bytes on a connection to the HTTP port: replies, or the connection's end.
#include "server/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "tests/fuzz/served.h"

namespace dimwatch::server {
namespace {

// Sends all, half-closes, and returns everything that comes back.
std::string Exchange(int port, std::string_view bytes) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  FUZZ_REQUIRE(connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  // The server may have closed before it has read all.
  send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  shutdown(connection, SHUT_WR);
  std::string reply;
  char buffer[4096];
  for (ssize_t got; (got = recv(connection, buffer, sizeof buffer, 0)) > 0;) {
    reply.append(buffer, static_cast<std::size_t>(got));
  }
  close(connection);
  return reply;
}

}  // namespace
}  // namespace dimwatch::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::server;
  Served& served = Served::Instance();
  static const std::unique_ptr<HttpServer> server =
      *HttpServer::Start({"127.0.0.1", 0}, *served.api, served.metrics);
  const std::string_view sent(reinterpret_cast<const char*>(data), size);
  if (sent.find(kHidden) != std::string_view::npos) return 0;  // would be said back
  const std::string reply = Exchange(server->address().port, sent);
  FUZZ_REQUIRE(reply.empty() || absl::StartsWith(reply, "HTTP/1."));
  FUZZ_REQUIRE(!absl::StartsWith(reply, "HTTP/1.1 500"));
  FUZZ_REQUIRE(!absl::StrContains(reply, kHidden));
  return 0;
}
