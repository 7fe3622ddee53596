#include "tests/client/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <regex>
#include <vector>

namespace dimwatch {
namespace {

constexpr int kReadyTimeoutMs = 30'000;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "server process: %s\n", what.c_str());
  std::abort();
}

// The address in the ready line.
std::string AwaitReady(int output) {
  static const std::regex kReady("dimwatch-server ready grpc=(\\S+)");
  std::string text;
  pollfd poll_output{.fd = output, .events = POLLIN, .revents = 0};
  while (poll(&poll_output, 1, kReadyTimeoutMs) > 0) {
    char buffer[512];
    const ssize_t count = read(output, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
    std::smatch match;
    if (std::regex_search(text, match, kReady)) return match[1];
  }
  Fail("not ready: " + text);
}

}  // namespace

ServerProcess::ServerProcess(const std::filesystem::path& folder, int port,
                             const std::string& binary) {
  const std::string program = binary.empty() ? DIMWATCH_SERVER_BINARY : binary;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Fail("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const std::string log = (folder / "server.log").string();
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::vector<std::string> words = {
      program,       "--listen",   "127.0.0.1:" + std::to_string(port), "--http",
      "127.0.0.1:0", "--data-dir", (folder / "data").string()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ) != 0) {
    Fail("cannot start " + program);
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  address_ = AwaitReady(ends[0]);
  close(ends[0]);
}

ServerProcess::~ServerProcess() { Kill(); }

int ServerProcess::port() const { return std::stoi(address_.substr(address_.rfind(':') + 1)); }

void ServerProcess::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ServerProcess::Freeze() {
  kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);
}

void ServerProcess::Thaw() { kill(pid_, SIGCONT); }

int FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Fail("no free port");
  }
  close(listener);
  return ntohs(address.sin_port);
}

}  // namespace dimwatch
