// A real dimwatch-server as a child process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace dimwatch {

class ServerProcess {
 public:
  // Starts it over `folder` and waits until it says that it is ready; aborts the test if it does
  // not within 30 s. Port 0 takes a free one. `binary`: another program; empty: dimwatch-server.
  ServerProcess(const std::filesystem::path& folder, int port, const std::string& binary = "");
  // SIGKILL: nothing is left to be cleaned up by the server.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  int port() const;
  pid_t pid() const { return pid_; }

  void Kill();
  // SIGSTOP and SIGCONT.
  void Freeze();
  void Thaw();

 private:
  pid_t pid_ = -1;
  std::string address_;
};

// A TCP port of the loopback that was free a moment ago.
int FreePort();

}  // namespace dimwatch
