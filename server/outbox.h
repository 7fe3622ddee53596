// What waits to be written to one ingest client, in bounded memory however slowly it reads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "dimwatch/v1/ingest.pb.h"

namespace dimwatch::server {

// Acks melt into one. Nacks are all kept, so the caller stops reading while nacks_full(). Of
// estimates, signals and decisions all are kept up to kMaxQueuedEvents; beyond, a new one replaces
// the oldest of the same probe (and signal), so that a slow job misses history but never the newest
// state. Not thread-safe.
class Outbox {
 public:
  void Ack(std::int64_t received_seq, std::int64_t durable_seq);
  void Nack(v1::Nack nack);
  void Add(v1::Estimate estimate);
  void Add(v1::AttentionEstimate estimate);
  void Add(v1::Signal signal);
  void Add(v1::Decision decision);
  // The last message; everything added before goes first.
  void Drain() { draining_ = true; }

  bool nacks_full() const;
  // The next message, none if nothing waits. Nacks go before the ack that covers them; acks and
  // events take turns.
  std::optional<v1::IngestResponse> Next();

 private:
  struct Event {
    std::string key;
    v1::IngestResponse response;
  };
  void AddEvent(Event event);
  v1::IngestResponse TakeAck();

  v1::Ack ack_;
  bool ack_changed_ = false;
  bool ack_was_last_ = false;
  bool draining_ = false;
  std::deque<v1::Nack> nacks_;
  std::deque<Event> events_;
};

}  // namespace dimwatch::server
