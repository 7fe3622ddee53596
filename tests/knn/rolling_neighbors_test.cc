#include "src/knn/rolling_neighbors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/knn/distance.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

// A set of points beside a plain list of them, which is searched pair by pair.
class Checked {
 public:
  Checked(std::size_t dim, std::size_t neighbors, std::size_t ranked, std::size_t threads)
      : dim_(dim),
        neighbors_(neighbors),
        ranked_(ranked),
        pool_(threads),
        rolling_(dim, neighbors, ranked) {}

  // Removes `front` of the oldest and `back` of the newest points, then adds the rows.
  void Update(std::size_t front, std::size_t back, const std::vector<std::vector<float>>& rows) {
    std::vector<std::uint32_t> gone;
    for (; front > 0 && !order_.empty(); --front) {
      gone.push_back(order_.front());
      order_.pop_front();
    }
    for (; back > 0 && !order_.empty(); --back) {
      gone.push_back(order_.back());
      order_.pop_back();
    }
    PointCloud cloud(dim_);
    std::vector<std::uint64_t> precedences;
    for (const std::vector<float>& row : rows) {
      cloud.data().insert(cloud.data().end(), row.begin(), row.end());
      precedences.push_back(random_());
    }
    const RollingNeighbors::Change change = rolling_.Update(gone, cloud.view(), precedences, pool_);
    rebuilt += change.rebuilt;
    added += rows.size();
    order_.insert(order_.end(), change.added.begin(), change.added.end());
    const std::map<std::uint32_t, std::set<std::uint32_t>> before = std::exchange(nearest_, {});
    Check(gone, change);
    const std::set<std::uint32_t> touched(change.touched.begin(), change.touched.end());
    for (const auto& [point, set] : before) {
      if (nearest_.contains(point) && nearest_[point] != set) {
        ASSERT_TRUE(touched.contains(point)) << point;
      }
    }
  }

  std::size_t size() const { return order_.size(); }
  std::size_t rebuilt = 0, added = 0;

 private:
  void Check(const std::vector<std::uint32_t>& gone, const RollingNeighbors::Change& change) {
    ASSERT_EQ(rolling_.size(), order_.size());
    const PointSlots& points = rolling_.points();
    for (const std::uint32_t slot : gone) ASSERT_FALSE(rolling_.holds(slot));
    for (const std::uint32_t slot : change.forgetful) limits_.erase(slot);
    for (const std::uint32_t of : order_) {
      ASSERT_TRUE(rolling_.holds(of));
      std::vector<std::pair<Rank, std::uint32_t>> others;
      for (const std::uint32_t other : order_) {
        if (other == of) continue;
        others.emplace_back(Rank{SquaredDistance(points.row(of), points.row(other), dim_),
                                 points.precedence(other)},
                            other);
      }
      std::sort(others.begin(), others.end());
      const RollingLists& lists = rolling_.lists();
      const RollingLists::List& list = lists.list(of);
      const std::size_t expected = std::min(neighbors_, others.size());
      ASSERT_GE(list.size, expected);
      ASSERT_GE(list.near, std::min(ranked_, expected));
      std::set<std::uint32_t> got, want;
      for (std::size_t i = 0; i < expected; ++i) {
        got.insert(lists.id(of, i));
        want.insert(others[i].second);
      }
      ASSERT_EQ(got, want) << "of " << of;
      nearest_[of] = got;
      for (std::size_t i = 0; i < list.near; ++i) {
        ASSERT_EQ(lists.id(of, i), others[i].second) << "near " << i << " of " << of;
        ASSERT_EQ(lists.square(of, i), others[i].first.square);
        const auto known = rolling_.KnownBy(others[i].second);
        const auto by = std::ranges::find(known, of, &RollingNeighbors::Known::by);
        ASSERT_NE(by, known.end());
        ASSERT_EQ(by->square, others[i].first.square);
      }
      const std::size_t within = static_cast<std::size_t>(
          std::ranges::count_if(others, [&](const auto& o) { return o.first <= list.limit; }));
      ASSERT_EQ(list.size, within) << "the list is all that is within its limit, of " << of;
      if (limits_.contains(of)) {
        ASSERT_GE(list.near_limit, limits_[of]);
      }
      limits_[of] = list.near_limit;
    }
    for (const std::uint32_t slot : gone) limits_.erase(slot);
    std::size_t near = 0, known = 0;
    for (const std::uint32_t of : order_) {
      near += rolling_.lists().list(of).near;
      known += rolling_.KnownBy(of).size();
    }
    ASSERT_EQ(known, near) << "nobody is known by others than those near to whom it is";
  }

