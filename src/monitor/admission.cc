#include "src/monitor/admission.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/names.h"
#include "src/base/quota_error.h"
#include "src/monitor/attention_admission.h"
#include "src/monitor/rejection.h"
#include "src/window/window.h"

namespace dimwatch {
namespace {

using Rejection = RunAdmission::Rejection;

// The same arithmetic as the probe's window, without the rows.
class WindowMeter {
 public:
  explicit WindowMeter(ProbeSettings settings) : settings_(std::move(settings)) {}

  // As declared; what was left open is as in the first batch.
  const ProbeSettings& settings() const { return settings_; }
  // Rows, or prompts, that the window would hold with this batch.
  std::int64_t RowsWith(Step step, std::int64_t rows) const {
    if (settings_.window == WindowKind::kRolling) return settings_.window_points;
    const bool same = open_ && newest_ == step;
    return rows + (same ? open_rows_ : 0);
  }
  bool IsOpenAt(Step step) const {
    return settings_.window == WindowKind::kSnapshot && open_ && newest_ == step && open_rows_ > 0;
  }
  // Of the cloud that the batch completes: its own, or that of the step before; 0: of none.
  std::int64_t RowsCompleted(const SampleItem& item) const {
    if (item.snapshot_end) return RowsWith(item.step, item.rows);
    return open_ && newest_ < item.step ? open_rows_ : 0;
  }
  void Add(const SampleItem& item) {
    Add(item.step, item.rows, item.snapshot_end);
    settings_.dim = static_cast<int>(item.dim);
  }
  void Add(const AttentionItem& item) {
    Add(item.step, item.prompts, item.snapshot_end);
    if (settings_.attention) settings_.attention->heads = static_cast<int>(item.heads);
  }

 private:
  void Add(Step step, std::int64_t rows, bool snapshot_end) {
    open_rows_ = RowsWith(step, rows);
    newest_ = step;
    open_ = !snapshot_end;
  }

  ProbeSettings settings_;
  std::optional<Step> newest_;
  bool open_ = false;
  std::int64_t open_rows_ = 0;
};

using Meters = std::map<std::string, WindowMeter, std::less<>>;

absl::Status UnknownProbe(const std::string& name, const Meters& declared) {
  constexpr std::size_t kListed = 8;
  if (declared.empty()) {
    return absl::NotFoundError(
        absl::StrCat("probe ", Quoted(name), " is not declared; no probe of this run is"));
  }
  std::vector<std::string> names;
  for (const auto& [known, meter] : declared) {
    if (names.size() == kListed) break;
    names.push_back(Quoted(known));
  }
  const std::string more =
      declared.size() > kListed ? absl::StrCat(" and ", declared.size() - kListed, " more") : "";
  return absl::NotFoundError(absl::StrCat("probe ", Quoted(name), " is not declared; declared are ",
                                          absl::StrJoin(names, ", "), more));
}

// `is`, with the heads of `was` where it leaves them open.
std::optional<AttentionSettings> WithHeadsOf(const std::optional<AttentionSettings>& was,
                                             std::optional<AttentionSettings> is) {
  if (was && is && is->heads == 0) is->heads = was->heads;
  return is;
}

// The first field in which two declarations of a probe differ, or empty.
std::string Difference(const ProbeSettings& was, const ProbeSettings& is) {
  if (was.identity.split != is.identity.split) return "split";
  if (was.identity.layer != is.identity.layer) return "layer";
  if (was.window != is.window) return "window";
  if (was.window_points != is.window_points) return "window_points";
  if (was.estimate_every != is.estimate_every) return "estimate_every";
  if (was.estimator != is.estimator) return "estimator";
  if (was.aligned != is.aligned) return "aligned";
  if (was.attention != WithHeadsOf(was.attention, is.attention)) return "attention";
  if (is.dim != 0 && was.dim != is.dim) return "dim";
  return "";
}

// What is wrong with a batch whatever its probe.
Rejection CheckShape(const SampleItem& item, const RunLimits& limits) {
  if (item.step.value < 0) {
    return Invalid("step", absl::StrCat(item.step.value, " got; allowed are 0 and greater"));
  }
  if (item.rows < 1) {
    return Invalid("rows", absl::StrCat(item.rows, " got; a batch has at least 1"));
  }
  if (item.dim < 1 || item.dim > kMaxDim) {
    return Invalid("dim", absl::StrCat(item.dim, " got; allowed are 1 to ", kMaxDim));
  }
  if (item.dropped_rows < 0) {
    return Invalid("dropped_rows", absl::StrCat(item.dropped_rows, " got; allowed are 0 and more"));
  }
  const auto bytes = static_cast<std::int64_t>(item.data.size());
  if (bytes > limits.max_batch_bytes) {
    return Reject(
        QuotaExceeded("max_batch_bytes",
                      absl::StrCat("data: ", bytes, " bytes got; at most ", limits.max_batch_bytes,
                                   " are allowed: split the batch")),
        "data");
  }
  const auto row_bytes = item.dim * static_cast<std::int64_t>(SizeOf(item.dtype));
  if (item.rows > bytes / row_bytes || item.rows * row_bytes != bytes) {
    return Invalid("data", absl::StrCat(bytes, " bytes got; ", item.rows, " rows of ", item.dim,
                                        " components of ", SizeOf(item.dtype), " bytes expected"));
  }
  return CheckIds("sample_ids", item.sample_ids, item.rows, "row");
}

}  // namespace

class RunAdmission::Impl {
 public:
  Impl(const RunRecord& run, RunLimits limits, std::set<std::string> scalar_names,
       const EngineCosts& costs)
      : limits_(limits),
        costs_(costs),
        last_seq_(run.applied_seq),
        scalar_names_(std::move(scalar_names)) {
    for (const ProbeSettings& probe : run.probes) Declare(probe);
  }

