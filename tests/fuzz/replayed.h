// A sink of replays that prints everything as `dimwatch replay --json` does, and keeps nothing.
#pragma once

#include <cmath>
#include <string>

#include "client/cli/json.h"
#include "client/cli/replayer.h"
#include "tests/fuzz/fuzz.h"

namespace dimwatch::cli {

class CheckingSink final : public ReplaySink {
 public:
  void Add(const RunChanges& changes) override {
    for (const EstimateRecord& record : changes.estimates) {
      if (record.estimate.mean) FUZZ_REQUIRE(std::isfinite(*record.estimate.mean));
      Print(ToJson(record));
    }
    for (const SignalRecord& record : changes.signals) Print(ToJson(record.signal));
    for (const DecisionRecord& record : changes.decisions) Print(ToJson(record.decision));
    for (const ScalarRecord& record : changes.scalars) {
      Print(ScalarJson(record.step.value, record.name, record.value));
    }
  }
  void Rejected(Step, const std::string&, const std::string& reason) override {
    FUZZ_REQUIRE(!reason.empty());
  }
  void Finish(const Decision& decision) override { Print(ToJson(decision)); }

 private:
  static void Print(const Json& line) { FUZZ_REQUIRE(!line.dump().empty()); }
};

}  // namespace dimwatch::cli
