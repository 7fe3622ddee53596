#include "server/query_handlers.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/layer_profile.h"
#include "server/limits.h"
#include "server/page_token.h"
#include "server/version.h"

namespace dimwatch::server {
namespace {

// Which page of a list in order of (step, name) is asked for.
template <typename Request>
absl::StatusOr<SeriesQuery> ReadSeriesQuery(const Request& request, const std::string& name) {
  const absl::StatusOr<int> size = PageSize(request.page_size(), kDefaultPageSize, kMaxPageSize);
  if (!size.ok()) return size.status();
  SeriesQuery query;
  query.name = name;
  query.limit = *size;
  if (request.has_min_step()) query.min_step = Step{request.min_step()};
  if (request.has_max_step()) query.max_step = Step{request.max_step()};
  if (request.page_token().empty()) return query;
  const absl::StatusOr<std::string> key = ReadPageToken(request, request.page_token());
  if (!key.ok()) return key.status();
  const std::pair<std::string, std::string> parts = absl::StrSplit(*key, absl::MaxSplits(' ', 1));
  Step step;
  if (!absl::SimpleAtoi(parts.first, &step.value)) {
    return InvalidField("page_token", "is malformed");
  }
  query.after = {step, parts.second};
  return query;
}

// Reads one record more than the page holds, to know whether there is a next page.
template <typename Request, typename Read, typename Add>
absl::StatusOr<std::string> FillSeriesPage(const Request& request, SeriesQuery query, Read read,
                                           Add add) {
  const auto size = static_cast<std::size_t>(query.limit++);
  const auto records = read(query);
  if (!records.ok()) return records.status();
  const std::size_t count = std::min(size, records->size());
  for (std::size_t i = 0; i < count; ++i) add((*records)[i]);
  if (records->size() <= size) return "";
  const auto& last = (*records)[count - 1];
  std::string name;
  if constexpr (requires { last.probe; }) {
    name = last.probe;
  } else {
    name = last.name;
  }
  return MakePageToken(request, absl::StrCat(last.step.value, " ", name));
}

// The same for a list in order of cursors, of which only records that `wanted` are shown.
template <typename Request, typename Read, typename Wanted, typename Add>
absl::StatusOr<std::string> FillHistoryPage(const Request& request, Read read, Wanted wanted,
                                            Add add) {
  const absl::StatusOr<int> size = PageSize(request.page_size(), kDefaultPageSize, kMaxPageSize);
  if (!size.ok()) return size.status();
  std::int64_t cursor = 0;
  if (!request.page_token().empty()) {
    const absl::StatusOr<std::string> key = ReadPageToken(request, request.page_token());
    if (!key.ok()) return key.status();
    if (!absl::SimpleAtoi(*key, &cursor)) return InvalidField("page_token", "is malformed");
  }
  int count = 0;
  for (std::int64_t shown = cursor;;) {
    const auto records = read(cursor, *size);
    if (!records.ok()) return records.status();
    for (const auto& record : *records) {
      cursor = record.cursor;
      if (!wanted(record)) continue;
      if (count++ == *size) return MakePageToken(request, absl::StrCat(shown));
      shown = cursor;
      add(record);
    }
    if (records->size() < static_cast<std::size_t>(*size)) return "";
  }
}

std::int64_t CursorOf(const EventRecord& event) {
  return std::visit([](const auto& record) { return record.cursor; }, event);
}

struct EventWriter {
  v1::WatchRunResponse& out;

