// dimwatch watch: a run, live, until it ends.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/cli/attention_text.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"
#include "client/cli/watch_view.h"

namespace dimwatch::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenRedraws{100};
// Of a terminal that does not say.
constexpr std::size_t kColumns = 80;
constexpr std::size_t kLines = 23;

struct Options {
  ServerOptions server;
  v1::WatchRunRequest request;
  bool json = false;
};

class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void Apply(const v1::WatchRunResponse& event) = 0;
};

class JsonLines final : public Watcher {
 public:
  void Apply(const v1::WatchRunResponse& event) override {
    if (event.has_estimate()) Print(event.cursor(), ToJson(event.estimate()));
    if (event.has_attention()) Print(event.cursor(), ToJson(FromProto(event.attention())));
    if (event.has_signal()) Print(event.cursor(), ToJson(event.signal()));
    if (event.has_decision()) Print(event.cursor(), ToJson(event.decision()));
    if (event.has_rewind()) {
      const v1::Rewind& rewind = event.rewind();
      Print(event.cursor(),
            RewindJson(rewind.step(), rewind.probe().empty() ? rewind.scalar() : rewind.probe()));
    }
    if (event.has_settings()) Print(event.cursor(), ToJson(event.settings()));
    for (const auto& [name, value] : std::map<std::string, double>(
             event.scalars().values().begin(), event.scalars().values().end())) {
      Print(event.cursor(), ScalarJson(event.scalars().step(), name, value));
    }
    if (event.event_case() == v1::WatchRunResponse::kState) {
      Print(event.cursor(), StateJson(event.state()));
    }
  }

 private:
  static void Print(std::int64_t cursor, Json json) {
    json["cursor"] = cursor;
    std::printf("%s\n", json.dump().c_str());
    std::fflush(stdout);
  }
};

// One line per event, for logs and pipes.
class PlainLines final : public Watcher {
 public:
  void Apply(const v1::WatchRunResponse& event) override {
    std::string line;
    if (event.has_estimate()) {
      line = EstimateLine(event.estimate());
    } else if (event.has_attention()) {
      line = AttentionLine(FromProto(event.attention()));
    } else if (event.has_signal()) {
      line = SignalText(event.signal(), false);
    } else if (event.has_decision()) {
      line = DecisionText(event.decision());
    } else if (event.has_rewind()) {
      const v1::Rewind& rewind = event.rewind();
      line = "step " + std::to_string(rewind.step()) + "  " + rewind.probe() + rewind.scalar() +
             " goes on from here again";
    } else if (event.has_settings()) {
      line = SettingsChangeText(event.settings());
    } else if (event.event_case() == v1::WatchRunResponse::kState) {
      line = "run is " + EnumName(event.state());
    } else {
      return;  // scalars: their curves are the job's own affair
    }
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

 private:
  static std::string EstimateLine(const v1::Estimate& estimate) {
    return "step " + std::to_string(estimate.step()) + "  " + estimate.probe() + "  LID " +
           MeanText(estimate) + "  n = " + std::to_string(estimate.queries()) +
           ", L = " + std::to_string(estimate.config().neighbors()) + ", " +
           SettingsText(estimate) + ", window " + FillText(estimate.window_fill()) +
           (estimate.complete() ? "" : ", NOT COMPLETE: " + estimate.incomplete_reason()) +
           (estimate.subsampled_reason().empty() ? "" : ", " + estimate.subsampled_reason());
  }
};

// A block that is redrawn in place, by a thread of its own: at most every kBetweenRedraws, and soon
// after the last event, whether another comes or not.
class Screen final : public Watcher {
 public:
  explicit Screen(const std::string& run_id) : view_(run_id), thread_([this] { Loop(); }) {}
  ~Screen() override {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void Apply(const v1::WatchRunResponse& event) override {
    const std::lock_guard lock(mutex_);
    view_.Apply(event);
    dirty_ = true;
    changed_.notify_all();
  }

 private:
  void Loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return dirty_ || ended_; });
      if (dirty_) Draw();
      dirty_ = false;
      if (ended_) return;
      changed_.wait_for(lock, kBetweenRedraws, [this] { return ended_; });
    }
  }

  void Draw() {
    winsize size{};
    const bool known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 1;
    const std::string block = view_.Draw(StdoutIsColored(), known ? size.ws_col : kColumns,
                                         known ? size.ws_row - 1U : kLines);
    std::fputs(Redraw(block, lines_).c_str(), stdout);
    std::fflush(stdout);
    lines_ = static_cast<std::size_t>(std::count(block.begin(), block.end(), '\n'));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  // All guarded by mutex_.
  WatchView view_;
  bool dirty_ = false;
  bool ended_ = false;
  std::size_t lines_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

std::unique_ptr<Watcher> MakeWatcher(const Options& options) {
  if (options.json) return std::make_unique<JsonLines>();
  if (!StdoutIsTerminal()) return std::make_unique<PlainLines>();
  return std::make_unique<Screen>(options.request.run_id());
}

absl::Status RunWatch(const Options& options) {
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  grpc::ClientContext context;
  server.Introduce(context, options.request.run_id());
  const auto stream = server.query->WatchRun(&context, options.request);
  {
    const std::unique_ptr<Watcher> watcher = MakeWatcher(options);
    v1::WatchRunResponse event;
    while (stream->Read(&event)) watcher->Apply(event);
  }
  return server.ToStatus(stream->Finish());
}

}  // namespace

void AddWatchCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "watch", "Follow a run until it ends: a live table on a terminal, lines elsewhere");
  command->add_option("run", *options->request.mutable_run_id())->required();
  AddServerOptions(*command, options->server);
  command->add_option_function<std::int64_t>(
      "--after", [options](std::int64_t cursor) { options->request.set_after_cursor(cursor); },
      "only events behind this cursor (default 0: the whole history, then live)");
  command->add_flag("--json", options->json, "JSON lines, one per event, with its cursor");
  command->callback([options, &action] { action = [options] { return RunWatch(*options); }; });
}

}  // namespace dimwatch::cli