  Rejection Check(const IngestItem& item) const {
    const std::int64_t seq = SeqOf(item);
    if (seq < 1) return Invalid("seq", absl::StrCat(seq, " got; allowed are 1 and greater"));
    if (seq <= last_seq_) return {absl::OkStatus(), "", true};
    return std::visit([this](const auto& kind) { return CheckKind(kind); }, item);
  }

  void Note(const IngestItem& item) {
    last_seq_ = std::max(last_seq_, SeqOf(item));
    std::visit([this](const auto& kind) { Take(kind); }, item);
  }

  EstimateWork WorkOf(const SampleItem& item) const {
    const WindowMeter& meter = probes_.find(item.probe)->second;
    const ProbeSettings& probe = meter.settings();
    if (probe.window == WindowKind::kRolling) {
      const std::int64_t components = probe.window_points * item.dim;
      return {static_cast<double>(item.rows), static_cast<double>(components), false};
    }
    return dimwatch::WorkOf(probe.estimator, meter.RowsCompleted(item), item.dim);
  }

  bool IsOpen(const std::string& probe, Step step) const {
    const auto meter = probes_.find(probe);
    return meter != probes_.end() && meter->second.IsOpenAt(step);
  }
  bool Rolls(const std::string& probe) const {
    const auto meter = probes_.find(probe);
    return meter != probes_.end() && meter->second.settings().window == WindowKind::kRolling;
  }

  bool AddsProbe(const IngestItem& item) const {
    const auto* declaration = std::get_if<DeclarationItem>(&item);
    return declaration != nullptr && !probes_.contains(declaration->settings.identity.name);
  }
  std::int64_t probes() const { return static_cast<std::int64_t>(probes_.size()); }

  std::int64_t last_seq() const { return last_seq_; }

 private:
  Rejection CheckKind(const DeclarationItem& item) const {
    const std::string& name = item.settings.identity.name;
    if (absl::Status s = Validate(item.settings); !s.ok()) return Reject(std::move(s), "config");
    const auto known = probes_.find(name);
    if (known == probes_.end()) {
      if (static_cast<std::int64_t>(probes_.size()) < limits_.max_probes) return {};
      return Reject(
          QuotaExceeded("max_probes", absl::StrCat("probe ", Quoted(name), ": the run has ",
                                                   probes_.size(), ", as many as it may")),
          "config");
    }
    const std::string field = Difference(known->second.settings(), item.settings);
    if (field.empty()) return {};
    return Reject(absl::AlreadyExistsError(absl::StrCat(
                      "probe ", Quoted(name), " is declared already, with another ", field)),
                  absl::StrCat("config.", field));
  }

