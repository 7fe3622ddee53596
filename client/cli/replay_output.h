// What a replay prints: JSON lines as it goes, or a table for people at the end.
#pragma once

#include <string>

#include "client/cli/replayer.h"
#include "client/cli/text.h"
#include "src/store/records.h"

namespace dimwatch::cli {

class ReplayOutput : public ReplaySink {
 public:
  explicit ReplayOutput(bool json);

  void Add(const RunChanges& changes) override;
  void Rejected(Step step, const std::string& probe, const std::string& reason) override;
  // Prints the decision in force at the end, and the table.
  void Finish(const Decision& decision) override;

 private:
  void AddRow(const EstimateRecord& record, const std::vector<SignalRecord>& signals);

  const bool json_;
  Table table_;
  std::string events_;  // signals and decisions in sentences
};

}  // namespace dimwatch::cli
