// What a run's stored history says to its judge.
#pragma once

#include <vector>

#include "src/signal/judge.h"
#include "src/store/records.h"
#include "src/store/store.h"

namespace dimwatch {

// What a detector sees of an estimate.
EstimatePoint PointOf(const EstimateRecord& record);

// Tells the judge of a probe that its points from `step` on are void: an incomplete point, which
// replaces them and feeds no detector. The next estimate may come at a later step.
EstimatePoint VoidedFrom(Step step);

// A judge that has seen `history` (all events by ascending cursor) with the settings and probes of
// `run`. Signals and decisions of the history are not read, but for `stalled`, which follows from
// no estimate.
RunJudge JudgeHistory(const RunRecord& run, const std::vector<EventRecord>& history);

// The signals whose state differs, by probe then kind as given; one that is gone is kInactive.
std::vector<Signal> ChangedSignals(const std::vector<Signal>& before,
                                   const std::vector<Signal>& after);

}  // namespace dimwatch
