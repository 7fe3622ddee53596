#include "tests/monitor/job.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

namespace dimwatch::testing {
namespace {

SampleItem OfRows(std::int64_t seq, const std::string& probe, std::int64_t step, std::int64_t dim,
                  std::span<const float> components) {
  SampleItem item;
  item.seq = seq;
  item.probe = probe;
  item.step = Step{step};
  item.dim = dim;
  item.rows = static_cast<std::int64_t>(components.size()) / dim;
  const auto bytes = std::as_bytes(components);
  item.data.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return item;
}

std::vector<float> Uniform(std::int64_t count, std::mt19937& random) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random() % 100'003) / 100'003.0F;
  return values;
}

// Draws the items of RandomJob one after another.
class Drawing {
 public:
  explicit Drawing(unsigned seed) : random_(seed), back_every_(seed % 2 == 0 ? 7 : 14) {}

  IngestItem Next(std::int64_t seq) {
    if (Below(back_every_) == 0) step_ = std::max<std::int64_t>(0, step_ - 30 + 10 * Below(3));
    if (Below(3) == 0) step_ += 10;
    if (Below(5) == 0) return RandomScalars(seq);
    if (Below(5) == 0) return RandomAttention(seq);
    return RandomSamples(seq);
  }

 private:
  std::int64_t Below(int n) {
    return static_cast<std::int64_t>(random_() % static_cast<unsigned>(n));
  }

  IngestItem RandomScalars(std::int64_t seq) {
    std::map<std::string, double> values = {{"train/loss", static_cast<double>(Below(1000)) / 100}};
    if (Below(2) == 0) values["validation/loss"] = static_cast<double>(Below(1000)) / 100;
    return Scalars(seq, step_, std::move(values));
  }

  IngestItem RandomAttention(std::int64_t seq) {
    AttentionItem item;
    if (Below(2) == 0) {
      std::vector<std::vector<float>> rows;
      for (std::int64_t prompt = 1 + Below(4); prompt > 0; --prompt) {
        rows.push_back(Below(2) == 0 ? std::vector<float>{0.5, 0.25, 0.25}
                                     : std::vector<float>{0.9375, 0.0625, 0});
      }
      if (Below(5) == 0) rows[0][0] = std::numeric_limits<float>::infinity();
      item = Maps(seq, "train/maps", step_, rows);
    } else {
      std::vector<std::int64_t> dimensions;
      for (std::int64_t prompt = Below(5); prompt > 0; --prompt) dimensions.push_back(Below(9));
      item = Dimensions(seq, "train/maps", step_, std::move(dimensions));
      item.heads = 1;
      item.invalid_prompts = item.prompts == 0 ? 1 : Below(2);
    }
    for (std::int64_t& id : item.prompt_ids) id = (id + seq) % 7;
    if (Below(9) == 0) item.prompt_ids.clear();
    if (Below(25) == 0) item.dropped_prompts = 2;
    item.snapshot_end = Below(3) == 0;
    return item;
  }

  IngestItem RandomSamples(std::int64_t seq) {
    static const char* const kProbes[] = {"train/a", "validation/a", "train/b", "train/graphs",
                                          "train/late"};
    const std::size_t known = seq < 60 ? 4 : 5;
    const std::string probe = kProbes[random_() % known];
    const std::int64_t rows = 6 + Below(12);
    const std::int64_t dim = 3;
    std::vector<float> values = Uniform(rows * dim, random_);
    const double squeeze = Below(3) == 0 ? 0.01 : 1;
    for (std::size_t i = 0; i < values.size(); i += 3) {
      values[i] = static_cast<float>(squeeze * static_cast<double>(values[i]));
    }
    if (Below(9) == 0) values[0] = std::numeric_limits<float>::quiet_NaN();
    if (Below(9) == 0) std::copy_n(values.begin(), 3, values.begin() + 3);
    SampleItem item = OfRows(seq, probe, step_, dim, values);
    item.snapshot_end = Below(3) == 0;
    if (Below(25) == 0) item.dropped_rows = 4;
    if (probe == "validation/a") {
      for (std::int64_t i = 0; i < rows; ++i) item.sample_ids.push_back((i * 7) % 31);
    }
    return item;
  }

  std::mt19937 random_;
  const int back_every_;
  std::int64_t step_ = 30;
};

}  // namespace

