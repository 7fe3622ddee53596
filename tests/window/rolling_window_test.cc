#include "src/window/rolling_window.h"

#include <gmock/gmock.h>

#include <memory>
#include <numeric>
#include <random>

#include "src/lid/cloud_estimate.h"
#include "tests/testing/manual_clock.h"
#include "tests/window/batches.h"

namespace dimwatch {
namespace {

using testing::Batch;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Values;

// Where only the rows matter: nothing is kept, or graphs of five neighbors.
std::unique_ptr<RollingWindow> MakeRolling(std::int64_t points, std::int64_t every,
                                           std::vector<Step> estimated = {},
                                           Upkeep upkeep = Upkeep::kNone) {
  static ThreadPool pool(1);
  EstimatorSettings settings;
  settings.neighbors = 5;
  return std::make_unique<RollingWindow>(points, every, std::move(estimated), settings,
                                         UpkeepChoice{upkeep, ""}, pool);
}

TEST(RollingWindowTest, HoldsTheLastSamplesAndSaysHowFullItIs) {
  const auto window = MakeRolling(4, 2);
  WindowUpdate update = window->Add(Batch(1, 1, {1, 2}).batch);
  ASSERT_EQ(update.clouds.size(), 1U);
  EXPECT_EQ(update.clouds[0].fill, 0.5);
  update = window->Add(Batch(2, 2, {3, 4, 5}).batch);
  ASSERT_EQ(update.clouds.size(), 1U);
  EXPECT_EQ(update.clouds[0].step, Step{2});
  EXPECT_EQ(update.clouds[0].fill, 1);
  EXPECT_THAT(Values(update.clouds[0]), ElementsAre(2, 3, 4, 5));
}

TEST(RollingWindowTest, EstimatesEverySoManyRowsAndAtMostOncePerStep) {
  const auto window = MakeRolling(10, 3);
  EXPECT_THAT(window->Add(Batch(1, 1, {1, 2}).batch).clouds, IsEmpty());
  EXPECT_EQ(window->Add(Batch(2, 1, {3}).batch).clouds.size(), 1U);
  EXPECT_THAT(window->Add(Batch(3, 1, {4, 5, 6}).batch).clouds, IsEmpty());
  EXPECT_THAT(window->Add(Batch(4, 2, {7, 8}).batch).clouds, IsEmpty());
  EXPECT_EQ(window->Add(Batch(5, 3, {9}).batch).clouds.size(), 1U);
}

TEST(RollingWindowTest, ARewindDropsTheRowsFromThatStepOn) {
  const auto window = MakeRolling(10, 2);
  window->Add(Batch(1, 1, {1, 2}).batch);
  window->Add(Batch(2, 5, {3, 4}).batch);
  window->Add(Batch(3, 7, {5}).batch);
  const WindowUpdate update = window->Add(Batch(4, 5, {6, 7}).batch);
  EXPECT_EQ(update.rewound_to, Step{5});
  ASSERT_EQ(update.clouds.size(), 1U);
  EXPECT_THAT(Values(update.clouds[0]), ElementsAre(1, 2, 6, 7));
}

TEST(RollingWindowTest, ReportsDroppedRowsAsLongAsTheirBatchIsHeld) {
  const auto window = MakeRolling(2, 1);
  Batch lossy(1, 1, {1, 2});
  lossy.batch.dropped_rows = 5;
  EXPECT_EQ(window->Add(lossy.batch).clouds[0].dropped_rows, 5);
  EXPECT_EQ(window->Add(Batch(2, 2, {3}).batch).clouds[0].dropped_rows, 5);
  EXPECT_EQ(window->Add(Batch(3, 3, {4}).batch).clouds[0].dropped_rows, 0);
}

// Refilled from the batches that it says it needs, a window gives the same clouds as one that was
// never interrupted.
TEST(RollingWindowTest, RefilledFromWhatItNeedsEqualsNeverInterrupted) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int n) {
      return static_cast<std::int64_t>(random() % static_cast<unsigned>(n));
    };
    const std::int64_t points = 1 + below(12);
    const std::int64_t every = 1 + below(static_cast<int>(points));
    const auto whole = MakeRolling(points, every);
    auto interrupted = MakeRolling(points, every);
    std::vector<std::unique_ptr<Batch>> log;
    std::vector<Step> estimated;
    std::int64_t step = 0;
    float value = 0;
    for (std::int64_t seq = 1; seq <= 60; ++seq) {
      step = below(8) == 0 ? std::max<std::int64_t>(0, step - below(6)) : step + below(3);
      std::vector<float> values(static_cast<std::size_t>(1 + below(6)));
      std::iota(values.begin(), values.end(), value);
      value += 10;
      log.push_back(std::make_unique<Batch>(seq, step, values));
      const WindowUpdate a = whole->Add(log.back()->batch);
      const WindowUpdate b = interrupted->Add(log.back()->batch);
      ASSERT_EQ(a.rewound_to, b.rewound_to);
      ASSERT_EQ(a.clouds.size(), b.clouds.size()) << "seed " << seed << " seq " << seq;
      if (a.rewound_to) std::erase_if(estimated, [&](Step s) { return s >= *a.rewound_to; });
      for (std::size_t i = 0; i < a.clouds.size(); ++i) {
        ASSERT_EQ(Values(a.clouds[i]), Values(b.clouds[i]));
        ASSERT_EQ(a.clouds[i].fill, b.clouds[i].fill);
        estimated.push_back(a.clouds[i].step);
      }
      if (below(4) != 0) continue;
      const std::int64_t needed = *interrupted->first_needed_seq() - below(3);
      interrupted = MakeRolling(points, every, estimated);
      for (const auto& batch : log) {
        if (batch->batch.seq >= needed) interrupted->Refill(batch->batch);
      }
    }
  }
}

