// Closes gRPC connections that begin calls only to abandon them (CVE-2023-44487).
//
// A call that is reset frees its place among the streams of its connection at once, and then waits
// in memory for its turn. A connection that always has more to read keeps one of gRPC's threads to
// itself, of which there is one for every two processors and at least two. So a few connections
// hold up everybody else. gRPC 1.60 bounds them; 1.51 counts the calls of every connection
// (channelz), and the counts are read here, on a thread that gRPC has no part in.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <stop_token>
#include <string>
#include <thread>

#include "server/metrics.h"

namespace dimwatch::server {

// Watches the connections of the gRPC server that was built last, until it is destroyed. In a
// second, one that abandons kMaxAbandonedCalls is left alone, and one that abandons more than twice
// as many is closed. `metrics` outlives it.
class ConnectionGuard {
 public:
  explicit ConnectionGuard(ServerMetrics& metrics);

 private:
  using Clock = std::chrono::steady_clock;
  using Connections = std::map<std::string, std::string>;  // both ends -> what gRPC calls it

  void Watch(const std::stop_token& stop);
  void StartSecond(std::int64_t calls);
  Connections Abusers();
  void CloseAbusers();

  ServerMetrics& metrics_;
  const std::int64_t server_;  // channelz counts upwards, and uses no number twice

  // All of the second that began here.
  Clock::time_point second_ = Clock::now();
  std::int64_t calls_before_ = 0;
  std::map<std::int64_t, std::int64_t> before_;  // sockets -> calls abandoned at the first look
  std::int64_t newest_ =
      std::numeric_limits<std::int64_t>::max();  // sockets beyond this one were opened in it
  bool busy_ = false;                            // the second before had more calls than one may
  int seconds_to_trim_ = 0;
  bool said_ = false;  // in the log

  std::jthread thread_;
};

}  // namespace dimwatch::server
