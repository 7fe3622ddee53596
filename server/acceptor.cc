#include "server/acceptor.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/limits.h"
#include "server/log.h"

namespace dimwatch::server {
namespace {

constexpr int kRetryMilliseconds = 50;

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses Resolve(const Address& address) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  return {found, [](addrinfo* list) {
            if (list != nullptr) freeaddrinfo(list);
          }};
}

in_port_t& PortOf(sockaddr& address) {
  return address.sa_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

// Listens on one address; -1 if that cannot be. Accepted sockets inherit TCP_NODELAY.
int ListenOn(const addrinfo& address) {
  const int socket = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  const int yes = 1;
  const int no = 0;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // [::] is every address of the machine, as 0.0.0.0 is every one of the older kind.
  if (address.ai_family == AF_INET6) setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (bind(socket, address.ai_addr, address.ai_addrlen) == 0 && listen(socket, SOMAXCONN) == 0) {
    return socket;
  }
  close(socket);
  return -1;
}

int PortTaken(int socket) {
  sockaddr_storage name = {};
  socklen_t size = sizeof name;
  getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(PortOf(reinterpret_cast<sockaddr&>(name)));
}

}  // namespace

int MostDescriptorsOfConnections() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 4 * 3, kMostDescriptorsOfConnections));
}

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Listen(const Address& address,
                                                           int most_descriptors) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(address, most_descriptors));
  int& port = acceptor->address_.port;
  const Addresses found = Resolve(address);
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) {
    PortOf(*one->ai_addr) = htons(static_cast<in_port_t>(port));
    const int listener = ListenOn(*one);
    if (listener < 0) continue;  // for example "localhost" on a machine without IPv6
    acceptor->listeners_.push_back(listener);
    port = PortTaken(listener);
  }
  acceptor->wake_ = eventfd(0, EFD_CLOEXEC);
  if (!acceptor->listeners_.empty() && acceptor->wake_ >= 0) return acceptor;
  return absl::UnavailableError(absl::StrCat("cannot listen on --listen ", ToString(address),
                                             "; is the port in use, the address this machine's?"));
}

Acceptor::~Acceptor() {
  if (thread_.joinable()) {
    eventfd_write(wake_, 1);
    thread_.join();
  }
  for (const int listener : listeners_) close(listener);
  if (wake_ >= 0) close(wake_);
}

void Acceptor::Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> grpc) {
  grpc_ = std::move(grpc);
  thread_ = std::thread([this] { Loop(); });
}

void Acceptor::Loop() {
  std::vector<pollfd> waited = {{wake_, POLLIN, 0}};
  for (const int listener : listeners_) waited.push_back({listener, POLLIN, 0});
  for (;;) {
    if (poll(waited.data(), waited.size(), -1) < 0) continue;  // a signal
    if (waited[0].revents != 0) return;
    for (const pollfd& one : waited) {
      if (one.revents == 0 || AcceptFrom(one.fd)) continue;
      poll(waited.data(), 1, kRetryMilliseconds);  // returns early where Loop is to end
    }
  }
}

bool Acceptor::AcceptFrom(int listener) {
  const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) {
    // Whoever knocked has gone; everything else is want of descriptors or memory.
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return true;
    NoteRefused(INT_MAX);
    return false;
  }
  if (connection >= most_descriptors_) {
    close(connection);
    NoteRefused(connection);
    return true;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = listener;
  parameters.fd = connection;
  grpc_->HandleNewConnection(&parameters);
  return true;
}

void Acceptor::NoteRefused(int descriptor) {
  if (refused_) return;
  refused_ = true;
  Log(LogLevel::kWarning, "connections are refused: too many are open; this is said once",
      {{"most_descriptors", most_descriptors_}, {"descriptor", descriptor}});
}

}  // namespace dimwatch::server