// Estimated from lists that are kept current, a window gives what it gives when its rows are
// estimated from scratch; also after rewinds, batches larger than itself, and a refill.
TEST(RollingWindowTest, HeldInARollingCloudItGivesTheSameEstimates) {
  const testing::ManualClock clock;
  ThreadPool pool(1);
  EstimatorSettings settings;
  settings.index = IndexKind::kExact;
  settings.neighbors = 5;
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int n) {
      return static_cast<std::int64_t>(random() % static_cast<unsigned>(n));
    };
    const auto plain = MakeRolling(40, 8);
    const auto make_rolling = [&](std::vector<Step> estimated) {
      return std::make_unique<RollingWindow>(40, 8, std::move(estimated), settings,
                                             UpkeepChoice{Upkeep::kLists, "kept"}, pool);
    };
    auto rolling = make_rolling({});
    std::vector<std::unique_ptr<Batch>> log;
    std::vector<Step> estimated;
    std::int64_t step = 0;
    for (std::int64_t seq = 1; seq <= 40; ++seq) {
      step = below(8) == 0 ? std::max<std::int64_t>(0, step - below(6)) : step + below(3);
      std::vector<float> values(static_cast<std::size_t>(1 + below(below(9) == 0 ? 60 : 12)));
      for (float& value : values) value = static_cast<float>(below(500)) / 7;
      log.push_back(std::make_unique<Batch>(seq, step, values));
      const WindowUpdate a = plain->Add(log.back()->batch);
      const WindowUpdate b = rolling->Add(log.back()->batch);
      ASSERT_EQ(a.rewound_to, b.rewound_to);
      ASSERT_EQ(a.clouds.size(), b.clouds.size());
      if (a.rewound_to) std::erase_if(estimated, [&](Step s) { return s >= *a.rewound_to; });
      for (std::size_t i = 0; i < a.clouds.size(); ++i) {
        estimated.push_back(a.clouds[i].step);
        ASSERT_EQ(a.clouds[i].samples(), b.clouds[i].samples());
        ASSERT_EQ(b.clouds[i].kept_reason, "kept");
        const CloudEstimate expected =
            *EstimateCloud(a.clouds[i].rows.view(), settings, pool, clock);
        const CloudEstimate got = b.clouds[i].rolling->Estimate(pool, clock);
        ASSERT_EQ(got.mean, expected.mean) << "seed " << seed << " seq " << seq;
        ASSERT_EQ(got.std, expected.std);
        ASSERT_EQ(got.duplicate_rows, expected.duplicate_rows);
      }
      if (below(10) != 0) continue;
      const std::int64_t needed = rolling->first_needed_seq().value_or(seq + 1);
      rolling = make_rolling(estimated);
      for (const auto& batch : log) {
        if (batch->batch.seq >= needed) rolling->Refill(batch->batch);
      }
    }
  }
}

