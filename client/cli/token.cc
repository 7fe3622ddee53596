// dimwatch token make, list, revoke: the file of tokens that dimwatch-server reads.
#include <openssl/rand.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/system_clock.h"
#include "client/cli/text.h"
#include "src/access/token_file.h"
#include "src/base/names.h"

namespace dimwatch::cli {
namespace {

constexpr char kTakesEffect[] =
    "it takes effect when the server reads the file: at its start and on SIGHUP";

struct MakeOptions {
  std::string file;
  std::vector<std::string> projects;
  bool all_projects = false;
  std::vector<std::string> scopes;
  std::string expires = "90d";
  std::string note;
};

struct ListOptions {
  std::string file;
  bool json = false;
};

struct RevokeOptions {
  std::string file;
  std::vector<std::string> ids;
};

// "90d", "12h", "never".
absl::StatusOr<absl::Time> ExpireTime(const std::string& text, absl::Time now) {
  if (text == "never") return absl::InfiniteFuture();
  absl::Duration duration;
  std::int64_t days = 0;
  if (text.ends_with('d') && absl::SimpleAtoi(text.substr(0, text.size() - 1), &days)) {
    duration = absl::Hours(24) * days;
  } else if (!absl::ParseDuration(text, &duration)) {
    duration = absl::ZeroDuration();
  }
  if (duration > absl::ZeroDuration() && duration <= absl::Hours(24) * 36'500) {
    return now + duration;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--expires ", Quoted(text), ": up to 36500d is allowed, as in 90d, 12h, or never"));
}

absl::StatusOr<Token> Describe(const MakeOptions& options, absl::Time now) {
  Token token;
  if (options.all_projects == !options.projects.empty()) {
    return absl::InvalidArgumentError("one of --project and --all-projects is needed");
  }
  if (options.all_projects) token.projects.insert(kAllProjects);
  for (const std::string& project : options.projects) {
    if (absl::Status status = ValidateName("--project", project); !status.ok()) return status;
    token.projects.insert(project);
  }
  for (const Scope scope : kScopes) {
    for (const std::string& name : options.scopes) {
      if (name == Name(scope)) token.scopes.insert(scope);
    }
  }
  const absl::StatusOr<absl::Time> expire_time = ExpireTime(options.expires, now);
  if (!expire_time.ok()) return expire_time.status();
  token.expire_time = *expire_time;
  token.create_time = now;
  token.note = options.note;
  return token;
}

absl::Status RunMake(const MakeOptions& options) {
  absl::StatusOr<Token> token = Describe(options, SystemClock().Now());
  if (!token.ok()) return token.status();
  TokenEntropy entropy;
  if (RAND_bytes(entropy.data(), static_cast<int>(entropy.size())) != 1) {
    return absl::InternalError("the system has no random numbers");
  }
  const std::string text = TokenText(entropy);
  token->id = *IdIn(text);
  token->sha256 = Sha256(text);
  const absl::Status status = EditTokens(options.file, [&](std::vector<Token>& tokens) {
    tokens.push_back(*token);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  std::printf("%s\n", text.c_str());
  std::fprintf(stderr, "dimwatch: token %s is shown this once; %s\n", token->id.c_str(),
               kTakesEffect);
  return absl::OkStatus();
}

std::string ExpireText(const Token& token) {
  if (token.expire_time == absl::InfiniteFuture()) return "never";
  return absl::FormatTime(absl::RFC3339_sec, token.expire_time, absl::UTCTimeZone());
}

std::string ScopesText(const Token& token) {
  return absl::StrJoin(token.scopes, ",", [](std::string* out, Scope scope) {
    absl::StrAppend(out, std::string(Name(scope)));
  });
}

absl::Status RunList(const ListOptions& options) {
  const absl::StatusOr<std::vector<Token>> tokens = ReadTokens(options.file);
  if (!tokens.ok()) return tokens.status();
  if (options.json) {
    std::printf("%s\n", Json::parse(PrintTokens(*tokens))["tokens"].dump().c_str());
    return absl::OkStatus();
  }
  const absl::Time now = SystemClock().Now();
  Table table({"ID", "PROJECTS", "SCOPES", "CREATED", "EXPIRES", "NOTE"});
  for (const Token& token : *tokens) {
    const std::string expired = token.expire_time <= now ? " (expired)" : "";
    table.Add({token.id, absl::StrJoin(token.projects, ","), ScopesText(token),
               absl::FormatTime(absl::RFC3339_sec, token.create_time, absl::UTCTimeZone()),
               ExpireText(token) + expired, token.note});
  }
  std::printf("%s", table.ToString(StdoutIsColored()).c_str());
  return absl::OkStatus();
}

absl::Status RunRevoke(const RevokeOptions& options) {
  const absl::Status status = EditTokens(options.file, [&](std::vector<Token>& tokens) {
    for (const std::string& id : options.ids) {
      if (std::erase_if(tokens, [&](const Token& token) { return token.id == id; }) == 0) {
        return absl::NotFoundError(absl::StrCat(options.file, " has no token with the id ",
                                                Quoted(id), "; nothing was changed"));
      }
    }
    return absl::OkStatus();
  });
  if (status.ok()) std::fprintf(stderr, "dimwatch: revoked; %s\n", kTakesEffect);
  return status;
}

void AddFileOption(CLI::App& command, std::string& file) {
  command.add_option("--tokens", file, "the file, as for dimwatch-server")
      ->envname("DIMWATCH_TOKENS")
      ->required();
}

void AddMake(CLI::App& group, Action& action) {
  const auto options = std::make_shared<MakeOptions>();
  CLI::App* command = group.add_subcommand("make", "Make a token and print it, this once");
  AddFileOption(*command, options->file);
  command->add_option("--project", options->projects, "a project that it is for; repeatable");
  command->add_flag("--all-projects", options->all_projects, "for every project");
  command
      ->add_option("--scope", options->scopes,
                   "ingest (feed runs), read, or admin (both, and change and delete); repeatable")
      ->check(CLI::IsMember({"ingest", "read", "admin"}))
      ->required();
  command->add_option("--expires", options->expires, "after that it is no good: 90d, 12h, never")
      ->capture_default_str();
  command->add_option("--note", options->note, "whose it is, for people");
  command->callback([options, &action] { action = [options] { return RunMake(*options); }; });
}

void AddList(CLI::App& group, Action& action) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = group.add_subcommand("list", "What there is; no secrets are kept");
  AddFileOption(*command, options->file);
  command->add_flag("--json", options->json, "one JSON array");
  command->callback([options, &action] { action = [options] { return RunList(*options); }; });
}

void AddRevoke(CLI::App& group, Action& action) {
  const auto options = std::make_shared<RevokeOptions>();
  CLI::App* command = group.add_subcommand("revoke", "Take tokens away");
  AddFileOption(*command, options->file);
  command->add_option("id", options->ids, "the ids that list shows")->required();
  command->callback([options, &action] { action = [options] { return RunRevoke(*options); }; });
}

}  // namespace

void AddTokenCommand(CLI::App& app, Action& action) {
  CLI::App* group = app.add_subcommand("token", "The tokens that let callers into a server");
  group->require_subcommand(1);
  AddMake(*group, action);
  AddList(*group, action);
  AddRevoke(*group, action);
}

}  // namespace dimwatch::cli
