#include "server/request_id.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "server/log.h"

namespace dimwatch::server {
namespace {

using grpc::experimental::InterceptionHookPoints;

constexpr std::size_t kMostCharacters = 64;

bool MayBeId(absl::string_view text) {
  return !text.empty() && text.size() <= kMostCharacters &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::string_view("._:-").find(c) != absl::string_view::npos;
         });
}

// Of this process, then a number.
std::string NewId() {
  static const std::string process = absl::StrFormat("%08x", std::random_device()());
  static std::atomic<std::int64_t> count{0};
  return absl::StrCat(process, "-", ++count);
}

LogLevel LevelOf(const absl::Status& status) {
  const bool ours = absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsDataLoss(status);
  return ours ? LogLevel::kError : LogLevel::kDebug;
}

class Settler final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Settle(*methods->GetRecvInitialMetadata());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kRequestIdKey, id_);
    }
    methods->Proceed();
  }

 private:
  // From here on the metadata has one id.
  void Settle(std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
    const auto [first, last] = metadata.equal_range(kRequestIdKey);
    const bool one = first != last && std::next(first) == last;
    id_ = RequestIdFrom(one ? absl::string_view(first->second.data(), first->second.size()) : "");
    metadata.erase(first, last);
    metadata.emplace(kRequestIdKey, id_);
  }

  std::string id_;  // lives as long as the RPC, whose metadata refers to it
};

}  // namespace

std::string RequestIdFrom(absl::string_view sent) {
  return MayBeId(sent) ? std::string(sent) : NewId();
}

std::string RequestIdOf(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find(kRequestIdKey);
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

void LogHandled(absl::string_view request_id, const Principal& principal,
                const google::protobuf::Message& request, const absl::Status& status) {
  if (!Logs(LevelOf(status))) return;
  const RequestedNames names = NamesIn(request);
  Log(LevelOf(status), "request handled",
      {{"rpc", absl::StripSuffix(request.GetDescriptor()->name(), "Request")},
       {"request", request_id},
       {"token", principal.name()},
       {"run", absl::StrJoin(names.runs, ",")},
       {"project", absl::StrJoin(names.projects, ",")},
       {"code", absl::StatusCodeToString(status.code())},
       {"problem", status.message()}});
}

grpc::experimental::Interceptor* RequestIds::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* /*info*/) {
  return new Settler();
}

}  // namespace dimwatch::server