// What a window with graphs finds follows from its rows and from the steps estimated, whatever it
// went through: interrupted at any point and refilled, and with other numbers for its batches, as a
// replay gives them.
TEST(RollingWindowTest, GraphsAreTheSameInterruptedAndReplayedAsNeverInterrupted) {
  const testing::ManualClock clock;
  ThreadPool pool(1);
  EstimatorSettings settings;
  settings.index = IndexKind::kHnsw;
  settings.neighbors = 5;
  const auto estimate = [&](const Cloud& cloud) {
    EngineOptions engines;
    engines.make_index = [&](const CloudRows& rows) { return cloud.graphs->IndexOf(rows); };
    return *EstimateCloud(cloud.rows.view(), settings, pool, clock, nullptr, engines);
  };
  std::size_t in_graphs = 0;
  for (unsigned seed = 0; seed < 5; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int n) {
      return static_cast<std::int64_t>(random() % static_cast<unsigned>(n));
    };
    const std::int64_t points = 100 + below(100), every = 5 + below(15);
    const auto whole = MakeRolling(points, every, {}, Upkeep::kGraphs);
    const auto replayed = MakeRolling(points, every, {}, Upkeep::kGraphs);
    auto interrupted = MakeRolling(points, every, {}, Upkeep::kGraphs);
    std::vector<std::unique_ptr<Batch>> log;
    std::vector<Step> estimated;
    std::int64_t step = 0;
    for (std::int64_t seq = 1; seq <= 120; ++seq) {
      step = below(25) == 0 ? std::max<std::int64_t>(0, step - below(6)) : step + below(3);
      std::vector<float> values(static_cast<std::size_t>(1 + below(below(9) == 0 ? 60 : 12)));
      for (float& value : values) value = static_cast<float>(below(5000)) / 7;
      log.push_back(std::make_unique<Batch>(seq, step, values));
      const WindowUpdate a = whole->Add(log.back()->batch);
      const WindowUpdate b = interrupted->Add(log.back()->batch);
      const WindowUpdate c = replayed->Add(Batch(3 * seq + below(3), step, values).batch);
      if (a.rewound_to) std::erase_if(estimated, [&](Step s) { return s >= *a.rewound_to; });
      for (std::size_t i = 0; i < a.clouds.size(); ++i) {
        estimated.push_back(a.clouds[i].step);
        ASSERT_EQ(a.clouds[i].graphs == nullptr, b.clouds[i].graphs == nullptr);
        ASSERT_EQ(a.clouds[i].graphs == nullptr, c.clouds[i].graphs == nullptr);
        if (a.clouds[i].graphs == nullptr) continue;
        ASSERT_EQ(a.clouds[i].graphs->layout(), b.clouds[i].graphs->layout());
        const CloudEstimate expected = estimate(a.clouds[i]);
        ASSERT_EQ(estimate(b.clouds[i]).mean, expected.mean) << "seed " << seed << " seq " << seq;
        ASSERT_EQ(estimate(c.clouds[i]).mean, expected.mean) << "seed " << seed << " seq " << seq;
        ++in_graphs;
      }
      if (below(10) != 0) continue;
      const std::int64_t needed = interrupted->first_needed_seq().value_or(seq + 1) - below(3);
      interrupted = MakeRolling(points, every, estimated, Upkeep::kGraphs);
      for (const auto& batch : log) {
        if (batch->batch.seq >= needed) interrupted->Refill(batch->batch);
      }
    }
  }
  EXPECT_GT(in_graphs, 50u);
}

}  // namespace
}  // namespace dimwatch
