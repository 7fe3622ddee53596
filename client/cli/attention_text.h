// The attention-graph dimension for people and programs, whether it was computed here or came from
// a server. Always with its error, its prompts and how it was counted.
#pragma once

#include <string>
#include <vector>

#include "client/cli/json.h"
#include "dimwatch/v1/result.pb.h"
#include "src/store/records.h"

namespace dimwatch::cli {

AttentionRecord FromProto(const v1::AttentionEstimate& estimate);

// The keys of `dimwatch attention --json`.
Json ToJson(const AttentionEstimate& estimate);
// {"type":"attention","step","probe",...}, with the keys above.
Json ToJson(const AttentionRecord& record);

// One estimate as a row of a table.
std::vector<std::string> AttentionHeader();
std::vector<std::string> AttentionCells(const AttentionRecord& record);
// "weights above 0.1, 4 heads"
std::string CountingText(const AttentionSettings& settings);
// One line: "step 20  train/maps  attention 7.12 ± 0.31 ...".
std::string AttentionLine(const AttentionRecord& record);

}  // namespace dimwatch::cli
