// dimwatch-server: configuration, signals, and the server.
#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/log.h"
#include "server/server.h"
#include "server/wall_clock.h"

namespace dimwatch::server {
namespace {

// Samples come and go in pieces of megabytes. glibc keeps such pieces for itself once the first of
// them was freed, unless it is told from which size on they are to go back to the system: a server
// held twice what it used.
void GiveLargePiecesBack() {
  constexpr int kLarge = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLarge);
}

// SIGTERM, SIGINT and SIGHUP are waited for, not handled; blocked before any thread is started.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is met as a full disk is
  return signals;
}

void Reload(Server& server, const std::vector<std::string>& arguments) {
  const absl::StatusOr<Configured> configured = Configure(arguments, FromProcess);
  if (configured.ok()) {
    SetLogLevel(configured->config.log_level);
    server.SetProjects(configured->config);
  }
  Log(configured.ok() ? LogLevel::kInfo : LogLevel::kError, "configuration read again",
      {{"result", configured.status().ToString()}});
  server.ReloadSecrets();
}

// Until a signal to stop.
void Serve(Server& server, const sigset_t& signals, const std::vector<std::string>& arguments) {
  const timespec second = {1, 0};
  for (;;) {
    const int signal = sigtimedwait(&signals, nullptr, &second);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) Reload(server, arguments);
    server.Tick();
  }
}

int Main(const std::vector<std::string>& arguments) {
  GiveLargePiecesBack();
  const sigset_t signals = BlockSignals();
  const absl::StatusOr<Configured> configured = Configure(arguments, FromProcess);
  if (!configured.ok()) {
    std::cerr << "dimwatch-server: " << configured.status().message() << "\n";
    return 2;
  }
  if (configured->print) {
    std::cout << *configured->print;
    return 0;
  }
  StartLog(configured->config.log_level,
           configured->config.log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  const WallClock clock;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(configured->config, clock);
  if (!server.ok()) {
    std::cerr << "dimwatch-server: " << server.status().message() << "\n";
    return 1;
  }
  std::cout << "dimwatch-server ready grpc=" << ToString((*server)->grpc_address())
            << " http=" << ToString((*server)->http_address()) << std::endl;
  Serve(**server, signals, arguments);
  Log(LogLevel::kInfo, "stopping");
  (*server)->Stop();
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace
}  // namespace dimwatch::server

int main(int argc, char** argv) { return dimwatch::server::Main({argv + 1, argv + argc}); }
