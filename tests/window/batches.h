// Batches of rows that carry their own numbers.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "src/window/window.h"

namespace dimwatch::testing {

// One-dimensional rows holding the given values, as float32.
struct Batch {
  Batch(std::int64_t seq, std::int64_t step, std::vector<float> values, bool end = false)
      : values_(std::move(values)), bytes_(values_.size() * sizeof(float), '\0') {
    std::memcpy(bytes_.data(), values_.data(), bytes_.size());
    batch.seq = seq;
    batch.step = Step{step};
    batch.rows = values_.size();
    batch.dim = 1;
    batch.data = bytes_;
    batch.snapshot_end = end;
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  WindowBatch batch;

 private:
  std::vector<float> values_;
  std::string bytes_;
};

inline std::vector<float> Values(Cloud cloud) { return cloud.rows.data(); }

}  // namespace dimwatch::testing
