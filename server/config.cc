#include "server/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/version.h"
#include "src/base/names.h"
#include "toml++/toml.h"

namespace dimwatch::server {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

void AddOptions(CLI::App& app, Config& config) {
  app.add_option("--listen", config.listen,
                 "Address of the gRPC services; port 0 takes a free one");
  app.add_option("--http", config.http, "Address of /metrics and /api/v1; port 0 takes a free one");
  app.add_option("--data-dir", config.data_dir, "Folder for everything that is kept");
  app.add_option("--config", config.file, "TOML file with any of these options");
  app.add_flag("--insecure-allow-remote", config.insecure_allow_remote,
               "Serve addresses other than loopback although encryption or tokens are missing");
  app.add_option("--tokens", config.tokens,
                 "File of the tokens that let callers in, as `dimwatch token` writes it; none: "
                 "everybody may do everything");
  app.add_option("--tls-certificate", config.tls.certificate,
                 "PEM file: the certificate to encrypt gRPC with, and those behind it");
  app.add_option("--tls-key", config.tls.key, "PEM file: its private key");
  app.add_option("--tls-client-roots", config.tls.client_roots,
                 "PEM file: clients need a certificate that one of these has signed");
  app.add_option("--threads", config.threads, "Threads for estimates; 0: one per core")
      ->check(CLI::Range(0, 1024));
  app.add_option("--log-level", config.log_level, "What is logged to stderr")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", config.log_format, "Lines of text, or one JSON object each")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--max-batch-bytes", config.max_batch_bytes, "Largest SampleBatch.data")
      ->check(CLI::Range(std::int64_t{1024}, 1024 * kMiB));
  app.add_option("--max-queue-bytes", config.max_queue_bytes,
                 "Per run: beyond this its job has to wait")
      ->check(CLI::Range(std::int64_t{1024}, 1024 * 1024 * kMiB));
  app.add_option("--max-window-bytes", config.max_window_bytes,
                 "Per probe: samples kept in memory, with lists and graphs of them")
      ->check(CLI::Range(kMiB, 1024 * 1024 * kMiB));
  app.add_option("--max-memory-bytes", config.max_memory_bytes,
                 "Windows and queues of all runs: beyond this batches are refused; 0: half of the "
                 "machine's memory")
      ->check(CLI::Range(std::int64_t{0}, 1024 * 1024 * kMiB));
  app.add_option("--soft-memory-bytes", config.soft_memory_bytes,
                 "Beyond this estimates are averaged over fewer points, and jobs wait for their "
                 "queues; 0: three quarters of max-memory-bytes")
      ->check(CLI::Range(std::int64_t{0}, 1024 * 1024 * kMiB));
  app.add_option("--max-runs", config.max_runs, "Runs that have not ended")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
  app.add_option("--max-probes", config.max_probes, "Probes of one run")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000}));
  app.add_option("--max-series", config.max_series, "Per-run series on /metrics")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000'000}));
  app.add_option("--retention-days", config.retention_days,
                 "Ended runs are deleted after so many days; 0: never")
      ->check(CLI::Range(std::int64_t{0}, kMaxRetentionDays));
}

std::string EnvironmentName(const CLI::Option& option) {
  return absl::StrCat("DIMWATCH_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                       option.get_lnames().front(), {{"-", "_"}})));
}

// Gives the option a value unless a source of higher precedence has.
absl::Status Offer(CLI::Option& option, const std::string& source, const std::string& value) {
  if (option.count() > 0) return absl::OkStatus();
  try {
    option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " = ", Quoted(value), ": ", error.what()));
  }
  return absl::OkStatus();
}

bool IsSetting(const CLI::Option* option) {
  const std::string& name = option->get_lnames().front();
  return name != "help" && name != "version";
}

absl::Status ReadEnvironment(CLI::App& app, const Environment& environment) {
  for (CLI::Option* option : app.get_options(IsSetting)) {
    const std::string name = EnvironmentName(*option);
    const std::optional<std::string> value = environment(name);
    if (!value) continue;
    if (absl::Status status = Offer(*option, name, *value); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::optional<std::string> Scalar(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<std::int64_t>()) return absl::StrCat(*number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return std::nullopt;
}

absl::Status ReadSetting(CLI::App& app, const std::string& file, const std::string& key,
                         const toml::node& node) {
  const std::string source = absl::StrCat(file, ": ", key);
  const std::string name = absl::StrReplaceAll(key, {{"_", "-"}});
  CLI::Option* option = app.get_option_no_throw(absl::StrCat("--", name));
  if (option == nullptr || !IsSetting(option) || name == "config") {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " is not an option; --help lists what is"));
  }
  const std::optional<std::string> value = Scalar(node);
  if (!value) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": a string, an integer or true or false is expected"));
  }
  return Offer(*option, source, *value);
}

std::string JsonOf(const toml::node* node) {
  std::ostringstream json;
  if (node != nullptr && node->is_table()) json << toml::json_formatter{*node->as_table()};
  return json.str();
}

