#include "server/outbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/limits.h"

namespace dimwatch::server {

void Outbox::Ack(std::int64_t received_seq, std::int64_t durable_seq) {
  if (received_seq == ack_.received_seq() && durable_seq == ack_.durable_seq()) return;
  ack_.set_received_seq(received_seq);
  ack_.set_durable_seq(durable_seq);
  ack_changed_ = true;
}

void Outbox::Nack(v1::Nack nack) { nacks_.push_back(std::move(nack)); }

void Outbox::Add(v1::Estimate estimate) {
  Event event{absl::StrCat("estimate ", estimate.probe()), {}};
  *event.response.mutable_estimate() = std::move(estimate);
  AddEvent(std::move(event));
}

void Outbox::Add(v1::AttentionEstimate estimate) {
  Event event{absl::StrCat("attention ", estimate.probe()), {}};
  *event.response.mutable_attention() = std::move(estimate);
  AddEvent(std::move(event));
}

void Outbox::Add(v1::Signal signal) {
  Event event{absl::StrCat("signal ", signal.signal(), " ", signal.probe()), {}};
  *event.response.mutable_signal() = std::move(signal);
  AddEvent(std::move(event));
}

void Outbox::Add(v1::Decision decision) {
  Event event{"decision", {}};
  *event.response.mutable_decision() = std::move(decision);
  AddEvent(std::move(event));
}

void Outbox::AddEvent(Event event) {
  if (events_.size() >= kMaxQueuedEvents) {
    const auto older = std::find_if(events_.begin(), events_.end(),
                                    [&](const Event& queued) { return queued.key == event.key; });
    if (older != events_.end()) events_.erase(older);
  }
  events_.push_back(std::move(event));
}

bool Outbox::nacks_full() const { return nacks_.size() >= kMaxQueuedNacks; }

std::optional<v1::IngestResponse> Outbox::Next() {
  v1::IngestResponse response;
  if (!nacks_.empty()) {
    *response.mutable_nack() = std::move(nacks_.front());
    nacks_.pop_front();
    return response;
  }
  if (ack_changed_ && (!ack_was_last_ || events_.empty())) return TakeAck();
  ack_was_last_ = false;
  if (!events_.empty()) {
    response = std::move(events_.front().response);
    events_.pop_front();
    return response;
  }
  if (!draining_) return std::nullopt;
  draining_ = false;
  response.mutable_draining();
  return response;
}

v1::IngestResponse Outbox::TakeAck() {
  v1::IngestResponse response;
  *response.mutable_ack() = ack_;
  ack_changed_ = false;
  ack_was_last_ = true;
  return response;
}

}  // namespace dimwatch::server
