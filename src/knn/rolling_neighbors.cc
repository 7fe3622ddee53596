#include "src/knn/rolling_neighbors.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "src/knn/candidates.h"
#include "src/knn/distance.h"
#include "src/knn/packed_rows.h"
#include "src/knn/tile.h"

namespace dimwatch {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kBlockSlots = 40 * PackedRows::kRowsAtOnce;  // whose lists one task keeps
constexpr std::size_t kTileFloats = 32'768;  // of one product, which stays in the cache
constexpr std::size_t kNoteShards = 16;      // parts of the points that know who is near them

// Lists of L are made this long, so that about one in a thousand is made anew while a point stays
// in a steady stream: the number of points within a fixed distance varies by the root of itself.
std::size_t Kept(std::size_t neighbors) {
  const auto spare = static_cast<std::size_t>(4 * std::sqrt(2.0 * static_cast<double>(neighbors)));
  return neighbors + spare;
}

}  // namespace

// Points whose lists are made: the first `added` are new, which matters to all other lists.
struct RollingNeighbors::Queries {
  Queries(const PointSlots& slots, std::vector<std::uint32_t> of_points, std::size_t new_points)
      : points(std::move(of_points)), added(new_points), rows(Pack(slots, points)) {
    for (const std::uint32_t point : points) norms.push_back(slots.norm(point));
  }

  static PackedRows Pack(const PointSlots& slots, std::span<const std::uint32_t> points) {
    std::vector<float> rows;
    rows.reserve(points.size() * slots.dim());
    for (const std::uint32_t point : points) {
      rows.insert(rows.end(), slots.centered(point), slots.centered(point) + slots.dim());
    }
    return {rows.data(), points.size(), slots.dim()};
  }

  std::vector<std::uint32_t> points;
  std::size_t added;
  PackedRows rows;  // centered
  std::vector<float> norms;
};

// What one task uses at a time, and what it found.
struct RollingNeighbors::Workspace {
  Workspace(std::size_t queries, std::size_t keep)
      : candidates(std::max<std::size_t>(1, queries), keep),
        row_hits(queries / kHitColumns + 1),
        column_hits(row_hits.size()) {}

  // `known.by` has the point among its near ones from now on; with a negative square, no more.
  struct NearChange {
    std::uint32_t point;
    Known known;
  };

  Candidates candidates;
  std::vector<std::uint16_t> row_hits, column_hits;
  std::vector<std::uint32_t> hits;  // queries, with kMeasured where the square is
  std::vector<float> tile;
  std::vector<std::uint32_t> touched, forgetful, too_short, becoming_short;
  std::vector<NearChange> near_changes;
};

class RollingNeighbors::Workspaces {
 public:
  Workspaces(std::size_t queries, std::size_t keep) : queries_(queries), keep_(keep) {}

  Workspace& Take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      all_.push_back(std::make_unique<Workspace>(queries_, keep_));
      return *all_.back();
    }
    Workspace* const workspace = idle_.back();
    idle_.pop_back();
    return *workspace;
  }
  void Return(Workspace& workspace) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(&workspace);
  }
  // While no task runs: taking one may move them.
  const std::vector<std::unique_ptr<Workspace>>& all() const { return all_; }
  // Of all, while no task runs. They stay where they are.
  std::vector<const Candidates*> candidates() const {
    std::vector<const Candidates*> of_all;
    for (const auto& workspace : all_) of_all.push_back(&workspace->candidates);
    return of_all;
  }

 private:
  const std::size_t queries_;
  const std::size_t keep_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> all_;  // guarded by mutex_
  std::vector<Workspace*> idle_;                 // guarded by mutex_
};

RollingNeighbors::RollingNeighbors(std::size_t dim, std::size_t neighbors, std::size_t ranked)
    : neighbors_(neighbors),
      ranked_(ranked),
      keep_(Kept(neighbors)),
      points_(dim),
      lists_(points_, std::min(3 * ranked, keep_), keep_, keep_ + keep_ / 3 + 2) {}