ProbeSettings SnapshotProbe(const std::string& name) {
  ProbeSettings settings;
  settings.identity.name = name;
  settings.estimator.neighbors = kJobNeighbors;
  return ResolveDefaults(settings);
}

ProbeSettings RollingProbe(const std::string& name) {
  ProbeSettings settings = SnapshotProbe(name);
  settings.window = WindowKind::kRolling;
  settings.window_points = 40;
  settings.estimate_every = 15;
  return settings;
}

ProbeSettings AttentionProbe(const std::string& name) {
  ProbeSettings settings;
  settings.identity.name = name;
  settings.attention = AttentionSettings();
  return ResolveDefaults(settings);
}

RunRecord NewRun(const std::string& run_id, std::vector<ProbeSettings> probes) {
  RunRecord run;
  run.run_id = run_id;
  run.project = "tests";
  run.display_name = run_id;
  run.signals.warmup = 1;
  run.signals.patience = 1;
  run.signals.cooldown = 1;
  run.signals.z_score = 0.5;
  run.probes = std::move(probes);
  return run;
}

DeclarationItem Declaration(std::int64_t seq, ProbeSettings settings) {
  return {.seq = seq, .settings = std::move(settings)};
}

ScalarItem Scalars(std::int64_t seq, std::int64_t step, std::map<std::string, double> values) {
  return {.seq = seq, .step = Step{step}, .values = std::move(values)};
}

SampleItem Samples(std::int64_t seq, const std::string& probe, std::int64_t step, std::int64_t rows,
                   std::int64_t dim, unsigned seed) {
  std::mt19937 random(seed);
  return OfRows(seq, probe, step, dim, Uniform(rows * dim, random));
}

SampleItem Snapshot(std::int64_t seq, const std::string& probe, std::int64_t step,
                    std::int64_t rows, std::int64_t dim, unsigned seed) {
  SampleItem item = Samples(seq, probe, step, rows, dim, seed);
  item.snapshot_end = true;
  return item;
}

AttentionItem Dimensions(std::int64_t seq, const std::string& probe, std::int64_t step,
                         std::vector<std::int64_t> dimensions) {
  AttentionItem item;
  item.seq = seq;
  item.probe = probe;
  item.step = Step{step};
  item.prompts = static_cast<std::int64_t>(dimensions.size());
  item.heads = 2;
  item.positions = 9;
  item.dimensions = std::move(dimensions);
  item.prompt_ids.resize(item.dimensions.size());
  std::iota(item.prompt_ids.begin(), item.prompt_ids.end(), std::int64_t{0});
  item.snapshot_end = true;
  return item;
}

AttentionItem Maps(std::int64_t seq, const std::string& probe, std::int64_t step,
                   const std::vector<std::vector<float>>& rows) {
  AttentionItem item = Dimensions(seq, probe, step, std::vector<std::int64_t>(rows.size()));
  item.dimensions.clear();
  item.heads = 1;
  item.positions = static_cast<std::int64_t>(rows.front().size());
  for (const std::vector<float>& row : rows) {
    const auto bytes = std::as_bytes(std::span(row));
    item.data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return item;
}

std::vector<IngestItem> RandomJob(unsigned seed, int items) {
  ProbeSettings aligned = SnapshotProbe("validation/a");
  aligned.aligned = true;
  ProbeSettings profiled = SnapshotProbe("train/a");
  profiled.scale_every = 3;
  ProbeSettings rolling = RollingProbe("train/b");
  rolling.scale_every = 2;
  ProbeSettings graphs = RollingProbe("train/graphs");
  graphs.estimator.index = IndexKind::kHnsw;
  graphs.estimate_every = 4;
  std::vector<IngestItem> job = {
      Declaration(1, profiled), Declaration(2, aligned), Declaration(3, rolling),
      Declaration(4, AttentionProbe("train/maps")), Declaration(5, graphs)};
  Drawing drawing(seed);
  for (std::int64_t seq = 6; static_cast<int>(job.size()) < items; ++seq) {
    if (seq == 59) {
      job.emplace_back(Declaration(seq, SnapshotProbe("train/late")));
    } else {
      job.push_back(drawing.Next(seq));
    }
  }
  return job;
}

}  // namespace dimwatch::testing
