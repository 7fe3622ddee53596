// What the HTTP side answers, without HTTP: a path and parameters in, a reply out. GET only.
//
//   /metrics  /healthz  /readyz  /            for machines, and a page that lists what there is
//   /api/v1/runs                               ListRuns
//   /api/v1/runs/{id}                          GetRun
//   /api/v1/runs/{id}/estimates|scalars|signals|decisions    List...
//   /api/v1/runs/{id}/decision                 GetDecision
//   /api/v1/compare                            CompareRuns
//   /api/v1/server                             GetServerInfo
//
// A "/" inside {id} is written %2F. Parameters are the fields of the request by name
// (?page_size=10&probe=train/x), repeated fields by repetition, labels as labels=KEY:VALUE. Replies
// are the proto3 JSON form of the response, with the field names of the contract; 64-bit integers
// are therefore strings. Errors are {"code": "NOT_FOUND", "message": "..."} with the matching HTTP
// status.
//
// Where tokens are used, everything but /healthz, /readyz and / needs one with the scope that the
// contract gives the RPC; /metrics needs one for reading, and shows the runs of its projects.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/access.h"
#include "server/metrics.h"
#include "server/query_handlers.h"
#include "server/run_handlers.h"

namespace dimwatch::server {

struct HttpReply {
  int status = 200;
  std::string type;
  std::string body;
};

using HttpParameters = std::multimap<std::string, std::string>;

// Thread-safe.
class HttpApi {
 public:
  // All outlive it.
  HttpApi(RunHandlers& runs, QueryHandlers& queries, const MetricsPage& metrics,
          const Access& access)
      : runs_(runs), queries_(queries), metrics_(metrics), access_(access) {}

  // What /readyz says.
  void SetReady(bool ready) { ready_ = ready; }

  // `path` as it came, percent-encoded, without the query; `parameters` decoded; `authorization`
  // the header, empty if there is none.
  HttpReply Get(absl::string_view path, const HttpParameters& parameters,
                absl::string_view authorization);

 private:
  HttpReply Metrics(const Principal& principal);
  absl::StatusOr<std::string> Api(const Principal& principal,
                                  const std::vector<std::string>& segments,
                                  const HttpParameters& parameters);
  absl::StatusOr<std::string> OfRun(const Principal& principal, const std::string& run_id,
                                    const std::string& what, const HttpParameters& parameters);
  // Reads a Request out of `parameters`, lets `handle` (absl::Status(const Request&, Response&))
  // answer if that is allowed, and prints the response.
  template <typename Request, typename Response, typename Handle>
  absl::StatusOr<std::string> Answer(const Principal& principal, const HttpParameters& parameters,
                                     Handle handle);
  // The same by a method of QueryHandlers or RunHandlers.
  template <typename Request, typename Response, typename Handlers>
  absl::StatusOr<std::string> Answer(const Principal& principal, const HttpParameters& parameters,
                                     Handlers& handlers,
                                     absl::Status (Handlers::*handle)(const Request&, Response&));

  RunHandlers& runs_;
  QueryHandlers& queries_;
  const MetricsPage& metrics_;
  const Access& access_;
  std::atomic<bool> ready_ = false;
};

// The reply that tells `status` to the caller.
HttpReply ErrorReply(const absl::Status& status);

// Sets the fields of `request` from `parameters`. INVALID_ARGUMENT names the parameter.
absl::Status FillRequest(const HttpParameters& parameters, google::protobuf::Message& request);

// What `path` asks for, for counting: one of the paths above with {id} for the run's, or "other".
std::string RouteOf(absl::string_view path);

// Splits a path at "/" and decodes each part; INVALID_ARGUMENT for a bad percent sign.
absl::StatusOr<std::vector<std::string>> DecodePath(absl::string_view path);

}  // namespace dimwatch::server
