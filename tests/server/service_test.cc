// The services of a real server in this process, over real channels.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cmath>
#include <future>
#include <thread>

#include "dimwatch/v1/ingest.grpc.pb.h"
#include "dimwatch/v1/query.grpc.pb.h"
#include "dimwatch/v1/run.grpc.pb.h"
#include "server/limits.h"
#include "server/server.h"
#include "server/wall_clock.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch::server {
namespace {

constexpr int kRows = 40;
constexpr int kDim = 6;

// kRows distinct points; which ones depends on the step.
std::string Rows(std::int64_t step) {
  std::vector<float> rows;
  for (int i = 0; i < kRows * kDim; ++i) {
    rows.push_back(static_cast<float>(std::sin(1.0 + i * 12.9898 + static_cast<double>(step))));
  }
  return {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(float)};
}

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.listen = "127.0.0.1:0";
    config_.http = "127.0.0.1:0";
    config_.data_dir = (folder_.path() / "data").string();
    Start();
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(config_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // windows stay small: flow control shows
    const auto channel = grpc::CreateCustomChannel(ToString(server_->grpc_address()),
                                                   grpc::InsecureChannelCredentials(), arguments);
    runs_ = v1::RunService::NewStub(channel);
    ingest_ = v1::IngestService::NewStub(channel);
    queries_ = v1::QueryService::NewStub(channel);
  }

