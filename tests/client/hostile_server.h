// Servers that answer with nothing, or with nonsense.
#pragma once

#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace dimwatch {

// Accepts connections on a free port of the loopback until it is destroyed.
class HostileServer {
 public:
  // kHung: reads, and never answers. kGarbage: answers with what no server says, another kind with
  // each connection; the same ones in each test.
  enum class Kind { kHung, kGarbage };
  explicit HostileServer(Kind kind);
  ~HostileServer();
  HostileServer(const HostileServer&) = delete;
  HostileServer& operator=(const HostileServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // So far.
  int connections();

 private:
  void Accept();
  void Serve(int connection, unsigned number);

  const Kind kind_;
  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<int> connections_;      // guarded by mutex_
  std::vector<std::thread> threads_;  // of the connections; guarded by mutex_
  std::thread accepting_;
};

}  // namespace dimwatch
