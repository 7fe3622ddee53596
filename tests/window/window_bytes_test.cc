// What a window is expected to take against what it takes of the heap.
#include <gtest/gtest.h>
#include <malloc.h>

#include <memory>
#include <utility>
#include <vector>

#include "src/window/window.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

std::int64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

// Not with a sanitizer, which brings its own heap.
bool HeapIsCounted() {
  const std::int64_t before = HeapBytes();
  const std::vector<char> block(1 << 20);
  return HeapBytes() >= before + static_cast<std::int64_t>(block.size());
}

ProbeSettings Rolling(IndexKind index, std::int64_t points, std::int64_t every, int dim) {
  ProbeSettings settings;
  settings.identity.name = "train/last";
  settings.window = WindowKind::kRolling;
  settings.window_points = points;
  settings.estimate_every = every;
  settings.estimator.index = index;
  settings.dim = dim;
  return ResolveDefaults(settings);
}

WindowBatch BatchOf(const PointCloud& rows, std::int64_t seq) {
  const PointCloudView view = rows.view();
  WindowBatch batch;
  batch.seq = seq;
  batch.step = Step{seq};
  batch.rows = view.points();
  batch.dim = view.dim();
  batch.data = {reinterpret_cast<const char*>(view.data()),
                view.points() * view.dim() * sizeof(float)};
  return batch;
}

// Of a window that has turned over once, with the cloud of its last estimate.
std::int64_t MeasuredBytes(const ProbeSettings& settings, std::int64_t batch_rows) {
  ThreadPool pool(0);
  const auto dim = static_cast<std::size_t>(settings.dim);
  const auto rows = static_cast<std::size_t>(batch_rows);
  const std::int64_t before = HeapBytes();
  const std::unique_ptr<Window> window = MakeWindow(settings, {}, pool, {});
  std::vector<Cloud> newest;
  for (std::int64_t seq = 1; seq * batch_rows <= 2 * settings.window_points; ++seq) {
    WindowUpdate update = window->Add(BatchOf(testing::Gaussian(rows, dim, seq), seq));
    if (!update.clouds.empty()) newest = std::move(update.clouds);
  }
  EXPECT_FALSE(newest.empty());
  return HeapBytes() - before;
}

void ExpectWithin(const ProbeSettings& settings, std::int64_t batch_rows, double factor) {
  if (!HeapIsCounted()) GTEST_SKIP() << "mallinfo2 does not count this heap";
  const std::int64_t measured = MeasuredBytes(settings, batch_rows);
  const auto expected =
      static_cast<double>(ExpectedWindowBytes(settings, settings.window_points, {}));
  EXPECT_LT(static_cast<double>(measured) / expected, factor) << measured;
  EXPECT_LT(expected / static_cast<double>(measured), factor) << measured;
}

// 1.5 for each: vectors grow by half or double, and who is near whom depends on the rows.
TEST(ExpectedWindowBytesTest, OfRowsAloneAreWithinAHalfOfWhatIsMeasured) {
  ExpectWithin(Rolling(IndexKind::kExact, 2000, 2000, 100), 500, 1.5);
}
TEST(ExpectedWindowBytesTest, OfKeptListsAreWithinAHalfOfWhatIsMeasured) {
  ProbeSettings settings = Rolling(IndexKind::kExact, 1200, 10, 768);
  ExpectWithin(settings, 100, 1.5);
  settings.dim = 32;
  settings.estimator.neighbors = 32;
  ExpectWithin(settings, 100, 1.5);
}
TEST(ExpectedWindowBytesTest, ListsAreNotKeptWhereTheyWouldTakeMoreThanAGibibyte) {
  ProbeSettings large = Rolling(IndexKind::kExact, 100'000, 1000, 768);
  large.estimator.max_points = 100'000;
  EXPECT_EQ(ExpectedWindowBytes(large, 100'000, {}), 2 * 100'000 * 768 * 4);
  ProbeSettings small = Rolling(IndexKind::kExact, 20'000, 1000, 768);
  small.estimator.max_points = 20'000;
  EXPECT_GT(ExpectedWindowBytes(small, 20'000, {}), 2 * 20'000 * 768 * 4);
}
TEST(ExpectedWindowBytesTest, OfKeptGraphsAreWithinAHalfOfWhatIsMeasured) {
  ProbeSettings settings = Rolling(IndexKind::kHnsw, 6000, 100, 100);
  settings.estimator.queries = 50;
  ExpectWithin(settings, 100, 1.5);
}

}  // namespace
}  // namespace dimwatch
