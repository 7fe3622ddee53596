// The server's configuration: command line, then environment, then file, then defaults.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/project_defaults.h"

namespace dimwatch::server {

// PEM files for gRPC.
struct TlsFiles {
  std::string certificate;   // the server's, then those that lead to an authority
  std::string key;           // of the first certificate
  std::string client_roots;  // if not empty: clients need a certificate signed by one of these
};

struct Config {
  std::string listen = "127.0.0.1:50051";  // gRPC; port 0: any free one
  std::string http = "127.0.0.1:9464";     // HTTP; port 0: any free one
  std::string data_dir = "./dimwatch-data";
  std::string file;  // --config; empty: none
  bool insecure_allow_remote = false;
  std::string tokens;  // file of those that let callers in; empty: everybody may do everything
  TlsFiles tls;        // of gRPC; no certificate: plain text
  int threads = 0;     // for estimates; 0: one per core
  std::string log_level = "info";
  std::string log_format = "text";
  std::int64_t max_batch_bytes = 16 << 20;
  std::int64_t max_queue_bytes = 64 << 20;  // per run
  std::int64_t max_window_bytes = 1 << 30;  // per probe, decoded
  std::int64_t max_memory_bytes = 0;        // windows and queues; 0: half of the machine's
  std::int64_t soft_memory_bytes = 0;       // 0: three quarters of max_memory_bytes
  std::int64_t max_runs = 1000;             // not ended
  std::int64_t max_probes = 64;             // per run
  std::int64_t max_series = 100'000;        // per-run series on /metrics
  std::int64_t retention_days = 0;          // of ended runs; 0: forever
  Projects projects;                        // of the file only
};

// What the command line asks for instead of serving.
struct Configured {
  Config config;
  std::optional<std::string> print;  // --help or --version: print this and exit with 0
};

// Value of an environment variable; none if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Every option --some-name is also DIMWATCH_SOME_NAME and some-name (or some_name) at the top level
// of the TOML file, which may also have tables [projects.NAME.signals] and [projects.NAME.policy],
// [projects.NAME.quota] and [quota] for all projects, and retention_days in [projects.NAME].
// INVALID_ARGUMENT says which option of which source was wrong and why.
absl::StatusOr<Configured> Configure(const std::vector<std::string>& arguments,
                                     const Environment& environment);

// The process' own environment.
std::optional<std::string> FromProcess(const std::string& name);

struct Address {
  std::string host;  // without brackets
  int port = 0;
};
// "127.0.0.1:50051", "[::1]:0", "localhost:9464".
absl::StatusOr<Address> ParseAddress(absl::string_view option, const std::string& text);
std::string ToString(const Address& address);

}  // namespace dimwatch::server