  void CreateRun(const std::string& run_id) {
    v1::CreateRunRequest request;
    request.mutable_run()->set_run_id(run_id);
    request.mutable_run()->set_project("tests");
    v1::ProbeConfig* probe = request.mutable_run()->mutable_config()->add_probes();
    probe->set_probe("train/x");
    probe->mutable_estimator()->set_neighbors(8);
    grpc::ClientContext context;
    v1::CreateRunResponse response;
    const grpc::Status status = runs_->CreateRun(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  void FinishRun(const std::string& run_id) {
    v1::FinishRunRequest request;
    request.set_run_id(run_id);
    grpc::ClientContext context;
    v1::FinishRunResponse response;
    const grpc::Status status = runs_->FinishRun(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.run().state(), v1::RUN_STATE_FINISHED);
  }

  ::dimwatch::testing::TempFolder folder_;
  WallClock clock_;
  Config config_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::RunService::Stub> runs_;
  std::unique_ptr<v1::IngestService::Stub> ingest_;
  std::unique_ptr<v1::QueryService::Stub> queries_;
};

// One job's stream, read only when a test says so.
class Job {
 public:
  Job(v1::IngestService::Stub& stub, const std::string& run_id) : stream_(stub.Ingest(&context_)) {
    v1::IngestRequest request;
    request.mutable_hello()->set_run_id(run_id);
    request.mutable_hello()->set_session_epoch(1);
    EXPECT_TRUE(stream_->Write(request));
  }

  bool Samples(std::int64_t seq, std::int64_t step, const std::string& data) {
    v1::IngestRequest request;
    v1::SampleBatch* batch = request.mutable_samples();
    batch->set_seq(seq);
    batch->set_probe("train/x");
    batch->set_step(step);
    batch->set_dtype(v1::DTYPE_F32);
    batch->set_rows(kRows);
    batch->set_dim(kDim);
    batch->set_data(data);
    batch->set_snapshot_end(true);
    return stream_->Write(request);
  }
  bool Scalar(std::int64_t seq) {
    v1::IngestRequest request;
    request.mutable_scalars()->set_seq(seq);
    request.mutable_scalars()->set_step(seq);
    (*request.mutable_scalars()->mutable_values())["loss"] = 1;
    return stream_->Write(request);
  }
  bool WritesDone() { return stream_->WritesDone(); }

  // Everything up to the end, and how it ended.
  grpc::Status ReadAll(std::vector<v1::IngestResponse>& responses) {
    v1::IngestResponse response;
    while (stream_->Read(&response)) responses.push_back(response);
    return stream_->Finish();
  }
  v1::IngestResponse Read() {
    v1::IngestResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
};

TEST_F(ServiceTest, EverythingIsAcknowledgedBeforeTheStreamEndsWithOk) {
  CreateRun("r");
  Job job(*ingest_, "r");
  EXPECT_TRUE(job.Read().has_welcome());
  for (std::int64_t i = 1; i <= 200; ++i) ASSERT_TRUE(job.Samples(i, i, Rows(i)));
  job.WritesDone();
  std::vector<v1::IngestResponse> responses;
  const grpc::Status status = job.ReadAll(responses);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::int64_t durable = 0;
  for (const v1::IngestResponse& response : responses) {
    EXPECT_FALSE(response.has_nack());
    if (response.has_ack()) durable = response.ack().durable_seq();
  }
  EXPECT_EQ(durable, 200);
}

TEST_F(ServiceTest, RejectedLastItemDoesNotHoldTheEndBack) {
  CreateRun("r");
  Job job(*ingest_, "r");
  ASSERT_TRUE(job.Samples(1, 1, Rows(1)));
  ASSERT_TRUE(job.Samples(2, 2, "short"));
  job.WritesDone();
  std::vector<v1::IngestResponse> responses;
  EXPECT_TRUE(job.ReadAll(responses).ok());
  std::int64_t durable = 0;
  for (const v1::IngestResponse& response : responses) {
    if (response.has_ack()) durable = response.ack().durable_seq();
  }
  EXPECT_EQ(durable, 2);
}

TEST_F(ServiceTest, JobThatDoesNotReadIsStoppedByItsRejections) {
  CreateRun("r");
  Job job(*ingest_, "r");
  // Items and their rejections exceed every buffer on the way.
  constexpr std::int64_t kItems = 4'000;
  const std::string junk(32 << 10, 'x');
  std::int64_t written = 0;
  std::future<void> writer = std::async(std::launch::async, [&] {
    while (written < kItems && job.Samples(written + 1, 1, junk)) ++written;
    job.WritesDone();
  });
  EXPECT_EQ(writer.wait_for(std::chrono::seconds(1)), std::future_status::timeout)
      << "the server reads on while nobody reads its answers";
  std::vector<v1::IngestResponse> responses;
  const grpc::Status status = job.ReadAll(responses);
  writer.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(written, kItems);
  std::int64_t nacks = 0;
  for (const v1::IngestResponse& response : responses) nacks += response.has_nack() ? 1 : 0;
  EXPECT_EQ(nacks, kItems) << "every rejection is told, however slow the reader";
}

TEST_F(ServiceTest, StopTellsOpenStreamsAndKeepsWhatWasAcknowledged) {
  CreateRun("r");
  // First, so that the server knows it by the time it answers the others on the same connection.
  grpc::ClientContext silent_context;
  const auto silent = ingest_->Ingest(&silent_context);
  Job job(*ingest_, "r");
  EXPECT_TRUE(job.Read().has_welcome());
  for (std::int64_t i = 1; i <= 50; ++i) ASSERT_TRUE(job.Samples(i, i, Rows(i)));
  while (job.Read().ack().durable_seq() < 50) {
  }
  grpc::ClientContext context;
  v1::WatchRunRequest request;
  request.set_run_id("r");
  const auto watch = queries_->WatchRun(&context, request);
  v1::WatchRunResponse event;
  ASSERT_TRUE(watch->Read(&event));

  server_->Stop();
  std::vector<v1::IngestResponse> responses;
  EXPECT_EQ(job.ReadAll(responses).error_code(), grpc::StatusCode::UNAVAILABLE);
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(silent->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  server_.reset();
  Start();
  FinishRun("r");
  grpc::ClientContext list_context;
  v1::ListEstimatesRequest list;
  list.set_run_id("r");
  v1::ListEstimatesResponse estimates;
  ASSERT_TRUE(queries_->ListEstimates(&list_context, list, &estimates).ok());
  EXPECT_EQ(estimates.estimates_size(), 50);
}

TEST_F(ServiceTest, AStopRejectsNothingOfWhatArrivesMeanwhile) {
  CreateRun("r");
  std::int64_t sent = 0;
  for (int round = 0; round < 5; ++round) {
    Job job(*ingest_, "r");
    sent = job.Read().welcome().resume_seq();
    std::thread writer([&] {
      while (job.Scalar(sent + 1)) ++sent;
    });
    job.Read();  // an acknowledgement: items are arriving
    server_->Stop();
    std::vector<v1::IngestResponse> responses;
    EXPECT_EQ(job.ReadAll(responses).error_code(), grpc::StatusCode::UNAVAILABLE);
    writer.join();
    for (const v1::IngestResponse& response : responses) {
      EXPECT_FALSE(response.has_nack()) << response.nack().message();
    }
    server_.reset();
    Start();
  }
  EXPECT_GT(sent, 0);
}

TEST_F(ServiceTest, WatchersSeeEachEventOnceWhileTheRunGoesOn) {
  CreateRun("r");
  constexpr std::int64_t kSteps = 300;  // more than one page of events
  std::vector<std::vector<std::int64_t>> seen(3);
  std::vector<std::thread> watchers;
  for (std::vector<std::int64_t>& steps : seen) {
    watchers.emplace_back([&] {
      grpc::ClientContext context;
      v1::WatchRunRequest request;
      request.set_run_id("r");
      const auto watch = queries_->WatchRun(&context, request);
      std::int64_t cursor = 0;
      v1::WatchRunResponse event;
      while (watch->Read(&event)) {
        EXPECT_GT(event.cursor(), cursor);
        cursor = event.cursor();
        if (event.has_estimate()) steps.push_back(event.estimate().step());
      }
      EXPECT_TRUE(watch->Finish().ok());
    });
  }
  Job job(*ingest_, "r");
  for (std::int64_t i = 1; i <= kSteps; ++i) ASSERT_TRUE(job.Samples(i, i, Rows(i)));
  job.WritesDone();
  std::vector<v1::IngestResponse> responses;
  EXPECT_TRUE(job.ReadAll(responses).ok());
  FinishRun("r");
  for (std::thread& watcher : watchers) watcher.join();
  for (const std::vector<std::int64_t>& steps : seen) {
    ASSERT_EQ(steps.size(), static_cast<std::size_t>(kSteps));
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(steps[i], static_cast<std::int64_t>(i) + 1);
    }
  }
}

TEST_F(ServiceTest, JobsThatVanishLeaveRoomForTheNext) {
  CreateRun("r");
  for (std::int64_t i = 1; i <= 20; ++i) {
    grpc::ClientContext context;
    const auto stream = ingest_->Ingest(&context);
    v1::IngestRequest request;
    request.mutable_hello()->set_run_id("r");
    request.mutable_hello()->set_session_epoch(1);
    stream->Write(request);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  Job job(*ingest_, "r");
  ASSERT_TRUE(job.Samples(1, 1, Rows(1)));
  job.WritesDone();
  std::vector<v1::IngestResponse> responses;
  EXPECT_TRUE(job.ReadAll(responses).ok());
}

}  // namespace
}  // namespace dimwatch::server
