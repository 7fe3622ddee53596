#include "src/knn/generations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "src/knn/recall.h"
#include "tests/knn/search.h"
#include "tests/testing/drift.h"

namespace dimwatch {
namespace {

constexpr std::size_t kDim = 16, kWindow = 2000, kBatch = 50, kNeighbors = 32;

// A window of batches, with its graphs. Every batch is a segment.
class Stream {
 public:
  explicit Stream(std::size_t threads) : pool_(threads) {}

  void Push(std::vector<float> rows) {
    batches_.push_back({++seq_, ++segment_, std::move(rows)});
    if (batches_.size() > kWindow / kBatch) batches_.pop_front();
  }
  // The job goes back by so many batches.
  void Rewind(std::size_t batches) {
    batches_.resize(batches_.size() - batches);
    segment_ -= static_cast<std::int64_t>(batches);
  }
  // All graphs are gone, as in a process that starts anew.
  void Forget() { generations_ = MakeGenerations(); }

  void Update() {
    std::vector<Generations::Batch> held;
    for (const auto& [seq, segment, rows] : batches_) held.push_back({seq, segment, rows});
    generations_->Update(held, pool_);
  }
  // Lists of every 20th row, of all rows that are distinct and finite.
  NeighborLists Search() {
    Update();
    rows_.clear();
    std::vector<std::uint32_t> points;
    for (const Held& batch : batches_) {
      rows_.insert(rows_.end(), batch.rows.begin(), batch.rows.end());
    }
    const PointCloudView view(rows_, rows_.size() / kDim, kDim);
    for (std::uint32_t row = 0; row < view.points(); ++row) {
      const bool finite = std::ranges::all_of(view.row(row), [](float v) { return v - v == 0; });
      const bool seen = row > 0 && std::ranges::equal(view.row(row), view.row(row - 1));
      if (finite && !seen) points.push_back(row);
    }
    cloud_.emplace(view, std::move(points));
    queries_.clear();
    for (std::uint32_t p = 0; p < cloud_->points(); p += 20) queries_.push_back(p);
    return generations_->IndexOf(*cloud_)->Search(queries_, kNeighbors, 1, pool_);
  }
  double RecallOf(const NeighborLists& lists) {
    return MeasureRecall(*cloud_, queries_, lists, 1, pool_).ratio;
  }
  const Generations& generations() const { return *generations_; }

 private:
  struct Held {
    std::int64_t seq = 0;
    std::int64_t segment = 0;
    std::vector<float> rows;
  };
  static std::unique_ptr<Generations> MakeGenerations() {
    return std::make_unique<Generations>(kDim, kWindow / 3, 1);
  }

