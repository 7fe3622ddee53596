// Requests of RunService and QueryService by one that may see one project, with page tokens that
// anybody can forge: what they come to is a reason, or an answer from that project alone.
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/match.h"
#include "server/errors.h"
#include "server/page_token.h"
#include "tests/fuzz/messages.h"
#include "tests/fuzz/served.h"

namespace dimwatch::server {
namespace {

const char* const kWords[] = {"a/run",       "hidden/run",
                              "empty",       "open",
                              "closed",      "train/a",
                              "loss",        "display_name",
                              "labels",      "config.signals.patience",
                              "overfitting", ""};

// A token as the server makes them, for a key that is the caller's. Returns whether it is one of
// another list, which is to be refused.
template <typename Request>
bool ForgePageToken(Request& request, fuzz::MessageMaker& maker, fuzz::Choices& choices) {
  if constexpr (requires { request.page_token(); }) {
    if (!choices.OneIn(2)) return false;
    const std::string key =
        choices.OneIn(2) ? absl::StrCat(choices.Number(), " ", maker.Text()) : maker.Text();
    Request of = request;
    if (choices.OneIn(4)) maker.Fill(of);
    request.set_page_token(MakePageToken(of, key));
    of.set_page_size(request.page_size());
    of.set_page_token(request.page_token());
    return !google::protobuf::util::MessageDifferencer::Equals(of, request);
  }
  return false;
}

template <typename Request, typename Response, typename Handle>
void Ask(fuzz::Choices& choices, Handle handle) {
  static const Principal asks = Served::Instance().open_principal();
  fuzz::MessageMaker maker(choices, kWords);
  Request sent;
  maker.Fill(sent);
  const bool foreign_page = ForgePageToken(sent, maker, choices);
  const std::optional<Request> request = fuzz::Received(sent);
  if (!request || absl::StrContains(request->SerializeAsString(), kHidden)) return;
  absl::Status status = Served::Instance().access.Authorize(asks, *request);
  Response response;
  if (status.ok()) status = handle(asks, *request, response);
  FUZZ_REQUIRE(!absl::IsInternal(status) && !absl::IsUnknown(status));
  FUZZ_REQUIRE(status.ok() || !ToGrpcStatus(status).error_message().empty());
  FUZZ_REQUIRE(!(foreign_page && status.ok()));
  FUZZ_REQUIRE(fuzz::Received(response).has_value());
  FUZZ_REQUIRE(!absl::StrContains(response.SerializeAsString(), kHidden));
}

// The same by a method of RunHandlers or QueryHandlers.
template <typename Request, typename Response, typename Handlers>
void Ask(fuzz::Choices& choices, Handlers& handlers,
         absl::Status (Handlers::*method)(const Request&, Response&)) {
  Ask<Request, Response>(choices,
                         [&](const Principal&, const Request& request, Response& response) {
                           return (handlers.*method)(request, response);
                         });
}

void AskOne(fuzz::Choices& choices) {
  RunHandlers& runs = *Served::Instance().runs;
  QueryHandlers& queries = *Served::Instance().queries;
  switch (choices.Below(12)) {
    case 0:
      return Ask<v1::ListRunsRequest, v1::ListRunsResponse>(
          choices, [&](const Principal& asks, const auto& request, auto& response) {
            return runs.ListRuns(asks, request, response);
          });
    case 1:
      return Ask<v1::UpdateRunRequest, v1::UpdateRunResponse>(
          choices, [&](const Principal&, const auto& request, auto& response) {
            return runs.UpdateRun(request, "author", response);
          });
    case 2:
      return Ask(choices, runs, &RunHandlers::GetRun);
    case 3:
      return Ask(choices, queries, &QueryHandlers::ListEstimates);
    case 4:
      return Ask(choices, queries, &QueryHandlers::ListAttentionEstimates);
    case 5:
      return Ask(choices, queries, &QueryHandlers::ListScalars);
    case 6:
      return Ask(choices, queries, &QueryHandlers::ListSignals);
    case 7:
      return Ask(choices, queries, &QueryHandlers::ListDecisions);
    case 8:
      return Ask(choices, queries, &QueryHandlers::ListSettingsChanges);
    case 9:
      return Ask(choices, queries, &QueryHandlers::GetDecision);
    case 10:
      return Ask(choices, queries, &QueryHandlers::CompareRuns);
    default:
      return Ask(choices, queries, &QueryHandlers::GetLayerProfile);
  }
}

}  // namespace
}  // namespace dimwatch::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dimwatch::fuzz::SilenceProtobuf();
  dimwatch::fuzz::Choices choices(data, size);
  for (int i = 0; i < 4 && !choices.empty(); ++i) dimwatch::server::AskOne(choices);
  return 0;
}
