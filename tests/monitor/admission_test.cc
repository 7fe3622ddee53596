#include "src/monitor/admission.h"

#include <limits>

#include "tests/monitor/admission_fixture.h"
#include "tests/monitor/job.h"

namespace dimwatch {
namespace {

using testing::Declaration;
using testing::NewRun;
using testing::RollingProbe;
using testing::Samples;
using testing::Scalars;
using testing::Snapshot;
using testing::SnapshotProbe;

class RunAdmissionTest : public testing::AdmissionFixture {
 protected:
  RunAdmissionTest()
      : AdmissionFixture(
            {NewRun("r", {SnapshotProbe("train/a"), RollingProbe("train/b")}), SmallLimits()}) {}

  static RunLimits SmallLimits() {
    RunLimits limits;
    limits.max_probes = 3;
    limits.max_scalar_names = 2;
    limits.max_batch_bytes = 1200;
    limits.max_window_bytes = 1600;
    return limits;
  }
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

TEST_F(RunAdmissionTest, AnUnknownProbeIsNotFoundAndTheDeclaredOnesAreListed) {
  ExpectRejected(Samples(1, "train/x\n", 1), absl::StatusCode::kNotFound, "probe",
                 "is not declared; declared are 'train/a', 'train/b'");
}

TEST_F(RunAdmissionTest, TheFirstBatchFixesTheDimension) {
  Take(Samples(1, "train/a", 1, 30, 3));
  ExpectRejected(Samples(2, "train/a", 1, 30, 4), kInvalid, "dim", "dimension 3 expected, got 4");
}

TEST_F(RunAdmissionTest, DataMustHoldExactlyTheRows) {
  SampleItem item = Samples(1, "train/a", 1, 30, 3);
  item.data.pop_back();
  ExpectRejected(item, kInvalid, "data",
                 "359 bytes got; 30 rows of 3 components of 4 bytes expected");
  item = Samples(1, "train/a", 1, 30, 3);
  item.rows = std::numeric_limits<std::int64_t>::max();
  ExpectRejected(item, kInvalid, "data", "bytes got");
}

TEST_F(RunAdmissionTest, EmptyNegativeAndOversizedBatchesAreRejected) {
  ExpectRejected(Samples(1, "train/a", 1, 0, 3), kInvalid, "rows", "0 got");
  ExpectRejected(Samples(1, "train/a", -1), kInvalid, "step", "-1 got");
  SampleItem item = Samples(1, "train/a", 1);
  item.dim = 0;
  ExpectRejected(item, kInvalid, "dim", "0 got; allowed are 1 to 65536");
  item = Samples(1, "train/a", 1);
  item.dropped_rows = -1;
  ExpectRejected(item, kInvalid, "dropped_rows", "-1 got");
  ExpectRejected(Samples(1, "train/a", 1, 101, 3), kExhausted, "data",
                 "max_batch_bytes: data: 1212 bytes got; at most 1200 are");
}

TEST_F(RunAdmissionTest, SampleIdsAreOnePerRowAndEachOnce) {
  SampleItem item = Samples(1, "train/a", 1, 3, 2);
  item.sample_ids = {1, 2};
  ExpectRejected(item, kInvalid, "sample_ids", "2 got; allowed are none, or one for each of the 3");
  item.sample_ids = {1, 2, 1};
  ExpectRejected(item, kInvalid, "sample_ids", "1 got twice");
}

TEST_F(RunAdmissionTest, ASnapshotMayNotOutgrowTheWindowLimit) {
  Take(Samples(1, "train/a", 1, 80, 3));
  ExpectRejected(Samples(2, "train/a", 1, 80, 3), kExhausted, "rows",
                 "a window of 160 rows of 3 components would take 1920 bytes, with what is "
                 "kept of it; at most 1600");
  Take(Samples(3, "train/a", 2, 80, 3));
  Take(Snapshot(4, "train/a", 2, 40, 3));
  Take(Samples(5, "train/a", 2, 80, 3));
}

TEST_F(RunAdmissionTest, ARollingWindowMustFitAsAWhole) {
  ExpectRejected(Samples(1, "train/b", 1, 1, 11), kExhausted, "rows", "a window of 40 rows of 11");
}

TEST_F(RunAdmissionTest, AnItemThatWasThereBeforeIsKnownAndIgnored) {
  Take(Samples(5, "train/a", 1));
  EXPECT_EQ(admission_.last_seq(), 5);
  for (const std::int64_t seq : {1, 5}) {
    const auto again = admission_.Check(Samples(seq, "no such probe", -1));
    EXPECT_TRUE(again.status.ok());
    EXPECT_TRUE(again.known);
  }
  ExpectRejected(Samples(0, "train/a", 1), kInvalid, "seq", "0 got");
}

TEST_F(RunAdmissionTest, AProbeMayBeDeclaredAgainButNotDifferently) {
  Take(Samples(1, "train/a", 1));
  Take(Declaration(2, SnapshotProbe("train/a")));
  ProbeSettings other = SnapshotProbe("train/a");
  other.estimator.neighbors = 7;
  ExpectRejected(Declaration(3, other), absl::StatusCode::kAlreadyExists, "config.estimator",
                 "is declared already, with another estimator");
}

TEST_F(RunAdmissionTest, DeclarationsAreCheckedAndCounted) {
  ExpectRejected(Declaration(1, SnapshotProbe("a b")), kInvalid, "config", "probe");
  Take(Declaration(2, SnapshotProbe("third")));
  Take(Samples(3, "third", 1));
  ExpectRejected(Declaration(4, SnapshotProbe("fourth")), kExhausted, "config",
                 "max_probes: probe 'fourth': the run has 3,");
}

TEST_F(RunAdmissionTest, ScalarsMustBeNamedFiniteAndFew) {
  ExpectRejected(Scalars(1, 1, {}), kInvalid, "values", "none got");
  ExpectRejected(Scalars(1, -1, {{"a", 1}}), kInvalid, "step", "-1 got");
  ExpectRejected(Scalars(1, 1, {{"a\tb", 1}}), kInvalid, "values", "values");
  ExpectRejected(Scalars(1, 1, {{"a", std::numeric_limits<double>::infinity()}}), kInvalid,
                 "values", "must be finite");
  Take(Scalars(1, 1, {{"a", 1}}));
  ExpectRejected(Scalars(2, 1, {{"b", 1}, {"c", 1}}), kExhausted, "values", "3 different scalars");
  Take(Scalars(2, 1, {{"a", 1}, {"b", 1}}));
}

TEST_F(RunAdmissionTest, StepsMayGoBackAndRowsMayHoldAnything) {
  Take(Samples(1, "train/a", 100));
  Take(Samples(2, "train/a", 50));
  SampleItem item = Samples(3, "train/a", 50);
  item.data.assign(item.data.size(), '\xff');  // NaN
  Take(item);
}

TEST_F(RunAdmissionTest, ARejectedItemChangesNothing) {
  ExpectRejected(Samples(1, "train/a", 1, 0, 9), kInvalid, "rows", "0 got");
  EXPECT_EQ(admission_.last_seq(), 0);
  Take(Samples(1, "train/a", 1, 30, 3));
}

}  // namespace
}  // namespace dimwatch
