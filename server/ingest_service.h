// IngestService over gRPC.
#pragma once

#include "dimwatch/v1/ingest.grpc.pb.h"
#include "server/ingest_call.h"

namespace dimwatch::server {

// Thread-safe. Messages are parsed by ourselves: gRPC would report one that cannot be parsed as the
// regular end of the stream.
class IngestService final
    : public v1::IngestService::WithRawCallbackMethod_Ingest<v1::IngestService::Service> {
 public:
  explicit IngestService(IngestContext context) : context_(context) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Ingest(
      grpc::CallbackServerContext* context) override {
    return IngestCall::Start(*context, context_);
  }

 private:
  IngestContext context_;
};

}  // namespace dimwatch::server
