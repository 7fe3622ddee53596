#include "src/attention/settings.h"

#include "absl/strings/str_cat.h"

namespace dimwatch {

absl::Status Validate(const AttentionSettings& settings) {
  // Written so that NaN fails.
  if (!(settings.epsilon > 0 && settings.epsilon < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("epsilon ", settings.epsilon, " got; allowed is above 0 and below 1"));
  }
  if (settings.heads < 0 || settings.heads > kMaxHeads) {
    return absl::InvalidArgumentError(absl::StrCat("heads ", settings.heads,
                                                   " got; allowed are 1 to ", kMaxHeads,
                                                   ", or 0 to take it from the first batch"));
  }
  return absl::OkStatus();
}

}  // namespace dimwatch
