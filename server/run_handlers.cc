#include "server/run_handlers.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/field_mask_util.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/limits.h"
#include "server/page_token.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

using google::protobuf::util::FieldMaskUtil;
using Views = std::vector<std::shared_ptr<const RunView>>;

std::string KeyOf(const RunView& view) {
  return absl::StrCat(absl::ToUnixNanos(view.run.create_time), " ", view.run.run_id);
}

// The first run behind `key` in `views`, newest first; the run of the key itself may be gone.
absl::StatusOr<Views::const_iterator> Behind(const Views& views, const std::string& key) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(key, absl::MaxSplits(' ', 1));
  std::int64_t nanos = 0;
  if (!absl::SimpleAtoi(parts.first, &nanos)) return InvalidField("page_token", "is malformed");
  const auto same = std::find_if(views.begin(), views.end(), [&](const auto& view) {
    return view->run.run_id == parts.second;
  });
  if (same != views.end()) return same + 1;
  return std::find_if(views.begin(), views.end(), [&](const auto& view) {
    return absl::ToUnixNanos(view->run.create_time) < nanos;
  });
}

absl::StatusOr<RunFilter> ReadFilter(const v1::ListRunsRequest& request) {
  RunFilter filter;
  filter.project = request.project();
  filter.labels = {request.labels().begin(), request.labels().end()};
  for (int i = 0; i < request.states_size(); ++i) {
    const absl::StatusOr<RunState> state = FromProto(request.states(i));
    if (!state.ok()) {
      return InvalidField(absl::StrCat("states[", i, "]"), state.status().message());
    }
    filter.states.push_back(*state);
  }
  return filter;
}

// Whether `path` names `message` or one of its fields.
bool IsOrIsIn(absl::string_view path, absl::string_view message) {
  return absl::ConsumePrefix(&path, message) && (path.empty() || path[0] == '.');
}

bool CanBeSet(const std::string& path) {
  return path == "display_name" || path == "labels" ||
         ((IsOrIsIn(path, "config.signals") || IsOrIsIn(path, "config.policy")) &&
          FieldMaskUtil::IsValidPath<v1::Run>(path));
}

// Takes what `path` names from `run`. REQUIRES: CanBeSet(path).
absl::Status ReadUpdate(const std::string& path, const v1::Run& run, RunUpdate& update) {
  if (path == "display_name") {
    update.display_name = run.display_name().empty() ? run.run_id() : run.display_name();
    return ValidateDisplayName(*update.display_name);
  }
  if (path == "labels") {
    update.labels = {run.labels().begin(), run.labels().end()};
    return ValidateLabels(*update.labels);
  }
  if (IsOrIsIn(path, "config.signals")) {
    absl::StatusOr<SignalSettings> signals = FromProto(run.config().signals());
    if (signals.ok()) update.signals = *signals;
    return Blame("config.signals", signals.status());
  }
  absl::StatusOr<PolicySettings> policy = FromProto(run.config().policy());
  if (policy.ok()) update.policy = *std::move(policy);
  return Blame("config.policy", policy.status());
}

// `run` is what the request leaves of the present one.
absl::StatusOr<RunUpdate> ReadUpdates(const google::protobuf::FieldMask& mask, const v1::Run& run) {
  RunUpdate update;
  for (const std::string& path : mask.paths()) {
    const absl::Status status = ReadUpdate(path, run, update);
    if (!status.ok()) return Blame("run", status);
  }
  return update;
}

absl::Status CheckMask(const google::protobuf::FieldMask& mask) {
  constexpr absl::string_view kAllowed =
      "display_name, labels, config.signals, config.policy and the fields of the last two are "
      "allowed";
  if (mask.paths().empty()) {
    return InvalidField("update_mask", absl::StrCat("is empty; ", kAllowed));
  }
  for (const std::string& path : mask.paths()) {
    if (CanBeSet(path)) continue;
    return InvalidField("update_mask", absl::StrCat(Quoted(path), " cannot be set; ", kAllowed));
  }
  return absl::OkStatus();
}

// `present` with what the mask names taken from `wanted`.
v1::Run Merged(v1::Run present, const v1::Run& wanted, const google::protobuf::FieldMask& mask) {
  FieldMaskUtil::MergeOptions options;
  options.set_replace_message_fields(true);
  options.set_replace_repeated_fields(true);
  FieldMaskUtil::MergeMessageTo(wanted, mask, options, &present);
  return present;
}

}  // namespace

