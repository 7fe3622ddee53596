#include "server/config.h"

#include <gmock/gmock.h>

#include <fstream>
#include <map>

#include "tests/testing/temp_folder.h"

namespace dimwatch::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Variables = std::map<std::string, std::string>;

absl::StatusOr<Configured> With(const std::vector<std::string>& arguments,
                                const Variables& variables = {}) {
  return Configure(arguments, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string ErrorOf(const std::vector<std::string>& arguments, const Variables& variables = {}) {
  const absl::StatusOr<Configured> configured = With(arguments, variables);
  EXPECT_EQ(configured.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(configured.status().message());
}

std::string FileWith(const ::dimwatch::testing::TempFolder& folder, const std::string& text) {
  const std::string name = (folder.path() / "server.toml").string();
  std::ofstream(name) << text;
  return name;
}

TEST(ConfigTest, DefaultsListenOnLoopback) {
  const absl::StatusOr<Configured> configured = With({});
  ASSERT_TRUE(configured.ok()) << configured.status();
  EXPECT_EQ(configured->config.listen, "127.0.0.1:50051");
  EXPECT_EQ(configured->config.http, "127.0.0.1:9464");
  EXPECT_EQ(configured->config.max_series, 100'000);
  EXPECT_FALSE(configured->print);
}

TEST(ConfigTest, CommandLineComesBeforeEnvironmentBeforeFileBeforeDefault) {
  const ::dimwatch::testing::TempFolder folder;
  const std::string file =
      FileWith(folder, "threads = 3\nmax_runs = 30\nmax-probes = 31\nlog_level = 'debug'\n");
  const absl::StatusOr<Configured> configured =
      With({"--config", file, "--threads", "1"},
           {{"DIMWATCH_THREADS", "2"}, {"DIMWATCH_MAX_RUNS", "20"}, {"DIMWATCH_MAX_SERIES", "21"}});
  ASSERT_TRUE(configured.ok()) << configured.status();
  EXPECT_EQ(configured->config.threads, 1);
  EXPECT_EQ(configured->config.max_runs, 20);
  EXPECT_EQ(configured->config.max_probes, 31);
  EXPECT_EQ(configured->config.max_series, 21);
  EXPECT_EQ(configured->config.log_level, "debug");
}

TEST(ConfigTest, FileMayBeNamedByTheEnvironment) {
  const ::dimwatch::testing::TempFolder folder;
  const std::string file = FileWith(folder, "insecure_allow_remote = true\nlisten = '0.0.0.0:1'\n");
  const absl::StatusOr<Configured> configured = With({}, {{"DIMWATCH_CONFIG", file}});
  ASSERT_TRUE(configured.ok()) << configured.status();
  EXPECT_EQ(configured->config.listen, "0.0.0.0:1");
  EXPECT_TRUE(configured->config.insecure_allow_remote);
}

TEST(ConfigTest, EveryOptionIsReadFromEveryOtherSource) {
  const absl::StatusOr<Configured> help = With({"--help"});
  ASSERT_TRUE(help.ok() && help->print);
  const ::dimwatch::testing::TempFolder folder;
  for (const std::string name :
       {"listen", "http", "data-dir", "tokens", "tls-certificate", "tls-key", "tls-client-roots",
        "threads", "log-level", "max-batch-bytes", "max-queue-bytes", "max-window-bytes",
        "max-memory-bytes", "soft-memory-bytes", "max-runs", "max-probes", "max-series",
        "retention-days"}) {
    EXPECT_THAT(*help->print, HasSubstr("--" + name));
    // A table is no value, so the error shows that the key is known.
    EXPECT_THAT(ErrorOf({"--config", FileWith(folder, "[" + name + "]\n")}),
                HasSubstr("a string, an integer"));
  }
}

TEST(ConfigTest, AFileMayHaveDefaultsOfProjects) {
  const ::dimwatch::testing::TempFolder folder;
  const absl::StatusOr<Configured> configured =
      With({"--config", FileWith(folder,
                                 "threads = 2\n"
                                 "[projects.emotion.policy]\n"
                                 "mode = 'enforced'\nstop_on = ['overfitting']\nmin_probes = 2\n"
                                 "[projects.emotion.signals]\npatience = 7\nmin_delta = 0.1\n"
                                 "[projects.'team/b'.policy]\nwarmup_step = 500\n")});
  ASSERT_TRUE(configured.ok()) << configured.status();
  const ProjectDefaults& projects = configured->config.projects.defaults;
  EXPECT_EQ(projects.at("team/b").policy().warmup_step(), 500);
  v1::Run run;
  run.set_project("emotion");
  run.mutable_config()->mutable_policy()->add_stop_on("collapsed");
  run.mutable_config()->mutable_signals()->set_patience(2);
  ApplyDefaults(projects, run);
  EXPECT_EQ(run.config().policy().mode(), v1::POLICY_MODE_ENFORCED);
  EXPECT_EQ(run.config().policy().min_probes(), 2);
  ASSERT_EQ(run.config().policy().stop_on_size(), 1) << "the run's own";
  EXPECT_EQ(run.config().policy().stop_on(0), "collapsed");
  EXPECT_EQ(run.config().signals().patience(), 2) << "the run's own";
  EXPECT_EQ(run.config().signals().min_delta(), 0.1);
  v1::Run other;
  other.set_project("another");
  ApplyDefaults(projects, other);
  EXPECT_FALSE(other.has_config());
}

TEST(ConfigTest, AProjectMayBeKeptForAnotherTimeThanTheOthers) {
  const ::dimwatch::testing::TempFolder folder;
  const absl::StatusOr<Configured> configured =
      With({"--config", FileWith(folder,
                                 "retention_days = 90\n[projects.short]\nretention_days = 7\n"
                                 "[projects.always]\nretention_days = 0\n")});
  ASSERT_TRUE(configured.ok()) << configured.status();
  EXPECT_EQ(configured->config.retention_days, 90);
  EXPECT_THAT(
      configured->config.projects.retention,
      ElementsAre(Pair("always", absl::InfiniteDuration()), Pair("short", absl::Hours(168))));
  for (const std::string wrong : {"-1", "36501", "1.5", "'7'"}) {
    EXPECT_THAT(
        ErrorOf({"--config", FileWith(folder, "[projects.p]\nretention_days = " + wrong + "\n")}),
        HasSubstr("projects.p.retention_days: a whole number of days up to 36500 expected, got"));
  }
}

TEST(ConfigTest, AProjectsQuotaBeginsWithThatOfAll) {
  const ::dimwatch::testing::TempFolder folder;
  const absl::StatusOr<Configured> configured = With(
      {"--config", FileWith(folder,
                            "[quota]\nmax_runs = 20\ncompute_per_minute = 1e12\n"
                            "[projects.big.quota]\nmax_runs = 90\nmax_disk_bytes = 5000000000\n"
                            "[projects.plain]\nretention_days = 3\n")});
  ASSERT_TRUE(configured.ok()) << configured.status();
  const Quotas& quotas = configured->config.projects.quotas;
  EXPECT_EQ(quotas.Of("plain"), (Quota{.max_runs = 20, .compute_per_minute = 1e12}));
  EXPECT_EQ(quotas.Of("big"),
            (Quota{.max_runs = 90, .max_disk_bytes = 5'000'000'000, .compute_per_minute = 1e12}));
  const auto error = [&](const std::string& text) {
    return ErrorOf({"--config", FileWith(folder, text)});
  };
  EXPECT_THAT(
      error("[quota]\nmax_runs = -1\n"),
      HasSubstr("quota.max_runs: a whole number, 0 or more, expected (0: no limit), got -1"));
  EXPECT_THAT(error("[projects.p.quota]\ncompute_per_minute = 'all'\n"),
              HasSubstr("projects.p.quota.compute_per_minute: a number, 0 or more, expected"));
  EXPECT_THAT(error("[quota]\nmax_run = 1\n"), HasSubstr("quota.max_run is not known; max_runs,"));
  EXPECT_THAT(error("quota = 3\n"), HasSubstr("quota must be a table"));
}

TEST(ConfigTest, WrongDefaultsOfAProjectAreNamed) {
  const ::dimwatch::testing::TempFolder folder;
  const auto error = [&](const std::string& text) {
    return ErrorOf({"--config", FileWith(folder, text)});
  };
  EXPECT_THAT(error("[projects.p.policy]\nmode = 'strict'\n"), HasSubstr("projects.p.policy"));
  EXPECT_THAT(error("[projects.p.policy]\nmin_probes = -1\n"),
              HasSubstr("projects.p.policy.min_probes: 1 to 10000 expected, got -1"));
  EXPECT_THAT(error("[projects.p.signals]\npatient = 3\n"), HasSubstr("patient"));
  EXPECT_THAT(error("[projects.p.probes]\nx = 3\n"),
              HasSubstr("projects.p.probes is not known; the tables signals, policy and quota "
                        "and retention_days are"));
  EXPECT_THAT(error("projects = 3\n"), HasSubstr("projects must be a table"));
}

TEST(ConfigTest, AddressesBeyondLoopbackNeedTheWords) {
  for (const std::string address : {"0.0.0.0:1", "[::]:1", "192.168.1.2:1", "example.org:1"}) {
    EXPECT_THAT(ErrorOf({"--listen", address}), HasSubstr("--insecure-allow-remote")) << address;
    EXPECT_THAT(ErrorOf({"--http", address}), HasSubstr("--insecure-allow-remote")) << address;
    EXPECT_TRUE(With({"--listen", address, "--insecure-allow-remote"}).ok()) << address;
  }
  for (const std::string address : {"127.0.0.1:0", "127.8.8.8:1", "[::1]:1", "localhost:1"}) {
    EXPECT_TRUE(With({"--listen", address, "--http", address}).ok()) << address;
  }
}

TEST(ConfigTest, GrpcMayBeReachedFromElsewhereOnlyWithTlsAndTokens) {
  const std::vector<std::string> tls = {"--tls-certificate", "c.pem", "--tls-key", "k.pem"};
  const auto listen = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--listen", "0.0.0.0:1"});
    return arguments;
  };
  EXPECT_THAT(ErrorOf(listen(tls)), HasSubstr("--tokens"));
  EXPECT_THAT(ErrorOf(listen({"--tokens", "t.json"})), HasSubstr("--tls-certificate"));
  std::vector<std::string> both = tls;
  both.insert(both.end(), {"--tokens", "t.json"});
  EXPECT_TRUE(With(listen(both)).ok());
  both.insert(both.end(), {"--http", "0.0.0.0:2"});
  EXPECT_THAT(ErrorOf(listen(both)), HasSubstr("HTTP is not encrypted"));
}

TEST(ConfigTest, TlsFilesAreGivenTogether) {
  EXPECT_THAT(ErrorOf({"--tls-certificate", "c.pem"}), HasSubstr("given together"));
  EXPECT_THAT(ErrorOf({"--tls-key", "k.pem"}), HasSubstr("given together"));
  EXPECT_THAT(ErrorOf({"--tls-client-roots", "r.pem"}), HasSubstr("needs --tls-certificate"));
}

TEST(ConfigTest, ErrorsNameTheSourceAndTheValue) {
  const ::dimwatch::testing::TempFolder folder;
  EXPECT_THAT(ErrorOf({"--threads", "-1"}), HasSubstr("--threads"));
  EXPECT_THAT(ErrorOf({"--thread", "1"}), HasSubstr("--thread"));
  EXPECT_THAT(ErrorOf({}, {{"DIMWATCH_LOG_LEVEL", "loud"}}),
              AllOf(HasSubstr("DIMWATCH_LOG_LEVEL"), HasSubstr("loud")));
  EXPECT_THAT(ErrorOf({"--config", FileWith(folder, "a = 1\n")}), HasSubstr("a is not an option"));
  EXPECT_THAT(ErrorOf({"--config", FileWith(folder, "\n\nhttp 3\n")}), HasSubstr("line 3"));
  EXPECT_THAT(ErrorOf({"--config", FileWith(folder, "config = 'x'\n")}), HasSubstr("config"));
  EXPECT_THAT(ErrorOf({"--config", (folder.path() / "none").string()}), HasSubstr("none"));
}

TEST(ConfigTest, AddressIsHostAndPort) {
  EXPECT_EQ(ToString(*ParseAddress("--listen", "[::1]:5")), "[::1]:5");
  EXPECT_EQ(ParseAddress("--listen", "[::1]:5")->host, "::1");
  EXPECT_EQ(ParseAddress("--listen", "localhost:0")->port, 0);
  for (const std::string bad : {"", ":1", "1", "a:", "a:-1", "a:65536", "::1:5", "a:1x", "[]:1"}) {
    EXPECT_FALSE(ParseAddress("--listen", bad).ok()) << bad;
  }
}

TEST(ConfigTest, VersionNamesTheProgram) {
  const absl::StatusOr<Configured> configured = With({"--version"});
  ASSERT_TRUE(configured.ok() && configured->print);
  EXPECT_THAT(*configured->print, HasSubstr("dimwatch-server 0."));
  EXPECT_THAT(*configured->print, HasSubstr(", gRPC 1."));
}

}  // namespace
}  // namespace dimwatch::server
