// What the engines cost on a machine, and so which of them is cheaper.
#pragma once

#include <cstddef>
#include <string>

#include "src/base/clock.h"

namespace dimwatch {

// In nanoseconds of one thread. The defaults were measured on one core of an AMD EPYC (Zen 5, 2.6
// GHz) that was busy otherwise: what matters is their ratio. With them a result does not depend on
// the machine.
struct EngineCosts {
  double exact_pair = 0.2;          // of ExactEngine: a pair of points, apart from ...
  double exact_component = 0.0127;  // ... each component
  double graph_row = 86;            // of HnswEngine: a row that a walk looks at, apart from ...
  double graph_component = 0.246;   // ... each component
  friend bool operator==(const EngineCosts&, const EngineCosts&) = default;
};

// Measures them, on the calling thread, in about a second of `clock`. A clock of the thread's
// processor time makes it independent of what else the machine does.
EngineCosts MeasureEngineCosts(const Clock& clock);

// How long a search takes on one thread. Both engines make equal use of two threads, so that which
// is cheaper does not depend on their number, nor on load: from the same costs the same choice.
// Exact: all pairs, each once, by blocks; for a part of the points each of them with all. Graph: as
// many rows as were counted on Gaussians of 8 to 30 dimensions, growing with the logarithm of the
// points.
double ExactSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                    std::size_t dim);
double HnswSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                   std::size_t dim, std::size_t neighbors);

// From one estimate of a rolling window of `points` to the next, `arrivals` rows later: to keep all
// exact lists current (RollingNeighbors), or the graphs of generations and to search them.
double RollingSeconds(const EngineCosts& costs, std::size_t points, std::size_t arrivals,
                      std::size_t dim, std::size_t neighbors);
double GenerationsSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                          std::size_t arrivals, std::size_t dim, std::size_t neighbors);

// Whether the two are expected within a factor of three of each other, so that which of them is
// cheaper may depend on the machine.
bool IsCloseCall(const EngineCosts& costs, std::size_t points, std::size_t queries, std::size_t dim,
                 std::size_t neighbors);

}  // namespace dimwatch
