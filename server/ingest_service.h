// IngestService over gRPC.
#pragma once

#include "dimwatch/v1/ingest.grpc.pb.h"
#include "server/ingest_call.h"
#include "server/stoppable.h"

namespace dimwatch::server {

// Thread-safe. Messages are parsed by ourselves: gRPC would report one that cannot be parsed as the
// regular end of the stream.
class IngestService final
    : public v1::IngestService::WithRawCallbackMethod_Ingest<v1::IngestService::Service> {
 public:
  explicit IngestService(IngestContext context) : context_(context) {}

  // Ends every stream with Draining and UNAVAILABLE, now and from now on.
  void Stop() { streams_.StopAll(); }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Ingest(
      grpc::CallbackServerContext* context) override {
    return IngestCall::Start(*context, context_, streams_);
  }

 private:
  IngestContext context_;
  OpenStreams streams_;
};

}  // namespace dimwatch::server