  void operator()(const EstimateRecord& record) { *out.mutable_estimate() = ToProto(record); }
  void operator()(const AttentionRecord& record) { *out.mutable_attention() = ToProto(record); }
  void operator()(const SignalRecord& record) { *out.mutable_signal() = ToProto(record); }
  void operator()(const DecisionRecord& record) {
    *out.mutable_decision() = ToProto(record.decision, record.create_time);
  }
  void operator()(const StateRecord& record) { out.set_state(ToProto(record.state)); }
  void operator()(const SettingsRecord& record) { *out.mutable_settings() = ToProto(record); }
  void operator()(const ScalarRecord& record) {
    out.mutable_scalars()->set_step(record.step.value);
    (*out.mutable_scalars()->mutable_values())[record.name] = record.value;
  }
  void operator()(const RewindRecord& record) {
    out.mutable_rewind()->set_probe(record.probe);
    out.mutable_rewind()->set_scalar(record.scalar);
    out.mutable_rewind()->set_step(record.step.value);
  }
};

v1::SeriesPoint ToPoint(const EstimateRecord& record) {
  v1::SeriesPoint point;
  point.set_step(record.step.value);
  point.set_value(*record.estimate.mean);
  if (record.estimate.standard_error) point.set_standard_error(*record.estimate.standard_error);
  point.set_complete(record.complete);
  return point;
}

v1::SeriesPoint ToPoint(const ScalarRecord& record) {
  v1::SeriesPoint point;
  point.set_step(record.step.value);
  point.set_value(record.value);
  return point;
}

absl::Status ValidateCompare(const v1::CompareRunsRequest& request) {
  if (request.run_ids_size() < 1 || request.run_ids_size() > kMaxComparedRuns) {
    return InvalidField("run_ids", absl::StrCat(request.run_ids_size(), " given; 1 to ",
                                                kMaxComparedRuns, " are allowed"));
  }
  if (request.probe().empty() == request.scalar().empty()) {
    return InvalidField("probe", "exactly one of probe and scalar is to be set");
  }
  const int most = request.max_points();
  if (most == 0 || (most >= 4 && most <= kMaxComparedPoints)) return absl::OkStatus();
  return InvalidField("max_points", absl::StrCat(most, "; 0 (the default, ", kDefaultComparedPoints,
                                                 ") or 4 to ", kMaxComparedPoints, " are allowed"));
}

}  // namespace

absl::Status QueryHandlers::ListEstimates(const v1::ListEstimatesRequest& request,
                                          v1::ListEstimatesResponse& response) {
  absl::StatusOr<SeriesQuery> query = ReadSeriesQuery(request, request.probe());
  if (!query.ok()) return query.status();
  query->with_scale_profile = request.with_scale_profile();
  absl::StatusOr<std::string> next = FillSeriesPage(
      request, *query,
      [&](const SeriesQuery& page) { return store_.ReadEstimates(request.run_id(), page); },
      [&](const EstimateRecord& record) { *response.add_estimates() = ToProto(record); });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::ListAttentionEstimates(const v1::ListAttentionEstimatesRequest& request,
                                                   v1::ListAttentionEstimatesResponse& response) {
  const absl::StatusOr<SeriesQuery> query = ReadSeriesQuery(request, request.probe());
  if (!query.ok()) return query.status();
  absl::StatusOr<std::string> next = FillSeriesPage(
      request, *query,
      [&](const SeriesQuery& page) { return store_.ReadAttention(request.run_id(), page); },
      [&](const AttentionRecord& record) { *response.add_estimates() = ToProto(record); });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::ListScalars(const v1::ListScalarsRequest& request,
                                        v1::ListScalarsResponse& response) {
  const absl::StatusOr<SeriesQuery> query = ReadSeriesQuery(request, request.name());
  if (!query.ok()) return query.status();
  absl::StatusOr<std::string> next = FillSeriesPage(
      request, *query,
      [&](const SeriesQuery& page) { return store_.ReadScalars(request.run_id(), page); },
      [&](const ScalarRecord& record) { *response.add_scalars() = ToProto(record); });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::ListSignals(const v1::ListSignalsRequest& request,
                                        v1::ListSignalsResponse& response) {
  absl::StatusOr<std::string> next = FillHistoryPage(
      request,
      [&](std::int64_t cursor, int limit) {
        return store_.ReadSignals(request.run_id(), cursor, limit);
      },
      [&](const SignalRecord& record) {
        return (request.probe().empty() || record.signal.probe == request.probe()) &&
               (request.signal().empty() || Name(record.signal.kind) == request.signal());
      },
      [&](const SignalRecord& record) { *response.add_signals() = ToProto(record); });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::ListDecisions(const v1::ListDecisionsRequest& request,
                                          v1::ListDecisionsResponse& response) {
  absl::StatusOr<std::string> next = FillHistoryPage(
      request,
      [&](std::int64_t cursor, int limit) {
        return store_.ReadDecisions(request.run_id(), cursor, limit);
      },
      [](const DecisionRecord&) { return true; },
      [&](const DecisionRecord& record) {
        *response.add_decisions() = ToProto(record.decision, record.create_time);
      });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::ListSettingsChanges(const v1::ListSettingsChangesRequest& request,
                                                v1::ListSettingsChangesResponse& response) {
  absl::StatusOr<std::string> next = FillHistoryPage(
      request,
      [&](std::int64_t cursor, int limit) {
        return store_.ReadSettings(request.run_id(), cursor, limit);
      },
      [](const SettingsRecord&) { return true; },
      [&](const SettingsRecord& record) { *response.add_changes() = ToProto(record); });
  if (next.ok()) response.set_next_page_token(*std::move(next));
  return next.status();
}

absl::Status QueryHandlers::GetDecision(const v1::GetDecisionRequest& request,
                                        v1::GetDecisionResponse& response) {
  const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.GetRun(request.run_id());
  if (!view.ok()) return view.status();
  *response.mutable_decision() = ToProto((*view)->decision, (*view)->decision_time);
  return absl::OkStatus();
}

absl::Status QueryHandlers::CompareRuns(const v1::CompareRunsRequest& request,
                                        v1::CompareRunsResponse& response) {
  if (absl::Status status = ValidateCompare(request); !status.ok()) return status;
  const int most = request.max_points() == 0 ? kDefaultComparedPoints : request.max_points();
  for (const std::string& run_id : request.run_ids()) {
    const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.GetRun(run_id);
    if (!view.ok()) return view.status();
    absl::StatusOr<std::vector<v1::SeriesPoint>> points = Series(run_id, request);
    if (!points.ok()) return points.status();
    v1::RunSeries* series = response.add_series();
    series->set_run_id(run_id);
    series->set_display_name((*view)->run.display_name);
    series->set_state(ToProto((*view)->run.state));
    *series->mutable_decision() = ToProto((*view)->decision, (*view)->decision_time);
    for (v1::SeriesPoint& point : Thin(*std::move(points), static_cast<std::size_t>(most))) {
      *series->add_points() = std::move(point);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::SeriesPoint>> QueryHandlers::Series(
    const std::string& run_id, const v1::CompareRunsRequest& request) {
  std::vector<v1::SeriesPoint> points;
  SeriesQuery query;
  query.limit = kMaxPageSize;
  const auto take = [&](const auto& records) {
    for (const auto& record : records) {
      if constexpr (requires { record.estimate; }) {
        query.after = {record.step, record.probe};
        if (!record.estimate.mean) continue;
      } else {
        query.after = {record.step, record.name};
      }
      points.push_back(ToPoint(record));
    }
    return records.size() == static_cast<std::size_t>(query.limit);
  };
  for (bool more = true; more;) {
    if (request.scalar().empty()) {
      query.name = request.probe();
      const auto records = store_.ReadEstimates(run_id, query);
      if (!records.ok()) return records.status();
      more = take(*records);
    } else {
      query.name = request.scalar();
      const auto records = store_.ReadScalars(run_id, query);
      if (!records.ok()) return records.status();
      more = take(*records);
    }
  }
  return points;
}

absl::Status QueryHandlers::GetLayerProfile(const v1::GetLayerProfileRequest& request,
                                            v1::GetLayerProfileResponse& response) {
  const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.GetRun(request.run_id());
  if (!view.ok()) return view.status();
  return FillLayerProfile(**view, store_, request, response);
}

absl::Status QueryHandlers::GetServerInfo(const v1::GetServerInfoRequest& /*request*/,
                                          v1::GetServerInfoResponse& response) {
  const MonitorStats stats = monitor_.Snapshot().stats;
  response.set_version(std::string(Version()));
  response.set_revision(std::string(Revision()));
  *response.mutable_start_time() = ToProto(facts_.start_time);
  response.set_compute_threads(facts_.compute_threads);
  response.set_max_batch_bytes(facts_.max_batch_bytes);
  response.set_max_runs(facts_.max_runs);
  response.set_active_runs(stats.active_runs);
  response.set_active_probes(stats.active_probes);
  response.set_estimate_backlog(stats.estimate_backlog);
  response.set_compiler(std::string(Compiler()));
  response.set_grpc_version(GrpcVersion());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::WatchRunResponse>> QueryHandlers::Events(const std::string& run_id,
                                                                        std::int64_t after_cursor,
                                                                        int limit) {
  const absl::StatusOr<std::vector<EventRecord>> records =
      store_.ReadEvents(run_id, after_cursor, limit);
  if (!records.ok()) return records.status();
  std::vector<v1::WatchRunResponse> events;
  for (const EventRecord& record : *records) {
    // The scalars of one batch share a cursor, and make one event.
    if (events.empty() || events.back().cursor() != CursorOf(record)) events.emplace_back();
    events.back().set_cursor(CursorOf(record));
    std::visit(EventWriter{events.back()}, record);
  }
  return events;
}

absl::StatusOr<bool> QueryHandlers::HasEnded(const std::string& run_id) {
  const absl::StatusOr<std::shared_ptr<const RunView>> view = monitor_.GetRun(run_id);
  if (!view.ok()) return view.status();
  const RunRecord& run = (*view)->run;
  return run.state == RunState::kFinished || run.state == RunState::kFailed || !run.damage.empty();
}

std::vector<v1::SeriesPoint> Thin(std::vector<v1::SeriesPoint> points, std::size_t most) {
  if (points.size() <= most) return points;
  const auto [lowest, highest] =
      std::minmax_element(points.begin(), points.end(),
                          [](const auto& a, const auto& b) { return a.value() < b.value(); });
  std::set<std::size_t> kept = {0, points.size() - 1,
                                static_cast<std::size_t>(lowest - points.begin()),
                                static_cast<std::size_t>(highest - points.begin())};
  const std::size_t others = most - kept.size();
  for (std::size_t i = 1; i <= others; ++i) kept.insert(i * points.size() / (others + 1));
  std::vector<v1::SeriesPoint> thin;
  for (const std::size_t i : kept) thin.push_back(std::move(points[i]));
  return thin;
}

}  // namespace dimwatch::server
