#include "server/connection_guard.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/acceptor.h"
#include "server/limits.h"
#include "server/log.h"

namespace dimwatch::server {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kBetweenLooks{20};
constexpr int kSecondsToTrim = 10;
constexpr std::int64_t kSocketsPerPage = 500;  // the most that channelz gives

// An answer of channelz, which is JSON; empty if it has none.
json Take(char* answer) {
  if (answer == nullptr) return json::object();
  json taken = json::parse(answer, nullptr, /*allow_exceptions=*/false);
  gpr_free(answer);
  return taken.is_object() ? taken : json::object();
}

// Empty if it is not there.
json Member(const json& of, const char* name) { return of.value(name, json::object()); }

// Counts are text, and absent while they are 0.
std::int64_t Count(const json& data, const char* name) {
  std::int64_t count = 0;
  return absl::SimpleAtoi(data.value(name, ""), &count) ? count : 0;
}

std::int64_t NewestServer() {
  std::int64_t newest = 0;
  for (const json& server : Take(grpc_channelz_get_servers(0)).value("server", json::array())) {
    newest = std::max(newest, Count(Member(server, "ref"), "serverId"));
  }
  return newest;
}

std::int64_t CallsOf(std::int64_t server) {
  const json answer = Take(grpc_channelz_get_server(server));
  return Count(Member(Member(answer, "server"), "data"), "callsStarted");
}

std::vector<std::int64_t> SocketsOf(std::int64_t server) {
  std::vector<std::int64_t> sockets;
  for (std::int64_t next = 0;;) {
    const json page = Take(grpc_channelz_get_server_sockets(server, next, kSocketsPerPage));
    const json some = page.value("socketRef", json::array());
    for (const json& one : some) sockets.push_back(Count(one, "socketId"));
    if (page.value("end", false) || some.empty()) return sockets;
    next = sockets.back() + 1;
  }
}

// One end of a connection, as channelz has it and as the system has it: the address's bytes and the
// port. Empty if it is not of TCP.
std::string End(const json& address) {
  const json tcp = Member(address, "tcpip_address");
  std::string bytes;
  if (!absl::Base64Unescape(tcp.value("ip_address", ""), &bytes) || bytes.empty()) return "";
  return absl::StrCat(bytes, ":", tcp.value("port", 0));
}

std::string End(const sockaddr_storage& address) {
  const auto end = [](const auto* bytes, std::size_t size, in_port_t port) {
    return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(bytes), size), ":",
                        ntohs(port));
  };
  if (address.ss_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    return end(&four.sin_addr, sizeof four.sin_addr, four.sin_port);
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&six.sin6_addr);  // gRPC calls it by the older one
  return mapped ? end(six.sin6_addr.s6_addr + 12, 4, six.sin6_port)
                : end(&six.sin6_addr, sizeof six.sin6_addr, six.sin6_port);
}

// Both ends, which belong to no other connection; empty if one is not of TCP.
template <typename Address>
std::string Ends(const Address& here, const Address& there) {
  const std::string ends[] = {End(here), End(there)};
  if (ends[0].empty() || ends[1].empty()) return "";
  return absl::StrCat(ends[0], " ", ends[1]);
}

std::string EndsOf(int descriptor) {
  sockaddr_storage here = {};
  sockaddr_storage there = {};
  socklen_t size = sizeof there;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&there), &size) != 0) return "";
  size = sizeof here;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&here), &size) != 0) return "";
  return Ends(here, there);
}

// Resets the connection and drops what has come and is not read, which may be calls by the hundred
// thousand. gRPC finds an error and closes the descriptor. False if it is not `ends` any more: the
// second descriptor keeps the number from becoming somebody else's in between.
bool Reset(int descriptor, const std::string& ends) {
  const int same = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (same < 0) return false;
  const sockaddr nobody = {AF_UNSPEC, {}};
  const bool reset = EndsOf(same) == ends && connect(same, &nobody, sizeof nobody) == 0;
  close(same);
  return reset;
}

}  // namespace

ConnectionGuard::ConnectionGuard(ServerMetrics& metrics)
    : metrics_(metrics),
      server_(NewestServer()),
      thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

void ConnectionGuard::Watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any stopped;
  while (!stopped.wait_for(lock, stop, kBetweenLooks, [&] { return stop.stop_requested(); })) {
    const std::int64_t calls = CallsOf(server_);
    if (Clock::now() - second_ >= std::chrono::seconds(1)) StartSecond(calls);
    // Where all connections together began no more, none of them did.
    if (calls - calls_before_ > kMaxAbandonedCalls) CloseAbusers();
  }
}

void ConnectionGuard::StartSecond(std::int64_t calls) {
  busy_ = calls - calls_before_ > kMaxAbandonedCalls;
  // Calls by the ten thousand leave memory behind that the system would not see again; they may
  // take some seconds to be forgotten.
  seconds_to_trim_ = busy_ ? kSecondsToTrim : std::max(seconds_to_trim_ - 1, 0);
  if (!busy_ && seconds_to_trim_ > 0) malloc_trim(0);
  second_ = Clock::now();
  calls_before_ = calls;
  said_ = false;
  before_.clear();
  newest_ = std::numeric_limits<std::int64_t>::max();
  if (!busy_) return;
  Abusers();
  newest_ = before_.empty() ? 0 : before_.rbegin()->first;
}

ConnectionGuard::Connections ConnectionGuard::Abusers() {
  Connections abusers;
  for (const std::int64_t id : SocketsOf(server_)) {
    const json socket = Member(Take(grpc_channelz_get_socket(id)), "socket");
    const json data = Member(socket, "data");
    // gRPC counts one as failed only once it is forgotten.
    const std::int64_t abandoned = Count(data, "streamsStarted") - Count(data, "streamsSucceeded");
    const std::int64_t before = before_.try_emplace(id, id > newest_ ? 0 : abandoned).first->second;
    if (abandoned - before <= kMaxAbandonedCalls) continue;
    const std::string ends = Ends(Member(socket, "local"), Member(socket, "remote"));
    if (!ends.empty()) abusers[ends] = Member(socket, "ref").value("name", "");
  }
  return abusers;
}

void ConnectionGuard::CloseAbusers() {
  const Connections abusers = Abusers();
  if (abusers.empty()) return;
  const int most = MostDescriptorsOfConnections();
  for (int descriptor = 0; descriptor < most; ++descriptor) {
    const auto abuser = abusers.find(EndsOf(descriptor));
    if (abuser == abusers.end() || !Reset(descriptor, abuser->first)) continue;
    metrics_.CountAbusiveConnection();
    if (std::exchange(said_, true)) continue;
    Log(LogLevel::kWarning, "a connection that abandons calls by the thousand is closed",
        {{"connection", abuser->second}, {"most_a_second", kMaxAbandonedCalls}});
  }
}

}  // namespace dimwatch::server