RollingNeighbors::Change RollingNeighbors::Update(std::span<const std::uint32_t> gone,
                                                  PointCloudView rows,
                                                  std::span<const std::uint64_t> precedences,
                                                  ThreadPool& pool) {
  Forget();
  gone_.assign(gone.begin(), gone.end());
  std::ranges::sort(gone_);
  for (const std::uint32_t slot : gone_) marks_[slot] = 1;
  const bool was_exact = std::isinf(points_.Slack(0, 0));
  Change change;
  for (std::size_t i = 0; i < rows.points(); ++i) {
    change.added.push_back(points_.Add(rows.row(i), precedences[i]));
  }
  Resize();
  if (points_.Recenter(pool) || was_exact != std::isinf(points_.Slack(0, 0))) {
    for (std::uint32_t slot = 0; slot < points_.slots(); ++slot) SetOffer(slot);
  }
  std::vector<std::uint32_t> made = change.added;
  for (const std::uint32_t point : std::exchange(short_, {})) {
    if (holds(point)) made.push_back(point);
  }
  change.rebuilt = made.size() - change.added.size();
  std::vector<std::uint32_t> too_short =
      Pass(Queries(points_, std::move(made), change.added.size()), true, change, pool);
  change.rebuilt += too_short.size();
  if (!too_short.empty()) Pass(Queries(points_, std::move(too_short), 0), false, change, pool);
  std::ranges::sort(change.touched);
  change.touched.erase(std::unique(change.touched.begin(), change.touched.end()),
                       change.touched.end());
  return change;
}

void RollingNeighbors::Forget() {
  for (const std::uint32_t slot : gone_) {
    known_by_[slot].clear();
    lists_.Clear(slot);
    points_.Remove(slot);
    marks_[slot] = 0;
  }
  gone_.clear();
}

void RollingNeighbors::Resize() {
  if (marks_.size() == points_.slots()) return;
  lists_.Resize(points_.slots());
  marks_.resize(points_.slots());
  is_query_.resize(points_.slots());
  offers_.resize(points_.slots());
  known_by_.resize(points_.slots());
}

// A point as near as the limit has no larger norm than the sum of this one's and the distance.
void RollingNeighbors::SetOffer(std::uint32_t point) {
  const float limit = lists_.list(point).limit.square;
  const float reach = std::sqrt(points_.norm(point)) + std::sqrt(limit);
  offers_[point] = limit + points_.Slack(points_.norm(point), reach * reach);
}

std::vector<std::uint32_t> RollingNeighbors::Pass(const Queries& queries, bool update,
                                                  Change& change, ThreadPool& pool) {
  for (const std::uint32_t query : queries.points) is_query_[query] = 1;
  Workspaces workspaces(queries.points.size(), keep_);
  pool.ParallelFor((points_.slots() + kBlockSlots - 1) / kBlockSlots, [&](std::size_t block) {
    Workspace& workspace = workspaces.Take();
    Scan(queries, block, update, workspace);
    workspaces.Return(workspace);
  });
  const std::vector<const Candidates*> found = workspaces.candidates();
  pool.ParallelFor(queries.points.size(),
                   [&](std::size_t query) { Finish(queries, query, found, workspaces); });
  for (const std::uint32_t query : queries.points) is_query_[query] = 0;
  pool.ParallelFor(kNoteShards, [&](std::size_t shard) { NoteChanges(workspaces, shard); });
  return Collect(workspaces, change);
}

void RollingNeighbors::Scan(const Queries& queries, std::size_t block, bool update,
                            Workspace& workspace) {
  auto begin = static_cast<std::uint32_t>(block * kBlockSlots);
  auto end = static_cast<std::uint32_t>(std::min(points_.slots(), begin + kBlockSlots));
  for (std::uint32_t slot = begin; update && slot < end; ++slot) {
    if (marks_[slot] != 0) NoteNear(slot, 0, lists_.list(slot).near, false, workspace);
  }
  while (begin < end && !holds(begin)) ++begin;
  while (begin < end && !holds(end - 1)) --end;
  const std::size_t count = queries.points.size();
  constexpr std::size_t kStep = PackedRows::kRowsAtOnce;
  const std::size_t most =
      std::clamp(kTileFloats / (count + 1) / kStep * kStep, 2 * kStep, kBlockSlots);
  for (std::uint32_t first = begin; first < end; first += static_cast<std::uint32_t>(most)) {
    const std::size_t rows = std::min<std::size_t>(most, end - first);
    workspace.tile.resize(rows * count);
    if (count > 0) {
      queries.rows.Multiply(points_.centered(first), rows, -2.0f, workspace.tile.data());
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const auto point = static_cast<std::uint32_t>(first + r);
      if (!holds(point)) continue;
      const std::span<float> squares = std::span(workspace.tile).subspan(r * count, count);
      const bool keeps = update && is_query_[point] == 0;
      if (keeps && r + 1 < rows) lists_.PrefetchIds(point + 1, keep_);
      FindHits(queries, squares, points_.norm(point), keeps ? offers_[point] : -1, workspace);
      if (keeps) UpdateList(queries, point, squares, workspace);
      OfferToQueries(queries, point, squares, workspace);
    }
  }
}

