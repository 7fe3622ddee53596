// NumPy's .npy files: clouds come in, pointwise results go out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/dtype.h"
#include "src/base/point_cloud.h"

namespace dimwatch {

// Reads a 2-dimensional, C-ordered, little-endian array of float16, float32 or float64 as rows x
// components; float64 is rounded to float32. Versions 1 to 3 of the format. NOT_FOUND where there
// is no such file; INVALID_ARGUMENT, with what was found and what is allowed, for any other array,
// one without elements, a file that is shorter or longer than its header says, or no .npy at all.
absl::StatusOr<PointCloud> ReadNpy(const std::filesystem::path& path);

// An array as it is in the file.
struct NpyArray {
  DType dtype = DType::kF32;
  std::vector<std::size_t> shape;
  std::string data;  // C-ordered, little-endian
};

// Reads an array of any number of dimensions, 1 or more, and the same types; errors as ReadNpy.
absl::StatusOr<NpyArray> ReadNpyArray(const std::filesystem::path& path);

// Writes a 1-dimensional float64 array. Replaces the file. INTERNAL where it cannot be written.
absl::Status WriteNpy(const std::filesystem::path& path, std::span<const double> values);

}  // namespace dimwatch
