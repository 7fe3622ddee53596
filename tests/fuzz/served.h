// What a server holds, for the fuzz targets that ask it: runs of two projects, and tokens of which
// one is for the project "open" alone.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/access.h"
#include "server/http_api.h"
#include "src/store/sqlite_store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/monitor/job.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch::server {

// Stands in the names of all that "open"'s token is not to see: a run, its probes and scalars.
inline constexpr char kHidden[] = "7c0f-nobody-may-read-this-5e21";

class Served {
 public:
  static Served& Instance() {
    static Served served;
    return served;
  }

  // Of "open", with every scope; and of every project.
  std::string open_token() const { return TextOf(1); }
  std::string every_token() const { return TextOf(2); }
  Principal open_principal() const { return *access.Authenticate("Bearer " + open_token()); }

 private:
  class Listener final : public SessionListener {
    void OnDurable(std::int64_t) override {}
    void OnChanges(const RunChanges&) override {}
    void OnRoom() override {}
    void OnEnd(absl::Status) override {}
  };

  Served() {
    MonitorOptions options;
    options.log_folder = folder_.path() / "logs";
    options.max_queued_bytes_per_run = 1 << 30;
    store_ = *SqliteStore::Open(folder_.path() / "store.sqlite");
    monitor = *Monitor::Start(options, *store_, pool_, clock_, [](const EstimateTiming&) {});
    Make("a/run", "open", "shown", 60);
    Make("empty", "open", "shown", 0);
    Make("hidden/run", "closed", kHidden, 60);
    access.SetTokens({TokenOf(1, "open"), TokenOf(2, kAllProjects)});
    runs.emplace(*monitor);
    queries.emplace(*monitor, *store_, ServerFacts{clock_.Now(), 1, 1 << 20, 10});
    page_.emplace(*monitor, metrics, 1000);
    api.emplace(*runs, *queries, *page_, access);
    api->SetReady(true);
  }

  static std::string TextOf(unsigned char first) {
    TokenEntropy entropy;
    entropy.fill(first);
    return TokenText(entropy);
  }

  Token TokenOf(unsigned char first, const std::string& project) {
    Token token;
    token.id = *IdIn(TextOf(first));
    token.sha256 = Sha256(TextOf(first));
    token.projects = {project};
    token.scopes = {Scope::kAdmin};
    return token;
  }

  static void Hide(DeclarationItem& item) { item.settings.identity.name += kHidden; }
  static void Hide(ScalarItem& item) {
    std::map<std::string, double> hidden;
    for (const auto& [name, value] : item.values) hidden[name + kHidden] = value;
    item.values = std::move(hidden);
  }
  template <typename Batch>
  static void Hide(Batch& item) {
    item.probe += kHidden;
  }

  // A run with what comes of so many items; ended, unless there are none.
  void Make(const std::string& id, const std::string& project, const std::string& name, int items) {
    RunRecord run = dimwatch::testing::NewRun(id, {});
    run.project = project;
    run.display_name = name;
    FUZZ_REQUIRE(monitor->CreateRun(run).ok());
    if (items == 0) return;
    absl::StatusOr<SessionStart> start = monitor->OpenSession(id, 1, std::make_shared<Listener>());
    FUZZ_REQUIRE(start.ok());
    for (IngestItem& item : dimwatch::testing::RandomJob(1, items)) {
      if (name == kHidden) std::visit([](auto& kind) { Hide(kind); }, item);
      FUZZ_REQUIRE(start->session->Offer(std::move(item)).rejection.status.ok());
    }
    std::promise<void> ended;
    monitor->FinishRun(id, /*failed=*/false, [&](const auto&) { ended.set_value(); });
    ended.get_future().wait();
    start->session->Close();
  }

  dimwatch::testing::TempFolder folder_;
  dimwatch::testing::ManualClock clock_;
  std::unique_ptr<SqliteStore> store_;
  ThreadPool pool_{1};
  std::optional<MetricsPage> page_;

 public:
  // In the order in which they are made.
  ServerMetrics metrics;
  std::unique_ptr<Monitor> monitor;
  Access access{clock_, [this](const std::string& run_id) {
                  const auto view = monitor->GetRun(run_id);
                  return view.ok() ? std::optional((*view)->run.project) : std::nullopt;
                }};
  std::optional<RunHandlers> runs;
  std::optional<QueryHandlers> queries;
  std::optional<HttpApi> api;
};

}  // namespace dimwatch::server
