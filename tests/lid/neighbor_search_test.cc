#include "src/lid/neighbor_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "src/knn/exact.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Misses so many of the nearest, but none from effort 4 on if it is `diligent`.
class ForgetfulIndex final : public ApproximateIndex {
 public:
  ForgetfulIndex(const CloudRows& cloud, std::size_t misses, bool diligent)
      : cloud_(cloud), misses_(misses), diligent_(diligent) {}

  NeighborLists Search(std::span<const std::uint32_t> queries, std::size_t neighbors,
                       std::size_t effort, ThreadPool& pool) const override {
    const std::size_t misses = diligent_ && effort >= 4 ? 0 : misses_;
    const NeighborLists more =
        ExactEngine().Search(cloud_, queries, neighbors + misses, neighbors + misses, pool);
    NeighborLists lists(queries.size(), neighbors, neighbors);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      std::ranges::copy(more.ids(q).subspan(misses), lists.ids(q).begin());
      std::ranges::copy(more.distances(q).subspan(misses), lists.distances(q).begin());
    }
    return lists;
  }

 private:
  const CloudRows& cloud_;
  std::size_t misses_;
  bool diligent_;
};

class NeighborSearchTest : public ::testing::Test {
 protected:
  NeighborSearchTest() : all_(400) {
    std::iota(all_.begin(), all_.end(), 0u);
    settings_.neighbors = 20;
    settings_.index = IndexKind::kHnsw;
  }

  NeighborSearch Search(std::size_t misses, bool diligent) {
    options_.make_index = [=](const CloudRows& rows) {
      return std::make_unique<ForgetfulIndex>(rows, misses, diligent);
    };
    return NeighborSearch(rows_, settings_, all_.size(), options_, pool_);
  }

  const PointCloud cloud_ = testing::Gaussian(400, 5, 1);
  const CloudRows rows_{cloud_.view()};
  std::vector<std::uint32_t> all_;
  EstimatorSettings settings_;
  EngineOptions options_;
  ThreadPool pool_{0};
};

TEST_F(NeighborSearchTest, GoodListsAreTakenWithTheirRecall) {
  NeighborSearch search = Search(1, false);
  search.Find(all_);
  EXPECT_EQ(search.index(), IndexKind::kHnsw);
  EXPECT_NEAR(search.recall().ratio, 0.95, 1e-12);
  EXPECT_LT(search.recall().low, 0.95);
  EXPECT_TRUE(search.trusted());
  EXPECT_THAT(search.reason(), IsEmpty());
}

TEST_F(NeighborSearchTest, PoorListsAreSearchedAgainWithMoreEffort) {
  NeighborSearch search = Search(4, true);
  search.Find(all_);
  EXPECT_EQ(search.index(), IndexKind::kHnsw);
  EXPECT_EQ(search.recall().ratio, 1);
  EXPECT_TRUE(search.trusted());
  EXPECT_THAT(search.reason(), StartsWith("hnsw with more effort: before, recall 0.800 ("));
}

TEST_F(NeighborSearchTest, ListsThatStayPoorAreSearchedExactly) {
  NeighborSearch search = Search(4, false);
  const NeighborLists lists = search.Find(all_);
  EXPECT_EQ(search.index(), IndexKind::kExact);
  EXPECT_EQ(search.recall(), Recall());
  EXPECT_TRUE(search.trusted());
  EXPECT_THAT(search.reason(), StartsWith("exact instead of hnsw: recall 0.800 ("));
  const NeighborLists exact = ExactEngine().Search(rows_, all_, 20, lists.ranked(), pool_);
  EXPECT_TRUE(
      std::ranges::equal(lists.ids(7).first(lists.ranked()), exact.ids(7).first(lists.ranked())));
}

TEST_F(NeighborSearchTest, ListsThatNothingAffordableImprovesAreNotTrusted) {
  options_.costs.exact_pair = 1e9;
  NeighborSearch search = Search(4, false);
  search.Find(all_);
  EXPECT_EQ(search.index(), IndexKind::kHnsw);
  EXPECT_FALSE(search.trusted());
  EXPECT_THAT(search.reason(), StartsWith("hnsw misses too much: recall 0.800 ("));
}

TEST_F(NeighborSearchTest, AutoTakesTheCheaperAndSaysWhy) {
  settings_.index = IndexKind::kAuto;
  EXPECT_EQ(Search(0, false).index(), IndexKind::kExact);
  EXPECT_THAT(Search(0, false).reason(), StartsWith("auto: exact, "));
  options_.costs.exact_pair = 1e9;
  NeighborSearch search = Search(0, false);
  EXPECT_EQ(search.index(), IndexKind::kHnsw);
  EXPECT_THAT(search.reason(), HasSubstr("expected to be the faster for"));
}

}  // namespace
}  // namespace dimwatch
