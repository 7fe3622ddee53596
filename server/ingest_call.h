// One open ingest stream: a session of the monitor on one side, gRPC on the other.
//
// Guaranteed:
//  1. gRPC's threads only hand over: messages are parsed and logged on the handlers' threads, one
//     at a time and in order.
//  2. While the run's queue is full, or the client does not read its rejections, nothing is read;
//     gRPC's flow control then stops the client.
//  3. One write is under way at a time; what waits is bounded (outbox.h).
//  4. The stream ends only after what was queued for the client before has been written, unless its
//     token ended.
//  5. Nothing is read before the caller is known, and no session opened before it is allowed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "dimwatch/v1/ingest.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/access.h"
#include "server/metrics.h"
#include "server/outbox.h"
#include "server/stoppable.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/monitor/monitor.h"

namespace dimwatch::server {

// What every stream needs; all outlive it.
struct IngestContext {
  Monitor& monitor;
  ThreadPool& handlers;
  ServerMetrics& metrics;
  const Clock& clock;
  std::int64_t max_batch_bytes;
  const Access& access;
  OpenStreams& open;
};

// Thread-safe. Lives until gRPC is done with it and the session is closed.
class IngestCall final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                         public SessionListener,
                         public Stoppable,
                         public std::enable_shared_from_this<IngestCall> {
 public:
  static IngestCall* Start(grpc::CallbackServerContext& grpc_context, const IngestContext& context);
  // Draining and UNAVAILABLE.
  void Stop() override;
  void Revoke(const absl::Status& why) override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void OnDurable(std::int64_t seq) override;
  void OnChanges(const RunChanges& changes) override;
  void OnRoom() override;
  void OnEnd(absl::Status reason) override;

 private:
  IngestCall(Principal principal, grpc::CallbackServerContext& grpc_context,
             const IngestContext& context);

  // On a handler's thread, one at a time; without the lock.
  void Process();
  absl::StatusOr<SessionStart> Open(const v1::IngestRequest& request);
  void Greet(const v1::IngestRequest& request);
  void Take(v1::IngestRequest request);
  // Closes the session and lets go of this call; after OnDone, when nothing is processed.
  void Close();
  void LogEnd();
  void Reject(std::int64_t seq, std::int64_t rows, const absl::Status& status, std::string field,
              bool counted);

  // REQUIRES: mutex_ held.
  void ReadOn();
  void WriteOn();
  void Acknowledge();
  void EndWith(const absl::Status& status);

  grpc::CallbackServerContext& grpc_context_;
  const IngestContext context_;
  std::shared_ptr<IngestCall> self_;  // until Close
  grpc::ByteBuffer read_;             // touched by a read or by Process, never both
  grpc::ByteBuffer write_;
  const std::string request_id_;
  std::string run_id_;
  std::string project_;
  std::unique_ptr<IngestSession> session_;  // set once, by Greet

  std::mutex mutex_;
  // All guarded by mutex_.
  Outbox outbox_;
  std::optional<v1::IngestResponse> welcome_;  // to be written first
  bool greeted_ = false;                       // nothing is written before the welcome, or revoked
  bool reading_ = false;                       // a read is under way, or its message processed
  bool writing_ = false;
  bool half_closed_ = false;
  bool wait_for_room_ = false;
  std::optional<grpc::Status> ending_;  // once everything is written
  bool finished_ = false;
  bool done_ = false;  // gRPC is done with the call
  std::int64_t received_ = 0;
  std::int64_t accepted_ = 0;                                      // highest seq taken
  std::int64_t durable_ = 0;                                       // as the monitor said
  std::deque<std::pair<std::int64_t, absl::Duration>> undurable_;  // seq, when it came
};

}  // namespace dimwatch::server
