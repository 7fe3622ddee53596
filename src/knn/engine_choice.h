// Which engine is cheaper.
#pragma once

#include <cstddef>

namespace dimwatch {

// Whether ExactEngine is expected to take less time on one thread than HnswEngine: for all points,
// up to 100 000 of them. A function of the sizes alone, so that an estimate depends on neither load
// nor threads. The rate of a BLAS and the cost of the graph differ much between machines, but both
// are bound by the same vector units: their ratio, measured at 64 to 768 dimensions, differs
// little.
bool ExactIsCheaper(std::size_t points, std::size_t queries);

}  // namespace dimwatch
