#include "src/window/settings.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/base/names.h"

namespace dimwatch {
namespace {

Split SplitOfName(std::string_view probe) {
  if (probe.starts_with("train/")) return Split::kTrain;
  for (const std::string_view prefix : {"validation/", "val/", "test/"}) {
    if (probe.starts_with(prefix)) return Split::kValidation;
  }
  return Split::kOther;
}

std::string LayerOfName(const std::string& probe) {
  const std::size_t slash = probe.find('/');
  if (slash == std::string::npos || slash + 1 == probe.size()) return probe;
  return probe.substr(slash + 1);
}

absl::Status Invalid(const ProbeSettings& settings, const std::string& problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("probe ", Quoted(settings.identity.name), ": ", problem));
}

absl::Status ValidateSnapshot(const ProbeSettings& settings) {
  if (settings.window_points != 0) {
    return Invalid(settings, absl::StrCat("window_points ", settings.window_points,
                                          " given, but a SNAPSHOT window has none; allowed is 0"));
  }
  if (settings.estimate_every != 0) {
    return Invalid(settings, absl::StrCat("estimate_every ", settings.estimate_every,
                                          " given, but a SNAPSHOT window has none; allowed is 0"));
  }
  return absl::OkStatus();
}

absl::Status ValidateRolling(const ProbeSettings& settings) {
  if (settings.aligned) {
    return Invalid(settings, "aligned rows need a SNAPSHOT window, ROLLING got");
  }
  const std::int64_t above = settings.estimator.neighbors;
  if (settings.window_points <= above || settings.window_points > kMaxCloudPoints) {
    return Invalid(settings, absl::StrCat("window_points ", settings.window_points,
                                          " got; allowed are more than neighbors (", above,
                                          ") and at most ", kMaxCloudPoints));
  }
  if (settings.estimate_every < 1 || settings.estimate_every > settings.window_points) {
    return Invalid(settings, absl::StrCat("estimate_every ", settings.estimate_every,
                                          " got; allowed are 1 to window_points (",
                                          settings.window_points, ")"));
  }
  return absl::OkStatus();
}

absl::Status ValidateAttention(const ProbeSettings& settings) {
  if (absl::Status s = Validate(*settings.attention); !s.ok()) {
    return Invalid(settings, absl::StrCat("attention: ", std::string(s.message())));
  }
  ProbeSettings plain;
  plain.identity = settings.identity;
  plain.attention = settings.attention;
  if (settings == plain) return absl::OkStatus();
  return Invalid(settings,
                 "settings of a window or an estimator given, but a probe of attention maps has "
                 "none; allowed are split, layer and attention");
}

}  // namespace

ProbeSettings ResolveDefaults(ProbeSettings settings) {
  ProbeIdentity& identity = settings.identity;
  if (identity.split == Split::kOther) identity.split = SplitOfName(identity.name);
  if (identity.layer.empty()) identity.layer = LayerOfName(identity.name);
  if (settings.window == WindowKind::kRolling) {
    if (settings.window_points == 0) settings.window_points = settings.estimator.max_points;
    if (settings.estimate_every == 0) {
      settings.estimate_every = std::max<std::int64_t>(1, settings.window_points / 4);
    }
  }
  return settings;
}

absl::Status Validate(const ProbeSettings& settings) {
  if (absl::Status s = ValidateName("probe", settings.identity.name); !s.ok()) return s;
  if (absl::Status s = ValidateName("layer", settings.identity.layer); !s.ok()) return s;
  if (settings.attention) {
    if (absl::Status s = ValidateAttention(settings); !s.ok()) return s;
  }
  if (absl::Status s = Validate(settings.estimator); !s.ok()) {
    return Invalid(settings, std::string(s.message()));
  }
  if (settings.dim < 0 || settings.dim > kMaxDim) {
    return Invalid(settings, absl::StrCat("dim ", settings.dim, " got; allowed are 1 to ", kMaxDim,
                                          ", or 0 to take it from the first batch"));
  }
  if (settings.scale_every < 0 || settings.scale_every > kMaxScaleEvery) {
    return Invalid(settings, absl::StrCat("scale_every ", settings.scale_every,
                                          " got; allowed are 0 (never) to ", kMaxScaleEvery));
  }
  return settings.window == WindowKind::kSnapshot ? ValidateSnapshot(settings)
                                                  : ValidateRolling(settings);
}

}  // namespace dimwatch
