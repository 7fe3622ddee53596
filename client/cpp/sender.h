// The background half of a client: one thread that creates the run, keeps a stream to the server
// open, and moves the queue through it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/endpoint.h"
#include "client/cpp/send_queue.h"
#include "dimwatch/client.h"
#include "dimwatch/v1/ingest.grpc.pb.h"
#include "dimwatch/v1/run.grpc.pb.h"

namespace dimwatch {
inline namespace client_v1 {

// Thread-safe. In a forked child every call returns at once.
class Sender {
 public:
  Sender(client_internal::Endpoint endpoint, v1::Run run, std::int64_t queue_bytes,
         std::function<void(const std::string&)> on_warning);
  // Ends the thread; what is queued is lost.
  ~Sender();

  const std::string& run_id() const { return run_id_; }

  void Declare(v1::ProbeConfig config);
  // `batch` is complete but for its data. Throws std::bad_alloc, as LogScalars does.
  void LogSamples(v1::IngestRequest batch, const void* data, std::int64_t bytes);
  // A batch that cannot be one.
  void Refuse(const std::string& probe, std::int64_t step, std::int64_t rows,
              const std::string& why);
  void LogScalars(v1::IngestRequest scalars);
  // Counts what there was no memory for, calls of LogScalars among it.
  void Lose(std::int64_t rows, std::int64_t scalars) noexcept;
  bool Finish(std::chrono::milliseconds timeout, bool failed);
  // Accepts and sends nothing more.
  void Close();

  bool InForkedChild() const;
  bool should_stop() const {
    return stop_step_.load(std::memory_order_relaxed) <= step_.load(std::memory_order_relaxed);
  }
  Decision decision() const;
  RunStats stats() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Stream = grpc::ClientReaderWriterInterface<v1::IngestRequest, v1::IngestResponse>;
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  enum class Phase { kOpen, kFinishing, kFinished, kRefused, kClosed };

  // The job goes back where a probe, or a scalar, goes back; others may count otherwise.
  void ReachedLocked(const std::string& series, std::int64_t step);
  // Returns the rows that the queue now has: all, none, or one. Throws std::bad_alloc: then none.
  std::int64_t Take(v1::IngestRequest batch, const void* data, std::int64_t bytes);
  // Gives up a batch for which there is no room, or `reserved` and no memory, but for one row where
  // its step would else pass as complete. Returns whether that is left.
  bool LeaveOneRow(v1::SampleBatch& batch, std::int64_t reserved);
  void Loop();
  // One stream from Hello to its end. Returns whether it was welcomed.
  bool RunStream();
  void ReadEvents(Stream& stream);
  void WriteItems(Stream& stream);
  bool AwaitWelcome();
  // The next item to write, until the next call; null when the stream is broken, the client closes,
  // or everything is durable and the run finishes.
  const client_internal::QueuedItem* AwaitItem();
  // `data` is room for the item's.
  static bool WriteItem(Stream& stream, const client_internal::QueuedItem& item, std::string& data);
  void Handle(const v1::IngestResponse& event);
  void HandleNack(const v1::Nack& nack);
  void AdoptLocked(const v1::Decision& decision);
  bool DrainedLocked() const { return phase_ == Phase::kFinishing && queue_.empty(); }
  bool LiveLocked() const { return phase_ == Phase::kOpen || phase_ == Phase::kFinishing; }
  // Whether the server has the run.
  bool CreateRun();
  void FinishRun();
  // Gives up for good, or leaves it to the loop to try again, by the code.
  void HandleFailure(const grpc::Status& status, bool welcomed);
  void GiveUp(const std::string& why);
  // Without the lock. Tells each kind of trouble once.
  void Warn(const std::string& kind, const std::string& message);
  void WarnOfMemory() noexcept;
  // Calls `part`; where memory or threads run out in it, warns and returns false.
  template <typename Part>
  bool Survive(const Part& part) noexcept {
    try {
      part();
      return true;
    } catch (const std::exception&) {
      WarnOfMemory();
      return false;
    }
  }
  // While it lives, `context` is the call that Close cancels.
  class Call {
   public:
    Call(Sender& sender, grpc::ClientContext& context);
    ~Call();
    // Whether the client has not closed.
    explicit operator bool() const { return live_; }

   private:
    Sender& sender_;
    bool live_ = false;
  };

  const client_internal::Endpoint endpoint_;
  const std::string run_id_;
  const std::int64_t epoch_;
  const pid_t pid_;
  const std::function<void(const std::string&)> on_warning_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RunService::StubInterface> runs_;
  std::unique_ptr<v1::IngestService::StubInterface> ingest_;
  std::atomic<std::int64_t> stop_step_{kNever};
  std::atomic<std::int64_t> step_{-1};  // as far as the job has come, since it last went back

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // anything below changed
  // All guarded by mutex_.
  Phase phase_ = Phase::kOpen;
  bool failed_ = false;
  Clock::time_point finish_by_;
  v1::Run run_;  // as to be created, with the probes declared so far
  std::map<std::string, std::int64_t> last_steps_;  // of each "probe NAME" and "scalar NAME"
  client_internal::SendQueue queue_;
  client_internal::SendQueue::Item sending_;  // its data is read without the lock
  grpc::ClientContext* context_ = nullptr;    // of the call in progress
  bool stream_broken_ = false;
  std::int64_t max_batch_bytes_ = 0;
  Decision decision_;
  RunStats stats_;
  bool created_ = false;          // the server knows the run
  bool welcomed_ = false;         // on this stream
  std::set<std::string> warned_;  // kinds of trouble

  std::mutex join_mutex_;
  std::thread thread_;  // joined under join_mutex_
};

}  // namespace client_v1
}  // namespace dimwatch
