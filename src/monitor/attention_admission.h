// What attention maps may enter a run: the part of RunAdmission about them.
#pragma once

#include <cstdint>

#include "src/monitor/admission.h"
#include "src/store/ingest_item.h"
#include "src/window/settings.h"

namespace dimwatch {

// `probe`: as declared, or as it is since its first batch. `prompts`: those of the open step, with
// this batch. Counts the maps, if the client did not: whatever is wrong with them is found here.
RunAdmission::Rejection CheckAttention(const AttentionItem& item, const ProbeSettings& probe,
                                       std::int64_t prompts, std::int64_t max_batch_bytes);

}  // namespace dimwatch
