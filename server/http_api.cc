#include "server/http_api.h"

#include <algorithm>
#include <array>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "server/errors.h"
#include "server/version.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

constexpr absl::string_view kPage = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>dimwatch</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}
td{padding:.15rem 1rem .15rem 0;vertical-align:top}code{font-size:.95em}</style>
<h1>dimwatch</h1>
<p>Watches the intrinsic dimension of a model's representations while it trains.</p>
<table>
<tr><td><a href="/api/v1/runs"><code>/api/v1/runs</code></a><td>all runs, newest first
<tr><td><code>/api/v1/runs/{id}</code><td>one run (write <code>/</code> within an id as <code>%2F</code>)
<tr><td><code>/api/v1/runs/{id}/estimates</code><td>mean LID by step; also <code>attention</code>, <code>scalars</code>, <code>signals</code>, <code>decisions</code>, <code>settings-changes</code>, <code>decision</code>
<tr><td><code>/api/v1/runs/{id}/layers</code><td>mean LID by layer at the newest step; <code>?split=SPLIT_VALIDATION&amp;step=N</code> for another
<tr><td><code>/api/v1/compare?run_ids=A&amp;run_ids=B&amp;probe=P</code><td>one series of several runs
<tr><td><a href="/api/v1/server"><code>/api/v1/server</code></a><td>version, limits and load
<tr><td><a href="/metrics"><code>/metrics</code></a><td>for Prometheus
<tr><td><a href="/healthz"><code>/healthz</code></a>, <a href="/readyz"><code>/readyz</code></a><td>is it alive, does it serve
</table>
)";

// What is told of a run, below its path.
constexpr std::array kRunParts = {"estimates", "attention",        "scalars",  "signals",
                                  "decisions", "settings-changes", "decision", "layers"};

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  return json;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> PercentDecoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the path has a % in ", Quoted(text), " without two hexadecimal digits"));
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

absl::Status NoSuchPath(const std::string& what) {
  return absl::NotFoundError(
      absl::StrCat("nothing is served at ", Quoted(what), "; / lists what is"));
}

// A field's value in proto3 JSON; numbers may be given as strings there.
absl::Status AddValue(const google::protobuf::FieldDescriptor& field, const std::string& value,
                      nlohmann::json& object) {
  nlohmann::json& slot = object[field.name()];
  if (field.is_map()) {
    const std::size_t colon = value.find(':');
    if (colon == std::string::npos) {
      return InvalidField(field.name(), absl::StrCat(Quoted(value), " is not KEY:VALUE"));
    }
    slot[value.substr(0, colon)] = value.substr(colon + 1);
  } else if (field.is_repeated()) {
    slot.push_back(value);
  } else if (!slot.is_null()) {
    return InvalidField(field.name(), "is given twice");
  } else {
    slot = value;
  }
  return absl::OkStatus();
}

}  // namespace

HttpReply ErrorReply(const absl::Status& status) {
  nlohmann::json error;
  error["code"] = absl::StatusCodeToString(status.code());
  error["message"] = MessageOf(status);
  return {HttpStatus(status.code()), "application/json", error.dump() + "\n"};
}

absl::Status FillRequest(const HttpParameters& parameters, google::protobuf::Message& request) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : parameters) {
    const auto* field = request.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown parameter ", Quoted(name)));
    }
    if (absl::Status status = AddValue(*field, value, object); !status.ok()) return status;
  }
  const std::string json = object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  const auto status = google::protobuf::util::JsonStringToMessage(json, &request);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("parameters: ", std::string(status.message())));
}

absl::StatusOr<std::vector<std::string>> DecodePath(absl::string_view path) {
  std::vector<std::string> segments;
  for (const absl::string_view segment : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    absl::StatusOr<std::string> decoded = PercentDecoded(std::string(segment));
    if (!decoded.ok()) return decoded.status();
    segments.push_back(*std::move(decoded));
  }
  return segments;
}

std::string RouteOf(absl::string_view path) {
  constexpr std::array kFixed = {
      "/", "/healthz", "/readyz", "/metrics", "/api/v1/runs", "/api/v1/compare", "/api/v1/server"};
  if (std::ranges::find(kFixed, path) != kFixed.end()) return std::string(path);
  constexpr absl::string_view kRuns = "/api/v1/runs/";
  if (!absl::StartsWith(path, kRuns)) return "other";
  const std::vector<absl::string_view> parts =
      absl::StrSplit(path.substr(kRuns.size()), '/', absl::SkipEmpty());
  if (parts.size() == 1) return "/api/v1/runs/{id}";
  if (parts.size() != 2 || std::ranges::find(kRunParts, parts[1]) == kRunParts.end()) {
    return "other";
  }
  return absl::StrCat("/api/v1/runs/{id}/", parts[1]);
}

