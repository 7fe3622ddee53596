// Arrays that somebody else wrote.
#include "src/base/npy.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  const fuzz::MemoryFile file({reinterpret_cast<const char*>(data), size});
  const absl::StatusOr<NpyArray> array = ReadNpyArray(file.path());
  const absl::StatusOr<PointCloud> cloud = ReadNpy(file.path());
  if (!array.ok()) {
    FUZZ_REQUIRE(!cloud.ok());
    return 0;
  }
  std::size_t values = 1;
  for (const std::size_t extent : array->shape) values *= extent;
  FUZZ_REQUIRE(array->data.size() == values * SizeOf(array->dtype));
  FUZZ_REQUIRE(cloud.ok() == (array->shape.size() == 2 && array->dtype != DType::kBF16));
  if (cloud.ok()) FUZZ_REQUIRE(cloud->view().points() * cloud->view().dim() == values);
  return 0;
}
