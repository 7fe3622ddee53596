#include "src/lid/prepare_cloud.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "src/base/random_subset.h"
#include "src/knn/centroid.h"
#include "src/knn/distance.h"

namespace dimwatch {
namespace {

constexpr std::size_t kChunkRows = 256;

std::vector<std::optional<std::uint64_t>> HashRows(PointCloudView cloud, ThreadPool& pool) {
  std::vector<std::optional<std::uint64_t>> hashes(cloud.points());
  pool.ParallelFor((cloud.points() + kChunkRows - 1) / kChunkRows, [&](std::size_t chunk) {
    const std::size_t end = std::min(cloud.points(), (chunk + 1) * kChunkRows);
    for (std::size_t i = chunk * kChunkRows; i < end; ++i) {
      hashes[i] = HashRow(cloud.row(i));
    }
  });
  return hashes;
}

using HashedRow = std::pair<std::uint64_t, std::uint32_t>;

// Keeps the first of each set of equal rows. All of `run` have the same hash, in row order.
void KeepDistinct(PointCloudView cloud, std::span<const HashedRow> run,
                  std::vector<HashedRow>& kept) {
  const std::size_t first = kept.size();
  for (const HashedRow& candidate : run) {
    const bool seen = std::any_of(
        kept.begin() + static_cast<std::ptrdiff_t>(first), kept.end(), [&](const HashedRow& other) {
          return std::ranges::equal(cloud.row(candidate.second), cloud.row(other.second));
        });
    if (!seen) kept.push_back(candidate);
  }
}

}  // namespace

std::optional<std::uint64_t> HashRow(std::span<const float> row) {
  thread_local std::vector<float> scratch;
  scratch.resize(row.size());
  bool finite = true;
  for (std::size_t i = 0; i < row.size(); ++i) {
    finite &= std::isfinite(row[i]);
    scratch[i] = row[i] + 0.0f;  // -0 becomes 0
  }
  if (!finite) return std::nullopt;
  return XXH3_64bits(scratch.data(), scratch.size() * sizeof(float));
}

PreparedCloud PrepareCloud(PointCloudView cloud, std::span<const std::int64_t> row_ids,
                           std::int64_t max_points, std::int64_t seed, ThreadPool& pool) {
  const std::vector<std::optional<std::uint64_t>> hashes = HashRows(cloud, pool);
  std::vector<HashedRow> finite;
  finite.reserve(hashes.size());
  for (std::uint32_t i = 0; i < hashes.size(); ++i) {
    if (hashes[i]) finite.emplace_back(*hashes[i], i);
  }
  std::sort(finite.begin(), finite.end());
  std::vector<HashedRow> distinct;  // by hash
  distinct.reserve(finite.size());
  for (auto run = finite.begin(); run != finite.end();) {
    const auto end = std::find_if(run, finite.end(),
                                  [&](const HashedRow& row) { return row.first != run->first; });
    KeepDistinct(cloud, {run, end}, distinct);
    run = end;
  }
  std::vector<std::uint64_t> keys;
  keys.reserve(distinct.size());
  for (const auto& [hash, row] : distinct) {
    keys.push_back(row_ids.empty() ? hash : static_cast<std::uint64_t>(row_ids[row]));
  }
  std::vector<std::uint32_t> sources;
  std::vector<std::uint64_t> kept_keys;
  for (const std::uint32_t i : ChooseUniformly(keys, static_cast<std::size_t>(max_points),
                                               static_cast<std::uint64_t>(seed))) {
    sources.push_back(distinct[i].second);
    kept_keys.push_back(keys[i]);
  }
  return {.rows = CloudRows(cloud, std::move(sources)),
          .keys = std::move(kept_keys),
          .nonfinite_rows = static_cast<std::int64_t>(hashes.size() - finite.size()),
          .duplicate_rows = static_cast<std::int64_t>(finite.size() - distinct.size())};
}

double Variance(const CloudRows& rows, ThreadPool& pool) {
  const std::vector<float> centroid = Centroid(rows, pool);
  std::vector<double> sums((rows.points() + kChunkRows - 1) / kChunkRows);
  pool.ParallelFor(sums.size(), [&](std::size_t chunk) {
    const std::size_t end = std::min(rows.points(), (chunk + 1) * kChunkRows);
    for (std::size_t p = chunk * kChunkRows; p < end; ++p) {
      sums[chunk] += SquaredDistance(rows.row(p), centroid.data(), rows.dim());
    }
  });
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  return rows.points() == 0 ? 0 : sum / static_cast<double>(rows.points());
}

}  // namespace dimwatch