  const std::size_t dim_, neighbors_, ranked_;
  ThreadPool pool_;
  RollingNeighbors rolling_;
  std::mt19937_64 random_{1};
  std::deque<std::uint32_t> order_;
  std::map<std::uint32_t, Rank> limits_;
  std::map<std::uint32_t, std::set<std::uint32_t>> nearest_;
};

std::vector<std::vector<float>> Rows(PointCloud cloud, float scale = 1, float shift = 0) {
  std::vector<std::vector<float>> rows;
  for (std::size_t i = 0; i < cloud.points(); ++i) {
    const std::span<const float> row = cloud.view().row(i);
    rows.emplace_back(row.begin(), row.end());
    for (float& x : rows.back()) x = x * scale + shift;
  }
  return rows;
}

TEST(RollingNeighborsTest, ListsStayExactWhileASteadyStreamTurnsTheSetOver) {
  for (const std::size_t threads : {0, 3}) {
    Checked set(10, 20, 5, threads);
    for (std::uint64_t step = 0; step < 40; ++step) {
      set.Update(set.size() > 250 ? 25 : 0, 0, Rows(testing::Gaussian(25, 10, step)));
      if (HasFatalFailure()) return;
    }
    EXPECT_LT(set.rebuilt, set.added / 4);
  }
}

TEST(RollingNeighborsTest, ListsStayExactUnderRandomChangesOfEveryKind) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return random() % n; };
    const std::size_t dim = 1 + below(20), neighbors = 1 + below(12);
    Checked set(dim, neighbors, 1 + below(static_cast<unsigned>(neighbors)), seed % 3);
    for (unsigned step = 0; step < 40; ++step) {
      PointCloud cloud = testing::Gaussian(below(40), dim, seed * 1000 + step);
      const float scale[] = {1, 1, 1e-3f, 30, 1e-7f}, shift[] = {0, 0, 5, 100, -1000};
      const std::size_t front = below(3) == 0 ? set.size() : below(30),
                        back = below(5) == 0 ? below(40) : 0;
      set.Update(below(20) == 0 ? set.size() : front % 40, back,
                 Rows(std::move(cloud), scale[below(5)], shift[below(5)]));
      if (HasFatalFailure()) {
        ADD_FAILURE() << "seed " << seed << " step " << step;
        return;
      }
    }
  }
}

// One task scans so few points, and many make their lists.
TEST(RollingNeighborsTest, ListsStayExactWhereMoreThreadsMakeThemThanScan) {
  Checked set(200, 20, 5, 7);
  for (std::uint64_t step = 0; step < 10; ++step) {
    set.Update(set.size(), 0, Rows(testing::Gaussian(200, 200, step)));
    if (HasFatalFailure()) return;
  }
}

// Distances that are equal by the dozen, where precedence alone decides.
TEST(RollingNeighborsTest, ListsStayExactOnAGridWithShiftsAwayFromTheOrigin) {
  for (const float shift : {0.0f, 1000.0f}) {
    Checked set(4, 8, 3, 1);
    std::set<std::vector<float>> seen;
    for (std::uint64_t step = 0; step < 25; ++step) {
      std::vector<std::vector<float>> rows;
      for (std::vector<float>& row : Rows(testing::Grid(40, 4, 6, step), 1, shift)) {
        if (seen.insert(row).second) rows.push_back(std::move(row));
      }
      set.Update(step > 6 ? 30 : 0, 0, rows);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(RollingNeighborsTest, ListsStayExactWhenTheStreamDriftsCollapsesAndOverflows) {
  Checked set(8, 10, 4, 1);
  for (std::uint64_t step = 0; step < 60; ++step) {
    const auto t = static_cast<float>(step);
    float scale = 1, shift = t * t;              // away, faster and faster
    if (step >= 30) shift = 900, scale = 1e-4f;  // all to one place
    if (step >= 40) scale = 1, shift = 0;
    if (step == 50) scale = 1e19f;  // squares overflow
    set.Update(set.size() > 150 ? 20 : 0, 0, Rows(testing::Gaussian(20, 8, step), scale, shift));
    if (HasFatalFailure()) {
      ADD_FAILURE() << "step " << step;
      return;
    }
  }
}

}  // namespace
}  // namespace dimwatch