HttpReply HttpApi::Get(absl::string_view path, const HttpParameters& parameters,
                       absl::string_view authorization) {
  if (path == "/healthz") return {200, "text/plain; charset=utf-8", "ok\n"};
  if (path == "/readyz") {
    const bool ready = ready_;
    return {ready ? 200 : 503, "text/plain; charset=utf-8", ready ? "ready\n" : "not ready\n"};
  }
  if (path == "/") return {200, "text/html; charset=utf-8", std::string(kPage)};
  const absl::StatusOr<Principal> principal = access_.Authenticate(authorization);
  if (!principal.ok()) return ErrorReply(principal.status());
  if (path == "/metrics") return Metrics(*principal);
  const absl::StatusOr<std::vector<std::string>> segments = DecodePath(path);
  if (!segments.ok()) return ErrorReply(segments.status());
  absl::StatusOr<std::string> json = NoSuchPath(std::string(path));
  if (segments->size() > 2 && (*segments)[0] == "api" && (*segments)[1] == "v1") {
    json = Api(*principal, {segments->begin() + 2, segments->end()}, parameters);
  }
  if (!json.ok()) return ErrorReply(json.status());
  return {200, "application/json", *std::move(json) + "\n"};
}

HttpReply HttpApi::Metrics(const Principal& principal) {
  const absl::Status status = access_.Authorize(principal, Scope::kRead, "/metrics");
  if (!status.ok()) return ErrorReply(status);
  return {200, "text/plain; version=0.0.4; charset=utf-8",
          metrics_.Text([&](const std::string& project) { return principal.Covers(project); })};
}

template <typename Request, typename Response, typename Handle>
absl::StatusOr<std::string> HttpApi::Answer(const Principal& principal,
                                            const HttpParameters& parameters, Handle handle) {
  Request request;
  if (absl::Status status = FillRequest(parameters, request); !status.ok()) return status;
  if (absl::Status status = access_.Authorize(principal, request); !status.ok()) return status;
  Response response;
  if (absl::Status status = handle(request, response); !status.ok()) return status;
  return ToJson(response);
}

template <typename Request, typename Response, typename Handlers>
absl::StatusOr<std::string> HttpApi::Answer(const Principal& principal,
                                            const HttpParameters& parameters, Handlers& handlers,
                                            absl::Status (Handlers::*handle)(const Request&,
                                                                             Response&)) {
  return Answer<Request, Response>(principal, parameters, std::bind_front(handle, &handlers));
}

absl::StatusOr<std::string> HttpApi::Api(const Principal& principal,
                                         const std::vector<std::string>& segments,
                                         const HttpParameters& parameters) {
  const std::string& what = segments[0];
  if (what == "runs" && segments.size() == 1) {
    return Answer<v1::ListRunsRequest, v1::ListRunsResponse>(
        principal, parameters, std::bind_front(&RunHandlers::ListRuns, &runs_, principal));
  }
  if (what == "runs" && segments.size() <= 3) {
    return OfRun(principal, segments[1], segments.size() == 3 ? segments[2] : "", parameters);
  }
  if (what == "runs") {
    return absl::NotFoundError("too many parts in the path; write / within a run's id as %2F");
  }
  if (what == "compare" && segments.size() == 1) {
    return Answer(principal, parameters, queries_, &QueryHandlers::CompareRuns);
  }
  if (what == "server" && segments.size() == 1) {
    return Answer(principal, parameters, queries_, &QueryHandlers::GetServerInfo);
  }
  return NoSuchPath(absl::StrCat("/api/v1/", what));
}

absl::StatusOr<std::string> HttpApi::OfRun(const Principal& principal, const std::string& run_id,
                                           const std::string& what, const HttpParameters& given) {
  HttpParameters parameters = given;
  parameters.emplace("run_id", run_id);
  if (what.empty()) return Answer(principal, parameters, runs_, &RunHandlers::GetRun);
  if (what == "estimates")
    return Answer(principal, parameters, queries_, &QueryHandlers::ListEstimates);
  if (what == "attention") {
    return Answer(principal, parameters, queries_, &QueryHandlers::ListAttentionEstimates);
  }
  if (what == "scalars")
    return Answer(principal, parameters, queries_, &QueryHandlers::ListScalars);
  if (what == "signals")
    return Answer(principal, parameters, queries_, &QueryHandlers::ListSignals);
  if (what == "decisions")
    return Answer(principal, parameters, queries_, &QueryHandlers::ListDecisions);
  if (what == "settings-changes")
    return Answer(principal, parameters, queries_, &QueryHandlers::ListSettingsChanges);
  if (what == "decision")
    return Answer(principal, parameters, queries_, &QueryHandlers::GetDecision);
  if (what == "layers")
    return Answer(principal, parameters, queries_, &QueryHandlers::GetLayerProfile);
  return absl::NotFoundError(absl::StrCat("a run has no ", Quoted(what), "; there are ",
                                          absl::StrJoin(kRunParts, ", "),
                                          "; write / within a run's id as %2F"));
}

}  // namespace dimwatch::server
