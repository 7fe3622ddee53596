// A training job for tests: small clouds that are quick to estimate.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch::testing {

inline constexpr int kJobNeighbors = 5;

// A SNAPSHOT probe with kJobNeighbors, and one with a ROLLING window of 40 rows, estimated every
// 15.
ProbeSettings SnapshotProbe(const std::string& name);
ProbeSettings RollingProbe(const std::string& name);
// One of attention maps, with epsilon 0.1.
ProbeSettings AttentionProbe(const std::string& name);

// A run with quick signals (warmup and patience 1) that nobody has created yet.
RunRecord NewRun(const std::string& run_id, std::vector<ProbeSettings> probes);

DeclarationItem Declaration(std::int64_t seq, ProbeSettings settings);
ScalarItem Scalars(std::int64_t seq, std::int64_t step, std::map<std::string, double> values);
// Uniform rows in a cube, drawn by `seed`; float32.
SampleItem Samples(std::int64_t seq, const std::string& probe, std::int64_t step,
                   std::int64_t rows = 30, std::int64_t dim = 3, unsigned seed = 0);
// The same, and the step is complete with it.
SampleItem Snapshot(std::int64_t seq, const std::string& probe, std::int64_t step,
                    std::int64_t rows = 30, std::int64_t dim = 3, unsigned seed = 0);

// Dimensions that the client counted, of prompts 0, 1, ... with 2 heads of 9 positions; the step is
// complete with it.
AttentionItem Dimensions(std::int64_t seq, const std::string& probe, std::int64_t step,
                         std::vector<std::int64_t> dimensions);
// Maps of float32: one prompt per row of `rows`, with one head.
AttentionItem Maps(std::int64_t seq, const std::string& probe, std::int64_t step,
                   const std::vector<std::vector<float>>& rows);

// A job of many kinds of items, by seed: several probes (one declared late, two with scale
// profiles, one of attention maps, one whose graphs are kept), steps that sometimes go back,
// batches without an end, lost, repeated and non-finite rows, scalars. Every item may be admitted
// to NewRun(..., {}).
std::vector<IngestItem> RandomJob(unsigned seed, int items);

}  // namespace dimwatch::testing