// Completes the squares, and lists the queries for which one of the two bounds is not exceeded.
void RollingNeighbors::FindHits(const Queries& queries, std::span<float> squares, float norm,
                                float offer, Workspace& workspace) const {
  workspace.hits.clear();
  if (std::isinf(points_.Slack(0, 0))) {  // nothing is known of any square
    std::ranges::fill(squares, 0.0f);
    for (std::uint32_t query = 0; query < squares.size(); ++query) workspace.hits.push_back(query);
    return;
  }
  CompleteTileRow(squares, norm, queries.norms.data(), offer, workspace.candidates.bounds(),
                  workspace.row_hits.data(), workspace.column_hits.data());
  for (std::size_t word = 0; word * kHitColumns < squares.size(); ++word) {
    const unsigned of_word = workspace.row_hits[word] | workspace.column_hits[word];
    for (unsigned bits = of_word; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
      workspace.hits.push_back(static_cast<std::uint32_t>(word * kHitColumns + bit));
    }
  }
}

void RollingNeighbors::OfferToQueries(const Queries& queries, std::uint32_t point,
                                      std::span<const float> squares, Workspace& workspace) const {
  for (const std::uint32_t hit : workspace.hits) {
    const std::uint32_t query = hit & ~RollingLists::kMeasured;
    if (queries.points[query] == point) continue;
    const std::uint32_t measured = hit & RollingLists::kMeasured;
    workspace.candidates.Offer(query, squares[query], point | measured, keep_);
  }
}

void RollingNeighbors::UpdateList(const Queries& queries, std::uint32_t point,
                                  std::span<float> squares, Workspace& workspace) {
  const RollingLists::List& list = lists_.list(point);
  const Rank near_limit = list.near_limit;
  for (const std::uint32_t query : workspace.hits) {
    if (squares[query] <= near_limit.square) {  // is to be measured
      PrefetchRow(points_.row(point), points_.dim());
      break;
    }
  }
  std::size_t first_change = list.size;
  if (!gone_.empty()) first_change = lists_.Remove(point, marks_, gone_.front(), gone_.back());
  for (std::uint32_t& hit : workspace.hits) {
    const std::uint32_t query = hit;
    if (query >= queries.added || squares[query] > offers_[point]) continue;
    if (lists_.full(point)) {
      Truncate(point, workspace);
      first_change = 0;  // it may have changed the order
    }
    const std::uint32_t near = list.near, other = queries.points[query];
    const float slack = points_.Slack(points_.norm(point), queries.norms[query]);
    const std::size_t at = lists_.Insert(point, {squares[query], other}, slack);
    first_change = std::min(first_change, at);
    if (at < list.size && lists_.measured(point, at)) {  // for the other's list, too
      squares[query] = lists_.square(point, at);
      hit |= RollingLists::kMeasured;
    }
    if (list.near > near) workspace.near_changes.push_back({other, {point, squares[query]}});
  }
  if (lists_.Certify(point, neighbors_) || first_change < neighbors_) {
    workspace.touched.push_back(point);
  }
  if (list.near < std::min<std::size_t>(ranked_, list.size)) {
    const std::size_t known = list.near;
    lists_.ExtendNear(point);
    NoteNear(point, known, list.near, true, workspace);
  }
  if (list.near_limit < near_limit) workspace.forgetful.push_back(point);
  if (list.limit == Rank()) return;  // holds all other points
  if (list.size < neighbors_) {
    workspace.too_short.push_back(point);
  } else if (list.size < neighbors_ + (keep_ - neighbors_) / 4) {
    workspace.becoming_short.push_back(point);
  }
}

