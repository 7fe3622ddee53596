// The messages of an EstimateCloud: refused with a reason, or estimated.
#include <cmath>

#include "server/cloud_call.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/limits.h"
#include "tests/fuzz/messages.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch::server {
namespace {

constexpr int kMostMessages = 8;
const char* const kWords[] = {"", "x"};

// Mostly one whose bytes are as many as it says, and that fits the first.
void MakeSound(v1::EstimateCloudRequest& request, fuzz::Choices& choices) {
  if (choices.OneIn(8)) return;
  request.set_dim(3);
  request.set_dtype(choices.OneIn(2) ? v1::DTYPE_F16 : v1::DTYPE_F32);
  const auto bytes = static_cast<std::size_t>(std::clamp(request.rows(), 0, 64)) * 3 *
                     (request.dtype() == v1::DTYPE_F16 ? 2 : 4);
  std::string data(choices.Take(bytes));
  while (data.size() < bytes) data += static_cast<char>(data.size() * 37 + choices.Byte());
  request.set_data(data);
}

void Estimate(const CloudBuilder& cloud) {
  static const testing::ManualClock clock;
  static ThreadPool alone(0);
  const absl::StatusOr<CloudEstimate> estimate =
      EstimateCloud(cloud.view(), cloud.settings(), alone, clock);
  if (!estimate.ok()) {
    FUZZ_REQUIRE(!estimate.status().message().empty());
    return;
  }
  if (estimate->mean) FUZZ_REQUIRE(std::isfinite(*estimate->mean));
  if (estimate->standard_error) FUZZ_REQUIRE(*estimate->standard_error >= 0);
  FUZZ_REQUIRE(fuzz::Received(ToProto(*estimate)).has_value());
}

}  // namespace
}  // namespace dimwatch::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::server;
  fuzz::SilenceProtobuf();
  fuzz::Choices choices(data, size);
  static const testing::ManualClock clock;
  CloudShare share(std::make_shared<ServerUsage>(), "", kMaxCloudBytes, clock);
  CloudBuilder cloud;
  for (int i = 0; i < kMostMessages && !choices.empty(); ++i) {
    v1::EstimateCloudRequest sent;
    fuzz::MessageMaker(choices, kWords).Fill(sent);
    MakeSound(sent, choices);
    const auto request = fuzz::Received(sent);
    if (!request) return 0;
    if (const absl::Status status = cloud.Add(*request, share); !status.ok()) {
      FUZZ_REQUIRE(!ToGrpcStatus(status).error_message().empty());
      return 0;
    }
  }
  if (!cloud.empty()) Estimate(cloud);
  return 0;
}
