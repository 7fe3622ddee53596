#include "server/access.h"

#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dimwatch/v1/access.pb.h"
#include "google/protobuf/descriptor.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// The RPC that takes such a request; every RPC has a type of its own.
const MethodDescriptor* MethodOf(const Message& request) {
  const google::protobuf::FileDescriptor& file = *request.GetDescriptor()->file();
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      const MethodDescriptor* method = file.service(i)->method(j);
      if (method->input_type() == request.GetDescriptor()) return method;
    }
  }
  return nullptr;
}

std::optional<Scope> ScopeOf(const MethodDescriptor& method) {
  switch (method.options().GetExtension(v1::scope)) {
    case v1::SCOPE_INGEST:
      return Scope::kIngest;
    case v1::SCOPE_READ:
      return Scope::kRead;
    case v1::SCOPE_ADMIN:
      return Scope::kAdmin;
    default:
      return std::nullopt;
  }
}

void AddNames(const Message& message, RequestedNames& out) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool message_field = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 0;
    if (message_field && field->is_repeated()) {
      for (int i = 0; i < count; ++i) {
        AddNames(reflection.GetRepeatedMessage(message, field, i), out);
      }
    } else if (message_field) {
      AddNames(reflection.GetMessage(message, field), out);
    } else if (field->name() == "run_id") {
      out.runs.push_back(reflection.GetString(message, field));
    } else if (field->name() == "run_ids") {
      for (int i = 0; i < count; ++i) {
        out.runs.push_back(reflection.GetRepeatedString(message, field, i));
      }
    } else if (field->name() == "project") {
      out.projects.push_back(reflection.GetString(message, field));
    }
  }
}

absl::Status Unauthenticated(absl::string_view problem) {
  return absl::UnauthenticatedError(
      absl::StrCat(problem,
                   "; expected is 'authorization: Bearer TOKEN' with a token that "
                   "`dimwatch token make` has made for this server"));
}

std::string NamesOf(const std::set<Scope>& scopes) {
  return absl::StrJoin(scopes, ", ", [](std::string* out, Scope scope) {
    absl::StrAppend(out, std::string(Name(scope)));
  });
}

// The token in "Bearer TOKEN"; the scheme's case does not matter.
absl::string_view BearerIn(absl::string_view authorization) {
  constexpr absl::string_view kScheme = "Bearer ";
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return "";
  return absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
}

}  // namespace

RequestedNames NamesIn(const Message& request) {
  RequestedNames names;
  AddNames(request, names);
  return names;
}

void Access::SetTokens(std::vector<Token> tokens) {
  auto by_id = std::make_shared<Tokens>();
  for (Token& token : tokens) {
    std::string id = token.id;
    by_id->emplace(std::move(id), std::make_shared<const Token>(std::move(token)));
  }
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(by_id);
}

std::shared_ptr<const Access::Tokens> Access::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

absl::StatusOr<Principal> Access::Authenticate(absl::string_view authorization) const {
  const std::shared_ptr<const Tokens> known = tokens();
  if (known == nullptr) return Principal();
  if (authorization.empty()) return Unauthenticated("the request has no token");
  const absl::string_view text = BearerIn(authorization);
  const std::optional<std::string> id = IdIn(std::string_view(text.data(), text.size()));
  if (!id) return Unauthenticated("the request's authorization is not a token of dimwatch");
  const auto found = known->find(*id);
  if (found == known->end() || !IsTextOf(*found->second, {text.data(), text.size()})) {
    return Unauthenticated("the token is unknown here, or was revoked");
  }
  Principal principal(found->second);
  if (absl::Status status = Check(principal); !status.ok()) return status;
  return principal;
}

absl::StatusOr<Principal> Access::Authenticate(const grpc::ServerContextBase& context) const {
  const auto [first, last] = context.client_metadata().equal_range("authorization");
  if (first == last) return Authenticate("");
  if (std::next(first) != last) return Unauthenticated("the request has several authorizations");
  return Authenticate({first->second.data(), first->second.size()});
}

absl::Status Access::Check(const Principal& principal) const {
  const std::shared_ptr<const Tokens> known = tokens();
  if (known == nullptr) return absl::OkStatus();
  const Token* token = principal.token();
  const auto found = token == nullptr ? known->end() : known->find(token->id);
  if (found == known->end() || *found->second != *token) {
    return absl::UnauthenticatedError("the token was revoked or changed");
  }
  if (clock_.Now() < token->expire_time) return absl::OkStatus();
  return absl::UnauthenticatedError(
      absl::StrCat("token ", token->id, " expired at ",
                   absl::FormatTime(absl::RFC3339_sec, token->expire_time, absl::UTCTimeZone())));
}

absl::Status Access::Authorize(const Principal& principal, Scope scope,
                               absl::string_view what) const {
  if (absl::Status status = Check(principal); !status.ok()) return status;
  if (principal.token() == nullptr || principal.token()->Allows(scope)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(what, " needs the scope ", std::string(Name(scope)), "; token ",
                   principal.name(), " has: ", NamesOf(principal.token()->scopes)));
}

absl::Status Access::Authorize(const Principal& principal, const Message& request) const {
  if (principal.token() == nullptr) return Check(principal);
  const MethodDescriptor* method = MethodOf(request);
  const std::optional<Scope> scope = method == nullptr ? std::nullopt : ScopeOf(*method);
  if (!scope) return absl::PermissionDeniedError("this request is for nobody with a token");
  if (absl::Status status = Authorize(principal, *scope, method->name()); !status.ok()) {
    return status;
  }
  return AuthorizeNames(*principal.token(), request);
}

absl::Status Access::AuthorizeNames(const Token& token, const Message& request) const {
  const RequestedNames names = NamesIn(request);
  for (const std::string& project : names.projects) {
    if (token.Covers(project)) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("token ", token.id, " is not for the project ", Quoted(project)));
  }
  for (const std::string& run_id : names.runs) {
    const std::optional<std::string> project = ProjectOf(run_id);
    // Who is to act on an unknown run says so itself.
    if (!project || token.Covers(*project)) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("token ", token.id, " is not for the project of run ", Quoted(run_id)));
  }
  return absl::OkStatus();
}

}  // namespace dimwatch::server