// The tables [projects...] and [quota].
absl::Status ReadProjects(const std::string& file, const toml::table& table, Projects& projects) {
  const toml::node* all = table.get("quota");
  const toml::node* each = table.get("projects");
  if (all == nullptr && each == nullptr) return absl::OkStatus();
  absl::StatusOr<Projects> read =
      ParseProjects(each == nullptr ? "{}" : JsonOf(each), all == nullptr ? "{}" : JsonOf(all));
  if (read.ok()) {
    projects = *std::move(read);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(file, ": ", std::string(read.status().message())));
}

absl::Status ReadFile(CLI::App& app, Config& config) {
  const std::string& file = config.file;
  try {
    const toml::table table = toml::parse_file(file);
    for (const auto& [key, node] : table) {
      if (key.str() == "projects" || key.str() == "quota") continue;
      if (absl::Status status = ReadSetting(app, file, std::string(key.str()), node);
          !status.ok()) {
        return status;
      }
    }
    return ReadProjects(file, table, config.projects);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ", line ", error.source().begin.line, ": ",
                                                   std::string(error.description())));
  }
}

// Also the names that only ever resolve to this machine.
bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "::1" || host == "localhost";
}

absl::Status CheckAddress(const std::string& option, const std::string& text, bool allow_remote,
                          absl::string_view refusal) {
  const absl::StatusOr<Address> address = ParseAddress(option, text);
  if (!address.ok()) return address.status();
  if (allow_remote || IsLoopback(address->host)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " ", text, " is reachable from other machines, ", refusal));
}

absl::Status CheckSecurity(const Config& config) {
  const TlsFiles& tls = config.tls;
  if (tls.certificate.empty() != tls.key.empty()) {
    return absl::InvalidArgumentError("--tls-certificate and --tls-key are given together");
  }
  if (tls.certificate.empty() && !tls.client_roots.empty()) {
    return absl::InvalidArgumentError("--tls-client-roots needs --tls-certificate and --tls-key");
  }
  const bool secure = !tls.certificate.empty() && !config.tokens.empty();
  absl::Status status = CheckAddress(
      "--listen", config.listen, secure || config.insecure_allow_remote,
      "but not everything is there that keeps others from reading, writing and deleting runs: "
      "--tls-certificate, --tls-key and --tokens. Give them, listen on 127.0.0.1 behind a proxy "
      "that encrypts and authenticates, or say --insecure-allow-remote");
  status.Update(CheckAddress("--http", config.http, config.insecure_allow_remote,
                             "and HTTP is not encrypted here. Listen on 127.0.0.1 behind a proxy "
                             "that encrypts, or say --insecure-allow-remote"));
  return status;
}

std::optional<std::string> PrintedInstead(CLI::App& app, std::vector<std::string> arguments,
                                          absl::Status& status) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return app.help();
  } catch (const CLI::CallForVersion& version) {
    return absl::StrCat(version.what(), "\n");
  } catch (const CLI::ParseError& error) {
    status = absl::InvalidArgumentError(error.what());
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Configured> Configure(const std::vector<std::string>& arguments,
                                     const Environment& environment) {
  Configured out;
  Config& config = out.config;
  CLI::App app("Watches the intrinsic dimension of a model's representations while it trains.",
               "dimwatch-server");
  app.footer(
      "Every option is also read from the environment (--data-dir: DIMWATCH_DATA_DIR) and from the "
      "file (data_dir = \"...\"). The command line comes first, then the environment, the file, "
      "the default. The file may also have [projects.NAME.signals] and [projects.NAME.policy], "
      "what "
      "runs of a project are judged by, and [projects.NAME] retention_days. SIGTERM stops the "
      "server cleanly; SIGHUP reads log-level, retention-days, the projects, the tokens and the "
      "certificates again.");
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", VersionLine());
  AddOptions(app, config);
  absl::Status status;
  out.print = PrintedInstead(app, arguments, status);
  if (out.print) return out;
  status.Update(ReadEnvironment(app, environment));
  if (status.ok() && !config.file.empty()) status = ReadFile(app, config);
  status.Update(CheckSecurity(config));
  if (!status.ok()) return status;
  return out;
}

std::optional<std::string> FromProcess(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::StatusOr<Address> ParseAddress(absl::string_view option, const std::string& text) {
  Address out;
  const std::size_t colon = text.rfind(':');
  const bool good_port = colon != std::string::npos &&
                         absl::SimpleAtoi(text.substr(colon + 1), &out.port) && out.port >= 0 &&
                         out.port <= 65535;
  out.host = text.substr(0, good_port ? colon : 0);
  const bool bracketed = out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']';
  if (bracketed) out.host = out.host.substr(1, out.host.size() - 2);
  if (out.host.empty() || (!bracketed && out.host.find_first_of(":[]") != std::string::npos)) {
    return absl::InvalidArgumentError(absl::StrCat(
        option, ": ", Quoted(text), " is not HOST:PORT; 127.0.0.1:50051 and [::1]:0 are examples"));
  }
  return out;
}

std::string ToString(const Address& address) {
  const bool v6 = absl::StrContains(address.host, ':');
  return absl::StrCat(v6 ? "[" : "", address.host, v6 ? "]" : "", ":", address.port);
}

}  // namespace dimwatch::server
