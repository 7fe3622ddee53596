// What may enter a run.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "src/knn/engine_choice.h"
#include "src/monitor/estimate_work.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch {

// Limits of one run; the server's configuration sets them.
struct RunLimits {
  std::int64_t max_probes = 64;
  std::int64_t max_scalar_names = 256;
  std::int64_t max_batch_bytes = 16 << 20;  // SampleItem::data
  std::int64_t max_window_bytes = 1LL
                                  << 30;  // one probe's window, decoded, with what is kept of it
};

// Decides whether an item may enter a run, in order of acceptance, before it is logged: everything
// that can be wrong with an item is found here. Not thread-safe.
class RunAdmission {
 public:
  // `scalar_names`: those that the run has reported so far. `costs`: those of the run's pipeline.
  RunAdmission(const RunRecord& run, RunLimits limits, std::set<std::string> scalar_names = {},
               const EngineCosts& costs = {});
  ~RunAdmission();
  RunAdmission(RunAdmission&&) noexcept;
  RunAdmission& operator=(RunAdmission&&) noexcept;

  // OK: the item may enter. Otherwise the status says what is wrong, with what value, and what is
  // allowed, and `field` names the field to blame. `known`: OK, but its seq is not above the last
  // one, so it was there before and is to be ignored.
  struct Rejection {
    absl::Status status;
    std::string field;
    bool known = false;
  };
  Rejection Check(const IngestItem& item) const;

  // What the clouds that the item completes cost to estimate. REQUIRES: Check says OK, and not
  // known.
  EstimateWork WorkOf(const SampleItem& item) const;
  // Whether a snapshot of this step is open, of which rows, or prompts, were taken.
  bool IsOpen(const std::string& probe, Step step) const;
  // Whether the probe has a rolling window.
  bool Rolls(const std::string& probe) const;
  // Whether the item declares a probe that is new.
  bool AddsProbe(const IngestItem& item) const;
  std::int64_t probes() const;

  // The item is in (now, or in an earlier life of the process); later items are checked against it.
  // REQUIRES: Check says OK, and not known.
  void Note(const IngestItem& item);

  // Of the newest item noted; at first the run's applied_seq.
  std::int64_t last_seq() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
