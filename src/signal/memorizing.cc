#include <cmath>

#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

bool HasFallen(const SignalSettings& settings, const MetricChange& loss) {
  return loss.first - loss.newest > settings.min_delta * std::abs(loss.first);
}

}  // namespace

Finding FindMemorizing(const ProbeView& view) {
  const Course& course = view.course;
  const Level& start = course.start();
  const double rise = course.current().mean - start.mean;
  const double threshold = course.Threshold(start, course.current());
  const auto train_loss = view.metrics.Change(MetricKind::kTrainLoss, view.now);
  const auto validation_loss = view.metrics.Change(MetricKind::kValidationLoss, view.now);
  Finding finding;
  finding.holds = !view.has_generalized && course.IsAbove(start) &&
                  (!train_loss || HasFallen(view.settings, *train_loss)) &&
                  (!validation_loss || !HasFallen(view.settings, *validation_loss));
  finding.reason =
      absl::StrFormat("the mean LID is %.4g, %+.3g against its start at %.4g (threshold %.3g)",
                      course.current().mean, rise, start.mean, threshold);
  finding.evidence = {{"mean", course.current().mean},
                      {"start", start.mean},
                      {"rise", rise},
                      {"threshold", threshold}};
  for (const auto* loss : {&train_loss, &validation_loss}) {
    if (!*loss) continue;
    finding.reason += absl::StrFormat("; %s went from %.3g to %.3g", (*loss)->name, (*loss)->first,
                                      (*loss)->newest);
    finding.evidence[(*loss)->name] = (*loss)->newest;
  }
  if (view.has_generalized) finding.reason += "; it has fallen from its peak, as when generalizing";
  return finding;
}

}  // namespace dimwatch