  Rejection CheckKind(const SampleItem& item) const {
    const auto probe = probes_.find(item.probe);
    if (probe == probes_.end()) return Reject(UnknownProbe(item.probe, probes_), "probe");
    const WindowMeter& meter = probe->second;
    if (meter.settings().attention) {
      return Invalid("probe", absl::StrCat(Quoted(item.probe),
                                           " watches attention maps, and takes no samples"));
    }
    if (meter.settings().dim != 0 && item.dim != meter.settings().dim) {
      return Reject(absl::InvalidArgumentError(absl::StrCat("probe ", Quoted(item.probe),
                                                            ": dimension ", meter.settings().dim,
                                                            " expected, got ", item.dim)),
                    "dim");
    }
    if (Rejection rejection = CheckShape(item, limits_); !rejection.status.ok()) return rejection;
    const std::int64_t rows = meter.RowsWith(item.step, item.rows);
    ProbeSettings settings = meter.settings();
    settings.dim = static_cast<int>(item.dim);
    const std::int64_t bytes = ExpectedWindowBytes(settings, rows, costs_);
    if (bytes <= limits_.max_window_bytes) return {};
    return Reject(QuotaExceeded("max_window_bytes",
                                absl::StrCat("probe ", Quoted(item.probe), ": a window of ", rows,
                                             " rows of ", item.dim, " components would take ",
                                             bytes, " bytes, with what is kept of it; at most ",
                                             limits_.max_window_bytes, " are allowed")),
                  "rows");
  }

  Rejection CheckKind(const AttentionItem& item) const {
    const auto probe = probes_.find(item.probe);
    if (probe == probes_.end()) return Reject(UnknownProbe(item.probe, probes_), "probe");
    const WindowMeter& meter = probe->second;
    return CheckAttention(item, meter.settings(), meter.RowsWith(item.step, item.prompts),
                          limits_.max_batch_bytes);
  }

  Rejection CheckKind(const ScalarItem& item) const {
    if (item.step.value < 0) {
      return Invalid("step", absl::StrCat(item.step.value, " got; allowed are 0 and greater"));
    }
    if (item.values.empty()) return Invalid("values", "none got; at least 1 is needed");
    std::int64_t names = static_cast<std::int64_t>(scalar_names_.size());
    for (const auto& [name, value] : item.values) {
      if (absl::Status s = ValidateName("values", name); !s.ok()) {
        return Reject(std::move(s), "values");
      }
      if (!std::isfinite(value)) {
        return Invalid("values", absl::StrCat(Quoted(name), " is ", value, "; it must be finite"));
      }
      if (!scalar_names_.contains(name)) ++names;
    }
    if (names <= limits_.max_scalar_names) return {};
    return Reject(
        QuotaExceeded("max_scalar_names", absl::StrCat("values: the run would report ", names,
                                                       " different scalars; at most ",
                                                       limits_.max_scalar_names, " are allowed")),
        "values");
  }

  void Declare(const ProbeSettings& settings) {
    probes_.try_emplace(settings.identity.name, WindowMeter(settings));
  }
  void Take(const DeclarationItem& item) { Declare(item.settings); }
  void Take(const SampleItem& item) {
    if (const auto probe = probes_.find(item.probe); probe != probes_.end()) {
      probe->second.Add(item);
    }
  }
  void Take(const AttentionItem& item) {
    if (const auto probe = probes_.find(item.probe); probe != probes_.end()) {
      probe->second.Add(item);
    }
  }
  void Take(const ScalarItem& item) {
    for (const auto& [name, value] : item.values) scalar_names_.insert(name);
  }

  RunLimits limits_;
  EngineCosts costs_;
  std::int64_t last_seq_;
  Meters probes_;
  std::set<std::string> scalar_names_;
};

RunAdmission::RunAdmission(const RunRecord& run, RunLimits limits,
                           std::set<std::string> scalar_names, const EngineCosts& costs)
    : impl_(std::make_unique<Impl>(run, limits, std::move(scalar_names), costs)) {}
RunAdmission::~RunAdmission() = default;
RunAdmission::RunAdmission(RunAdmission&&) noexcept = default;
RunAdmission& RunAdmission::operator=(RunAdmission&&) noexcept = default;
Rejection RunAdmission::Check(const IngestItem& item) const { return impl_->Check(item); }
void RunAdmission::Note(const IngestItem& item) { impl_->Note(item); }
EstimateWork RunAdmission::WorkOf(const SampleItem& item) const { return impl_->WorkOf(item); }
bool RunAdmission::IsOpen(const std::string& probe, Step step) const {
  return impl_->IsOpen(probe, step);
}
bool RunAdmission::Rolls(const std::string& probe) const { return impl_->Rolls(probe); }
bool RunAdmission::AddsProbe(const IngestItem& item) const { return impl_->AddsProbe(item); }
std::int64_t RunAdmission::probes() const { return impl_->probes(); }
std::int64_t RunAdmission::last_seq() const { return impl_->last_seq(); }

}  // namespace dimwatch