  ThreadPool pool_;
  std::int64_t seq_ = 0;
  std::int64_t segment_ = -1;
  std::deque<Held> batches_;
  std::unique_ptr<Generations> generations_ = MakeGenerations();
  std::vector<float> rows_;
  std::optional<CloudRows> cloud_;
  std::vector<std::uint32_t> queries_;
};

// The layout of segments of so many rows of one component, the first of them number `first`.
std::vector<Generations::Extent> LayOut(std::int64_t first, const std::vector<std::size_t>& sizes,
                                        std::size_t most_rows) {
  const std::vector<float> rows(*std::ranges::max_element(sizes));
  std::vector<Generations::Batch> held;
  for (const std::size_t size : sizes) {
    held.push_back({.seq = 100 + first, .segment = first, .rows = std::span(rows).first(size)});
    ++first;
  }
  return LayOutGenerations(held, 1, most_rows);
}

using Extents = std::vector<Generations::Extent>;

TEST(LayOutGenerationsTest, ABlockOfSegmentsIsAGenerationOnceALaterOneHasBegun) {
  EXPECT_EQ(LayOut(3, {10, 10, 10, 10, 10}, 50), Extents());  // 3 to 7: 7 may still grow
  EXPECT_EQ(LayOut(3, {10, 10, 10, 10, 10, 1}, 50), (Extents{{104, 107}}));
}

TEST(LayOutGenerationsTest, ABlockWithoutAnEarlierRowMayHaveLostRows) {
  EXPECT_EQ(LayOut(4, {10, 10, 10, 10, 1}, 50), Extents());
  EXPECT_EQ(LayOut(5, {10, 10, 10, 1}, 50), Extents());
}

TEST(LayOutGenerationsTest, ALargeSegmentIsAGenerationOfItsOwn) {
  EXPECT_EQ(LayOut(3, {10, 10, 80, 10, 1}, 50), (Extents{{105, 105}}));
}

// However the window got there, and whatever it held before: a generation is never torn apart or
// joined with another while its rows are held.
TEST(LayOutGenerationsTest, AGenerationStaysUntilItsFirstRowExpires) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<std::size_t> sizes(200);
    for (std::size_t& size : sizes) size = 1 + random() % (trial % 2 == 0 ? 9 : 60);
    Extents before;
    std::size_t seen = 0;
    for (std::size_t end = 41; end <= sizes.size(); ++end) {
      const auto first = static_cast<std::int64_t>(end - 40);
      const auto at = sizes.begin() + static_cast<std::ptrdiff_t>(end);
      const Extents now = LayOut(first, {at - 40, at}, 100);
      for (const Generations::Extent& extent : before) {
        if (extent.first <= 100 + first) continue;
        EXPECT_TRUE(std::ranges::find(now, extent) != now.end()) << trial << " " << end;
      }
      seen += now.size();
      before = now;
    }
    EXPECT_GT(seen, sizes.size() / 4);
  }
}

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

TEST(GenerationsTest, MostRowsAreInGraphsOnceTheWindowHasTurned) {
  testing::DriftingRows rows(kDim, 6, kWindow, 1);
  Stream stream(0);
  for (std::size_t batch = 1; batch <= 4 * kWindow / kBatch; ++batch) {
    stream.Push(rows.Next(kBatch));
    stream.Update();
    if (batch < 2 * kWindow / kBatch) continue;
    EXPECT_GE(stream.generations().rows(), kWindow / 2) << batch;
    EXPECT_GE(stream.generations().layout().size(), 2u) << batch;
    EXPECT_LE(stream.generations().layout().size(), 5u) << batch;
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

TEST(GenerationsTest, GraphsBuiltAnewGiveTheSameLists) {
  testing::DriftingRows rows(kDim, 6, kWindow, 3);
  Stream stream(0);
  for (std::size_t batch = 0; batch < 63; ++batch) {
    stream.Push(rows.Next(kBatch));
    stream.Update();
  }
  const NeighborLists before = stream.Search();
  ASSERT_GE(stream.generations().layout().size(), 2u);
  stream.Forget();
  EXPECT_TRUE(testing::SameLists(stream.Search(), before));
}

TEST(GenerationsTest, ARewindDropsTheGenerationsItReaches) {
  testing::DriftingRows rows(kDim, 6, kWindow, 4);
  Stream stream(0);
  for (std::size_t batch = 0; batch < 60; ++batch) stream.Push(rows.Next(kBatch));
  stream.Update();
  const std::vector<Generations::Extent> before = stream.generations().layout();
  stream.Rewind(15);
  for (std::size_t batch = 0; batch < 15; ++batch) stream.Push(rows.Next(kBatch));
  const NeighborLists lists = stream.Search();
  EXPECT_GE(stream.RecallOf(lists), 0.99);
  const std::vector<Generations::Extent> after = stream.generations().layout();
  ASSERT_EQ(after.size(), before.size());
  EXPECT_EQ(after.front(), before.front());
  EXPECT_NE(after.back(), before.back());
  stream.Forget();
  EXPECT_TRUE(testing::SameLists(stream.Search(), lists));
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
