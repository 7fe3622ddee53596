// Pointwise dimensions from the distances to the nearest neighbors alone.
//
// `influence[j]` becomes the derivative of the result by the weight of the j-th distance, where all
// weights are 1; left alone where there is no result.
#pragma once

#include <optional>
#include <span>

namespace dimwatch {

// Maximum likelihood (Levina & Bickel 2004; Amsaleg et al. 2015): (k - 1) / sum_{j<k} ln(R_k / R_j)
// for the k distances R_1 <= ... <= R_k. None where the sum is 0 or not finite.
std::optional<double> MleLid(std::span<const float> distances, std::span<float> influence);

// Method of moments (Amsaleg et al. 2018): m / (R_k - m), with m the mean distance. None where all
// distances are equal.
std::optional<double> MomLid(std::span<const float> distances, std::span<float> influence);

}  // namespace dimwatch
