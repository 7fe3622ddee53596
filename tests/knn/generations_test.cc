#include "src/knn/generations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <numeric>
#include <vector>

#include "src/knn/recall.h"
#include "tests/knn/search.h"
#include "tests/testing/drift.h"

namespace dimwatch {
namespace {

constexpr std::size_t kDim = 16, kWindow = 2000, kBatch = 50, kNeighbors = 32;

// A window of whole batches, with its graphs.
class Stream {
 public:
  explicit Stream(std::size_t threads) : pool_(threads) {}

  void Push(std::vector<float> rows) {
    batches_.push_back({++seq_, std::move(rows)});
    if (batches_.size() > kWindow / kBatch) batches_.pop_front();
  }
  // The job goes back by so many batches.
  void Rewind(std::size_t batches) { batches_.resize(batches_.size() - batches); }

  void Update() {
    std::vector<Generations::Batch> held;
    for (const auto& [seq, rows] : batches_) held.push_back({seq, rows});
    generations_.Update(held, pool_);
  }
  // Lists of every 20th row, of all rows that are distinct and finite.
  NeighborLists Search() {
    Update();
    rows_.clear();
    std::vector<std::uint32_t> points;
    for (const auto& [seq, rows] : batches_) rows_.insert(rows_.end(), rows.begin(), rows.end());
    const PointCloudView view(rows_, rows_.size() / kDim, kDim);
    for (std::uint32_t row = 0; row < view.points(); ++row) {
      const bool finite = std::ranges::all_of(view.row(row), [](float v) { return v - v == 0; });
      const bool seen = row > 0 && std::ranges::equal(view.row(row), view.row(row - 1));
      if (finite && !seen) points.push_back(row);
    }
    cloud_.emplace(view, std::move(points));
    queries_.clear();
    for (std::uint32_t p = 0; p < cloud_->points(); p += 20) queries_.push_back(p);
    return generations_.IndexOf(*cloud_, 0)->Search(queries_, kNeighbors, 1, pool_);
  }
  double RecallOf(const NeighborLists& lists) {
    return MeasureRecall(*cloud_, queries_, lists, 1, pool_).ratio;
  }
  Generations& generations() { return generations_; }

 private:
  struct Held {
    std::int64_t seq;
    std::vector<float> rows;
  };
  ThreadPool pool_;
  std::int64_t seq_ = 0;
  std::deque<Held> batches_;
  Generations generations_{kDim, kWindow / 4, 1};
  std::vector<float> rows_;
  std::optional<CloudRows> cloud_;
  std::vector<std::uint32_t> queries_;
};

TEST(GenerationsTest, RecallHoldsOverTwentyTurnoversOfDriftingRows) {
  testing::DriftingRows rows(kDim, 6, kWindow, 1);
  Stream stream(1);
  for (std::size_t batch = 1; batch <= 21 * kWindow / kBatch; ++batch) {
    stream.Push(rows.Next(kBatch));
    // Not always at the same place between two generations.
    if (batch % (kWindow / kBatch + 3) == 0) {
      EXPECT_GE(stream.RecallOf(stream.Search()), 0.99) << batch;
    }
  }
}

TEST(GenerationsTest, ThreeFullGenerationsAreInGraphsOnceTheWindowHasTurned) {
  testing::DriftingRows rows(kDim, 6, kWindow, 1);
  Stream stream(0);
  for (std::size_t batch = 1; batch <= 3 * kWindow / kBatch; ++batch) {
    stream.Push(rows.Next(kBatch));
    stream.Update();
    if (batch < kWindow / kBatch) continue;
    EXPECT_GE(stream.generations().layout().size(), 3u) << batch;
    EXPECT_LE(stream.generations().layout().size(), 4u) << batch;
  }
}

TEST(GenerationsTest, ListsDependNeitherOnThreadsNorOnHowOftenTheyAreAskedFor) {
  testing::DriftingRows rows(kDim, 6, kWindow, 2);
  Stream often(0), once(3);
  for (std::size_t batch = 0; batch < 70; ++batch) {
    const std::vector<float> next = rows.Next(kBatch);
    often.Push(next);
    once.Push(next);
    once.Update();
    if (batch % 7 == 0) often.Search();
    often.Update();
  }
  EXPECT_TRUE(testing::SameLists(often.Search(), once.Search()));
}

TEST(GenerationsTest, ARestoredLayoutGivesTheSameLists) {
  testing::DriftingRows rows(kDim, 6, kWindow, 3);
  Stream stream(0);
  for (std::size_t batch = 0; batch < 63; ++batch) {
    stream.Push(rows.Next(kBatch));
    stream.Update();
  }
  const NeighborLists before = stream.Search();
  const std::vector<Generations::Extent> layout = stream.generations().layout();
  stream.generations().Restore(layout);
  EXPECT_TRUE(testing::SameLists(stream.Search(), before));
  EXPECT_EQ(stream.generations().layout(), layout);
}

TEST(GenerationsTest, ARewindDropsTheGenerationsItReaches) {
  testing::DriftingRows rows(kDim, 6, kWindow, 4);
  Stream stream(0);
  for (std::size_t batch = 0; batch < 40; ++batch) stream.Push(rows.Next(kBatch));
  stream.Update();
  ASSERT_EQ(stream.generations().layout().size(), 4u);
  stream.Rewind(15);
  for (std::size_t batch = 0; batch < 8; ++batch) stream.Push(rows.Next(kBatch));
  EXPECT_GE(stream.RecallOf(stream.Search()), 0.99);
  EXPECT_EQ(stream.generations().layout().size(), 3u);
}

TEST(GenerationsTest, EqualAndBrokenRowsDoNotSpoilAGraph) {
  testing::DriftingRows rows(kDim, 6, kWindow, 5);
  Stream stream(0);
  for (std::size_t batch = 0; batch < 40; ++batch) {
    std::vector<float> next = rows.Next(kBatch);
    for (std::size_t r = 1; r < 30; ++r) {  // most rows are copies of one
      std::copy_n(next.begin(), kDim, next.begin() + static_cast<std::ptrdiff_t>(r * kDim));
    }
    next[40 * kDim] = std::numeric_limits<float>::quiet_NaN();
    stream.Push(std::move(next));
  }
  EXPECT_GE(stream.RecallOf(stream.Search()), 0.99);
}

}  // namespace
}  // namespace dimwatch
