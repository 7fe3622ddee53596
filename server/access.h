// Who may call what: the one place where requests over gRPC and HTTP are let in.
//
// Guaranteed, where tokens are used:
//  1. A request needs a token that is known and has not expired, the scope that the contract gives
//     its RPC (access.proto), and a token that covers every project that the request names, and the
//     project of every run that it names. Names are found by their fields: run_id, run_ids and
//     project, at any depth.
//  2. An RPC without a scope in the contract is refused.
// Where no tokens are used everything is allowed to everybody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "src/access/token.h"
#include "src/base/clock.h"

namespace dimwatch::server {

// Who sent a request: the holder of a token, or anybody, where no tokens are used.
class Principal {
 public:
  Principal() = default;
  explicit Principal(std::shared_ptr<const Token> token) : token_(std::move(token)) {}

  bool Covers(const std::string& project) const {
    return token_ == nullptr || token_->Covers(project);
  }
  // For logs: the token's id, "-" for anybody.
  std::string name() const { return token_ == nullptr ? "-" : token_->id; }
  const Token* token() const { return token_.get(); }

 private:
  std::shared_ptr<const Token> token_;
};

// Thread-safe.
class Access {
 public:
  // The project of a run; none if there is no such run.
  using FindProject = std::function<std::optional<std::string>(const std::string& run_id)>;

  // Lets everybody in until SetTokens.
  Access(const Clock& clock, FindProject find_project)
      : clock_(clock), find_project_(std::move(find_project)) {}

  std::optional<std::string> ProjectOf(const std::string& run_id) const {
    return find_project_(run_id);
  }

  // From now on these tokens and no others let anybody in.
  void SetTokens(std::vector<Token> tokens);

  // Whose request it is, by its header or metadata "authorization: Bearer TOKEN"; UNAUTHENTICATED.
  absl::StatusOr<Principal> Authenticate(absl::string_view authorization) const;
  absl::StatusOr<Principal> Authenticate(const grpc::ServerContextBase& context) const;

  // UNAUTHENTICATED if the token was revoked, changed, or has expired since.
  absl::Status Check(const Principal& principal) const;

  // Also PERMISSION_DENIED. `request` is the request of an RPC of the contract.
  absl::Status Authorize(const Principal& principal,
                         const google::protobuf::Message& request) const;
  // The same for what is no RPC, and filters by project itself.
  absl::Status Authorize(const Principal& principal, Scope scope, absl::string_view what) const;

 private:
  using Tokens = std::map<std::string, std::shared_ptr<const Token>>;  // by id
  std::shared_ptr<const Tokens> tokens() const;
  absl::Status AuthorizeNames(const Token& token, const google::protobuf::Message& request) const;

  const Clock& clock_;
  const FindProject find_project_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Tokens> tokens_;  // guarded by mutex_; null: no tokens are used
};

// What `request` names, at any depth.
struct RequestedNames {
  std::vector<std::string> runs;
  std::vector<std::string> projects;
};
RequestedNames NamesIn(const google::protobuf::Message& request);

}  // namespace dimwatch::server