void RollingNeighbors::Truncate(std::uint32_t point, Workspace& workspace) {
  const std::size_t near = lists_.list(point).near;
  lists_.Truncate(point);
  NoteNear(point, lists_.list(point).near, near, false, workspace);
  SetOffer(point);
}

void RollingNeighbors::NoteNear(std::uint32_t point, std::size_t begin, std::size_t end,
                                bool are_near, Workspace& workspace) const {
  for (std::size_t at = begin; at < end; ++at) {
    const std::uint32_t id = lists_.id(point, at);
    if (!holds(id)) continue;  // what is gone stays known until the next update
    const float square = are_near ? lists_.square(point, at) : -1;
    workspace.near_changes.push_back({id, {point, square}});
  }
}

void RollingNeighbors::Finish(const Queries& queries, std::size_t query,
                              std::span<const Candidates* const> found, Workspaces& workspaces) {
  const std::uint32_t point = queries.points[query];
  float bound = kInfinity;
  for (const Candidates* from : found) {
    bound = std::min(bound, from->bounds()[query]);
  }
  const float reach = std::sqrt(queries.norms[query]) + std::sqrt(bound);
  float norm = bound < kInfinity ? reach * reach : 0;
  std::vector<RollingLists::Rough> others;
  for (const Candidates* from : found) {
    const std::span<const float> squares = from->squares(query);
    const std::span<const std::uint32_t> ids = from->ids(query);
    for (std::size_t i = 0; i < squares.size(); ++i) {
      if (!(squares[i] < bound) && bound < kInfinity) continue;
      others.push_back({squares[i], ids[i]});
      norm = std::max(norm, points_.norm(ids[i] & ~RollingLists::kMeasured));
    }
  }
  Workspace& workspace = workspaces.Take();
  NoteNear(point, 0, lists_.list(point).near, false, workspace);
  const Rank near_limit = lists_.list(point).near_limit;
  if (!lists_.Build(point, others, bound, points_.Slack(queries.norms[query], norm), neighbors_)) {
    std::vector<std::uint32_t> all;
    for (std::uint32_t slot = 0; slot < points_.slots(); ++slot) {
      if (holds(slot) && slot != point) all.push_back(slot);
    }
    lists_.BuildMeasured(point, all);
  }
  SetOffer(point);
  lists_.Certify(point, neighbors_);
  if (lists_.list(point).near_limit < near_limit) workspace.forgetful.push_back(point);
  workspace.touched.push_back(point);
  NoteNear(point, 0, lists_.list(point).near, true, workspace);
  workspaces.Return(workspace);
}

std::vector<std::uint32_t> RollingNeighbors::Collect(Workspaces& workspaces, Change& change) {
  std::vector<std::uint32_t> too_short;
  const auto append = [](std::vector<std::uint32_t>& to, const std::vector<std::uint32_t>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (const auto& from : workspaces.all()) {
    append(change.touched, from->touched);
    append(change.forgetful, from->forgetful);
    append(short_, from->becoming_short);
    append(too_short, from->too_short);
  }
  return too_short;
}

// The changes of one list lie in one workspace, in order.
void RollingNeighbors::NoteChanges(const Workspaces& workspaces, std::size_t shard) {
  for (const auto& from : workspaces.all()) {
    for (const auto& [point, known] : from->near_changes) {
      if (point % kNoteShards != shard) continue;
      std::vector<Known>& all = known_by_[point];
      if (known.square >= 0) {
        all.push_back(known);
      } else {
        const auto gone = std::ranges::find(all, known.by, &Known::by);
        assert(gone != all.end());
        *gone = all.back();
        all.pop_back();
      }
    }
  }
}

std::int64_t RollingNeighbors::bytes() const {
  std::size_t known = known_by_.capacity() * sizeof(std::vector<Known>);
  for (const std::vector<Known>& by : known_by_) known += by.capacity() * sizeof(Known);
  const std::size_t by_slot = 2 * sizeof(std::uint8_t) + sizeof(float);
  return points_.bytes() + lists_.bytes() + static_cast<std::int64_t>(known) +
         static_cast<std::int64_t>(marks_.capacity() * by_slot);
}

}  // namespace dimwatch
