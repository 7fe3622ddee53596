// The exact nearest neighbors of a changing set of points, kept current from change to change.
//
// One product of the arriving rows with all rows serves both the lists of the new points and those
// of all others. Lists are longer than asked for, so that points may leave; one that has become
// short joins the next product, as if its point were new.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/point_slots.h"
#include "src/knn/rolling_list.h"

namespace dimwatch {

class Candidates;

// Guaranteed after every update: the first `neighbors` entries of the list of a point are its
// nearest other points by (SquaredDistance, precedence), or all others if there are fewer; the
// first `ranked` of them, or more, are measured and in order. Neither the number of threads nor the
// history of the set has an effect on that. Points are named by their slots. Not thread-safe.
class RollingNeighbors {
 public:
  struct Change {
    std::vector<std::uint32_t> added;    // a slot for each row
    std::vector<std::uint32_t> touched;  // ascending: points whose nearest may have changed, or new
    // Points for which KnownBy has no more all that it should: a near limit went down.
    std::vector<std::uint32_t> forgetful;
    std::size_t rebuilt = 0;  // lists that were made anew
  };

  // REQUIRES: 0 < ranked <= neighbors.
  RollingNeighbors(std::size_t dim, std::size_t neighbors, std::size_t ranked);

  // Removes `gone`, then adds `rows`. The slots of `gone` name them until the next update; only
  // their lists are void. One product of rows x points, but for rare rebuilds.
  // REQUIRES: components finite, rows and precedences distinct.
  Change Update(std::span<const std::uint32_t> gone, PointCloudView rows,
                std::span<const std::uint64_t> precedences, ThreadPool& pool);

  const PointSlots& points() const { return points_; }
  const RollingLists& lists() const { return lists_; }
  // Of all points now in the set.
  bool holds(std::uint32_t slot) const { return points_.live(slot) && marks_[slot] == 0; }
  std::size_t size() const { return points_.points() - gone_.size(); }
  struct Known {
    std::uint32_t by;
    float square;  // distance
  };
  // The points that have `slot` among their near ones. Holds for `gone` until the next update.
  std::span<const Known> KnownBy(std::uint32_t slot) const { return known_by_[slot]; }
  void PrefetchKnownBy(std::uint32_t slot) const {
    constexpr std::size_t kLine = 64 / sizeof(Known), kMost = 8;
    const std::span<const Known> all = KnownBy(slot);
    for (std::size_t i = 0; i < all.size() && i < kMost * kLine; i += kLine) {
      __builtin_prefetch(&all[i]);
    }
  }

  std::int64_t bytes() const;

 private:
  struct Queries;
  struct Workspace;
  class Workspaces;

  void Forget();
  void Resize();
  void SetOffer(std::uint32_t point);
  // Makes the lists of the queries, and with `update` brings all others up to date. Returns the
  // points whose lists were found too short.
  std::vector<std::uint32_t> Pass(const Queries& queries, bool update, Change& change,
                                  ThreadPool& pool);
  void Scan(const Queries& queries, std::size_t block, bool update, Workspace& workspace);
  void FindHits(const Queries& queries, std::span<float> squares, float norm, float offer,
                Workspace& workspace) const;
  void OfferToQueries(const Queries& queries, std::uint32_t point, std::span<const float> squares,
                      Workspace& workspace) const;
  void UpdateList(const Queries& queries, std::uint32_t point, std::span<float> squares,
                  Workspace& workspace);
  void Truncate(std::uint32_t point, Workspace& workspace);
  // That the entries [begin, end) of the list of `point` are near ones of it, or no more.
  void NoteNear(std::uint32_t point, std::size_t begin, std::size_t end, bool are_near,
                Workspace& workspace) const;
  // Makes the list of one query of what was found for it.
  void Finish(const Queries& queries, std::size_t query, std::span<const Candidates* const> found,
              Workspaces& workspaces);
  std::vector<std::uint32_t> Collect(Workspaces& workspaces, Change& change);
  void NoteChanges(const Workspaces& workspaces, std::size_t shard);

  const std::size_t neighbors_;
  const std::size_t ranked_;
  const std::size_t keep_;
  PointSlots points_;
  RollingLists lists_;
  std::vector<std::uint32_t> gone_;     // by the last update
  std::vector<std::uint8_t> marks_;     // by slot: whether it is in gone_
  std::vector<std::uint8_t> is_query_;  // by slot: its list is being made
  std::vector<float> offers_;           // by slot: rough squares up to this may matter to its list
  std::vector<std::uint32_t> short_;    // points whose lists are to be made anew
  std::vector<std::vector<Known>> known_by_;
};

}  // namespace dimwatch
