#include "src/monitor/attention_admission.h"

#include <limits>

#include "tests/monitor/admission_fixture.h"
#include "tests/monitor/job.h"

namespace dimwatch {
namespace {

using testing::AttentionProbe;
using testing::Declaration;
using testing::Dimensions;
using testing::Maps;
using testing::NewRun;
using testing::Samples;
using testing::SnapshotProbe;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

class AttentionAdmissionTest : public testing::AdmissionFixture {
 protected:
  AttentionAdmissionTest()
      : AdmissionFixture({NewRun("r", {SnapshotProbe("train/a"), AttentionProbe("train/maps")}),
                          {.max_batch_bytes = 100}}) {}
};

TEST_F(AttentionAdmissionTest, EachKindOfProbeTakesItsOwnKindOfBatch) {
  Take(Dimensions(1, "train/maps", 1, {3, 4}));
  Take(Samples(2, "train/a", 1, 5));
  ExpectRejected(Dimensions(3, "train/a", 1, {3, 4}), kInvalid, "probe",
                 "'train/a' watches samples, and takes no attention maps");
  ExpectRejected(Samples(3, "train/maps", 1), kInvalid, "probe",
                 "'train/maps' watches attention maps, and takes no samples");
  ExpectRejected(Dimensions(3, "x", 1, {3}), absl::StatusCode::kNotFound, "probe", "not declared");
}

TEST_F(AttentionAdmissionTest, NumbersMustMakeSense) {
  AttentionItem item = Dimensions(1, "train/maps", -1, {3});
  ExpectRejected(item, kInvalid, "step", "-1 got");
  item = Dimensions(1, "train/maps", 1, {});
  ExpectRejected(item, kInvalid, "prompts", "none got");
  item.invalid_prompts = 1;
  EXPECT_TRUE(admission_.Check(item).status.ok());
  item.invalid_prompts = -1;
  ExpectRejected(item, kInvalid, "invalid_prompts", "-1 got");
  item = Dimensions(1, "train/maps", 1, {3});
  item.dropped_prompts = -1;
  ExpectRejected(item, kInvalid, "dropped_prompts", "-1 got");
  item = Dimensions(1, "train/maps", 1, {3});
  item.heads = 0;
  ExpectRejected(item, kInvalid, "heads", "0 got; allowed are 1 to 1024");
  item = Dimensions(1, "train/maps", 1, {3});
  item.positions = 0;
  ExpectRejected(item, kInvalid, "positions", "0 got; allowed are 1 to 1048576");
  item = Dimensions(1, "train/maps", 1, {3});
  item.prompts = std::numeric_limits<std::int64_t>::max();
  item.prompt_ids.clear();
  ExpectRejected(item, kExhausted, "prompts", "at most 100000 are allowed");
}

TEST_F(AttentionAdmissionTest, TheFirstBatchFixesTheHeads) {
  Take(Dimensions(1, "train/maps", 1, {3}));
  AttentionItem other = Dimensions(2, "train/maps", 2, {3});
  other.heads = 3;
  ExpectRejected(other, kInvalid, "heads", "probe 'train/maps': 2 heads expected, got 3");
  Take(Declaration(2, AttentionProbe("train/maps")));
  ProbeSettings changed = AttentionProbe("train/maps");
  changed.attention->epsilon = 0.2;
  ExpectRejected(Declaration(3, changed), absl::StatusCode::kAlreadyExists, "config.attention",
                 "with another attention");
}

TEST_F(AttentionAdmissionTest, DimensionsAreBoundedByTheirDefinition) {
  Take(Dimensions(1, "train/maps", 1, {0, 18}));
  ExpectRejected(Dimensions(2, "train/maps", 1, {0, 19}), kInvalid, "dimensions",
                 "19 got; 2 heads of 9 positions count 0 to 18 above 0.1");
  ExpectRejected(Dimensions(2, "train/maps", 1, {-1}), kInvalid, "dimensions", "-1 got");
  AttentionItem item = Dimensions(2, "train/maps", 1, {3});
  item.prompts = 2;
  item.prompt_ids.clear();
  ExpectRejected(item, kInvalid, "dimensions", "1 got; one for each of the 2 prompts");
}

TEST_F(AttentionAdmissionTest, MapsAreCheckedBeforeTheyAreLogged) {
  Take(Maps(1, "train/maps", 1, {{0.5, 0.5}}));
  ExpectRejected(Maps(2, "train/maps", 1, {{0.5, 0.5}, {0.5, 0.7F}}), kInvalid, "data",
                 "prompt 1, head 0: the weights sum to 1.2");
  AttentionItem item = Maps(2, "train/maps", 1, {{0.5, 0.5}});
  item.query_positions = {0};
  ExpectRejected(item, kInvalid, "data", "lies behind the query");
  item.query_positions = {0, 0};
  ExpectRejected(item, kInvalid, "query_positions", "2 got; allowed are none, or one for each");
  item.query_positions.clear();
  item.first_positions = {0, 0};
  ExpectRejected(item, kInvalid, "first_positions", "2 got; allowed are none, or one for each");
  item = Maps(2, "train/maps", 1, {{0.5, 0.5}});
  item.data.pop_back();
  ExpectRejected(item, kInvalid, "data",
                 "7 bytes got; 1 prompts x 1 heads x 2 positions of 4 bytes expected");
  item = Maps(2, "train/maps", 1, {std::vector<float>(26, 1 / 26.0F)});
  ExpectRejected(item, kExhausted, "data", "104 bytes got; at most 100 (max_batch_bytes)");
  item = Maps(2, "train/maps", 1, {{0.5, 0.5}});
  item.dimensions = {2};
  ExpectRejected(item, kInvalid, "dimensions", "together with data");
  item.dimensions.clear();
  item.invalid_prompts = 1;
  ExpectRejected(item, kInvalid, "invalid_prompts", "given with data");
}

TEST_F(AttentionAdmissionTest, PromptIdsAreOnePerPromptAndEachOnce) {
  AttentionItem item = Dimensions(1, "train/maps", 1, {3, 4});
  item.prompt_ids = {7};
  ExpectRejected(item, kInvalid, "prompt_ids", "1 got; allowed are none, or one for each of the 2");
  item.prompt_ids = {7, 7};
  ExpectRejected(item, kInvalid, "prompt_ids", "7 got twice; each prompt needs an id of its own");
}

TEST_F(AttentionAdmissionTest, PromptsOfOneStepAreLimited) {
  AttentionItem item =
      Dimensions(1, "train/maps", 1, std::vector<std::int64_t>(kMaxPromptsPerStep, 1));
  item.snapshot_end = false;
  Take(item);
  ExpectRejected(Dimensions(2, "train/maps", 1, {1}), kExhausted, "prompts",
                 "100001 prompts in step 1; at most 100000");
  Take(Dimensions(2, "train/maps", 2, {1}));
}

}  // namespace
}  // namespace dimwatch