void RunHandlers::SetProjects(ProjectDefaults projects) {
  const std::lock_guard lock(mutex_);
  projects_ = std::move(projects);
}

v1::Run RunHandlers::Completed(v1::Run run) const {
  const std::lock_guard lock(mutex_);
  ApplyDefaults(projects_, run);
  return run;
}

absl::Status RunHandlers::CreateRun(const v1::CreateRunRequest& request,
                                    v1::CreateRunResponse& response) {
  absl::StatusOr<RunRecord> run = FromProto(Completed(request.run()));
  if (!run.ok()) return Blame("run", run.status());
  const absl::StatusOr<Monitor::Created> created = monitor_.CreateRun(*std::move(run));
  if (!created.ok()) return created.status();
  *response.mutable_run() = ToProto(*created->view);
  response.set_created(created->created);
  return absl::OkStatus();
}

absl::Status RunHandlers::GetRun(const v1::GetRunRequest& request, v1::GetRunResponse& response) {
  const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.GetRun(request.run_id());
  if (!view.ok()) return view.status();
  *response.mutable_run() = ToProto(**view);
  return absl::OkStatus();
}

absl::Status RunHandlers::ListRuns(const Principal& principal, const v1::ListRunsRequest& request,
                                   v1::ListRunsResponse& response) {
  const absl::StatusOr<int> size =
      PageSize(request.page_size(), kDefaultRunsPageSize, kMaxRunsPageSize);
  if (!size.ok()) return size.status();
  const absl::StatusOr<RunFilter> filter = ReadFilter(request);
  if (!filter.ok()) return filter.status();
  Views views = monitor_.ListRuns(*filter);
  std::erase_if(views, [&](const auto& view) { return !principal.Covers(view->run.project); });
  auto next = views.cbegin();
  if (!request.page_token().empty()) {
    const absl::StatusOr<std::string> key = ReadPageToken(request, request.page_token());
    if (!key.ok()) return key.status();
    const absl::StatusOr<Views::const_iterator> behind = Behind(views, *key);
    if (!behind.ok()) return behind.status();
    next = *behind;
  }
  const auto end = next + std::min<std::ptrdiff_t>(*size, views.end() - next);
  for (; next != end; ++next) *response.add_runs() = ToProto(**next);
  if (end != views.end() && end != views.begin()) {
    response.set_next_page_token(MakePageToken(request, KeyOf(**(end - 1))));
  }
  return absl::OkStatus();
}

absl::Status RunHandlers::UpdateRun(const v1::UpdateRunRequest& request, const std::string& author,
                                    v1::UpdateRunResponse& response) {
  const std::string& run_id = request.run().run_id();
  const google::protobuf::FieldMask& mask = request.update_mask();
  const std::lock_guard lock(update_mutex_);
  const auto present = monitor_.GetRun(run_id);
  if (!present.ok()) return present.status();
  if (absl::Status status = CheckMask(mask); !status.ok()) return status;
  v1::Run wanted = request.run();
  wanted.set_project((*present)->run.project);
  absl::StatusOr<RunUpdate> update =
      ReadUpdates(mask, Merged(ToProto(**present), Completed(std::move(wanted)), mask));
  if (!update.ok()) return update.status();
  update->author = author;
  const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.UpdateRun(run_id, *update);
  if (!view.ok()) return view.status();
  *response.mutable_run() = ToProto(**view);
  return absl::OkStatus();
}

void RunHandlers::FinishRun(const v1::FinishRunRequest& request, v1::FinishRunResponse& response,
                            std::function<void(absl::Status)> done) {
  monitor_.FinishRun(request.run_id(), request.failed(),
                     [&response, done = std::move(done)](
                         const absl::StatusOr<std::shared_ptr<const RunView>>& view) {
                       if (view.ok()) *response.mutable_run() = ToProto(**view);
                       done(view.status());
                     });
}

absl::Status RunHandlers::DeleteRun(const v1::DeleteRunRequest& request,
                                    v1::DeleteRunResponse& /*response*/) {
  return monitor_.DeleteRun(request.run_id());
}

}  // namespace dimwatch::server
