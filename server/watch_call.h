// One WatchRun: reads the run's history from the store behind a cursor, page by page, and waits for
// the monitor's word when there is no more.
//
// Guaranteed:
//  1. Every event behind the cursor is sent once, in order: the store is the only source, and the
//     subscription is made before the first read.
//  2. A slow reader costs one page of events (kWatchPage), and nobody waits for it.
//  3. It ends with OK when the run has ended and everything was sent, NOT_FOUND when the run is
//     deleted, UNAVAILABLE when the server stops, UNAUTHENTICATED when the token ends. Nothing is
//     sent before the caller's right to the run was checked, page by page.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dimwatch/v1/query.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/access.h"
#include "server/query_handlers.h"
#include "server/stoppable.h"
#include "src/base/thread_pool.h"

namespace dimwatch::server {

// What every watch needs; all outlive it.
struct WatchContext {
  QueryHandlers& query_handlers;
  Monitor& monitor;
  ThreadPool& handlers;
  const Access& access;
  OpenStreams& open;
};

// Thread-safe. Lives until gRPC is done with it.
class WatchCall final : public grpc::ServerWriteReactor<v1::WatchRunResponse>,
                        public Stoppable,
                        public std::enable_shared_from_this<WatchCall> {
 public:
  static WatchCall* Start(const grpc::CallbackServerContext& grpc_context,
                          const v1::WatchRunRequest& request, const WatchContext& context);
  void Stop() override;
  void Revoke(const absl::Status& why) override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  WatchCall(Principal principal, std::string request_id, const v1::WatchRunRequest& request,
            const WatchContext& context);

  // Subscribes and reads the first page; on a handler's thread.
  void Begin();
  // Reads the next page and writes it; on a handler's thread, one at a time.
  void ReadPage();
  // What ReadPage does with what it read.
  void TakePage(absl::StatusOr<std::vector<v1::WatchRunResponse>> page, bool ended);
  // Something was committed.
  void Notify();
  void SubmitRead();                  // REQUIRES: mutex_ held
  void FinishOnce(absl::Status why);  // REQUIRES: mutex_ held

  const WatchContext context_;
  const v1::WatchRunRequest request_;
  const std::string request_id_;
  std::shared_ptr<WatchCall> self_;  // until OnDone

  std::mutex mutex_;
  std::shared_ptr<void> subscription_;
  // All guarded by mutex_. Exactly one of reading, writing and waiting is going on.
  std::vector<v1::WatchRunResponse> page_;
  std::size_t next_ = 0;  // of page_: being written
  std::int64_t cursor_;   // of the last event read
  bool reading_ = true;
  bool writing_ = false;
  bool news_ = false;  // came while reading or writing
  bool finished_ = false;
};

}  // namespace dimwatch::server
