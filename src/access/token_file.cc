#include "src/access/token_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "src/base/names.h"

namespace dimwatch {
namespace {

using nlohmann::json;

// Raised and caught in this file only, like nlohmann's own.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void Require(bool good, const std::string& problem) {
  if (!good) throw Malformed(problem);
}

Scope ParseScope(const std::string& name) {
  for (const Scope scope : kScopes) {
    if (Name(scope) == name) return scope;
  }
  throw Malformed(
      absl::StrCat("the scope ", Quoted(name), " is not known; ingest, read and admin are"));
}

std::string ParseProject(const std::string& name) {
  if (name == kAllProjects) return name;
  const absl::Status status = ValidateName("project", name);
  Require(status.ok(), std::string(status.message()));
  return name;
}

absl::Time ParseTime(const std::string& text) {
  absl::Time time;
  std::string problem;
  Require(absl::ParseTime(absl::RFC3339_full, text, &time, &problem),
          absl::StrCat(Quoted(text), ": ", problem));
  return time;
}

std::string PrintTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Token ParseToken(const json& object) {
  Token token;
  Require(object.is_object(), "an object is expected");
  for (const auto& [key, value] : object.items()) {
    if (key == "id") {
      token.id = value.get<std::string>();
    } else if (key == "sha256") {
      token.sha256 = value.get<std::string>();
    } else if (key == "projects") {
      for (const json& name : value) token.projects.insert(ParseProject(name.get<std::string>()));
    } else if (key == "scopes") {
      for (const json& name : value) token.scopes.insert(ParseScope(name.get<std::string>()));
    } else if (key == "create_time") {
      token.create_time = ParseTime(value.get<std::string>());
    } else if (key == "expire_time") {
      token.expire_time = ParseTime(value.get<std::string>());
    } else if (key == "note") {
      token.note = value.get<std::string>();
    } else {
      throw Malformed(absl::StrCat("the key ", Quoted(key), " is not known"));
    }
  }
  Require(token.id.size() == 2 * kTokenIdBytes, "id: 12 hexadecimal digits are expected");
  Require(token.sha256.size() == Sha256("").size(), "sha256: 64 hexadecimal digits are expected");
  Require(!token.projects.empty(), "projects: at least one is expected; \"*\" is every project");
  Require(!token.scopes.empty(), "scopes: at least one of ingest, read and admin is expected");
  return token;
}

json Encode(const Token& token) {
  json object = {{"id", token.id},
                 {"sha256", token.sha256},
                 {"projects", token.projects},
                 {"scopes", json::array()},
                 {"create_time", PrintTime(token.create_time)},
                 {"note", token.note}};
  for (const Scope scope : token.scopes) object["scopes"].push_back(Name(scope));
  if (token.expire_time != absl::InfiniteFuture()) {
    object["expire_time"] = PrintTime(token.expire_time);
  }
  return object;
}

absl::Status SystemError(const char* what, const std::filesystem::path& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " '", path.string(), "'"));
}

// Closed at the end of its scope; a lock that it holds goes with it.
struct Descriptor {
  explicit Descriptor(int opened) : value(opened) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) close(value);
  }
  const int value;
};

bool WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Writes `text` beside `file`, with its owner and mode, and moves it there. REQUIRES: the folder is
// locked.
absl::Status Replace(const std::filesystem::path& file, const std::string& text, int folder) {
  std::filesystem::path fresh = file;
  fresh += ".new";
  unlink(fresh.c_str());  // of one that was killed
  const Descriptor out(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (out.value < 0) return SystemError("cannot create", fresh);
  struct stat old = {};
  const bool kept =
      stat(file.c_str(), &old) != 0 || (((old.st_uid == geteuid() && old.st_gid == getegid()) ||
                                         fchown(out.value, old.st_uid, old.st_gid) == 0) &&
                                        fchmod(out.value, old.st_mode & 0777) == 0);
  if (!kept || !WriteAll(out.value, text) || fsync(out.value) != 0 ||
      rename(fresh.c_str(), file.c_str()) != 0 || fsync(folder) != 0) {
    absl::Status status = SystemError("cannot replace", file);
    unlink(fresh.c_str());
    return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Token>> ParseTokens(std::string_view text) try {
  const json document = json::parse(text);
  if (!document.is_object() || document.size() != 1 || !document.contains("tokens") ||
      !document["tokens"].is_array()) {
    return absl::InvalidArgumentError(R"({"tokens": [...]} is expected)");
  }
  std::vector<Token> tokens;
  std::set<std::string> ids;
  for (const json& object : document["tokens"]) {
    const std::string place = absl::StrCat("token ", tokens.size() + 1);
    try {
      tokens.push_back(ParseToken(object));
      Require(ids.insert(tokens.back().id).second, "has the id of one before it");
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": ", error.what()));
    }
  }
  return tokens;
} catch (const json::exception& error) {
  return absl::InvalidArgumentError(error.what());
}

std::string PrintTokens(const std::vector<Token>& tokens) {
  json document = {{"tokens", json::array()}};
  for (const Token& token : tokens) document["tokens"].push_back(Encode(token));
  return absl::StrCat(document.dump(1, ' ', true, json::error_handler_t::replace), "\n");
}

absl::StatusOr<std::vector<Token>> ReadTokens(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return SystemError("cannot read the tokens in", file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return SystemError("cannot read the tokens in", file);
  absl::StatusOr<std::vector<Token>> tokens = ParseTokens(text);
  if (tokens.ok()) return tokens;
  return absl::InvalidArgumentError(
      absl::StrCat("'", file.string(), "': ", std::string(tokens.status().message())));
}

absl::Status EditTokens(const std::filesystem::path& file,
                        const std::function<absl::Status(std::vector<Token>&)>& edit) {
  std::error_code error;
  const std::filesystem::path target =
      std::filesystem::weakly_canonical(std::filesystem::absolute(file), error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("'", file.string(), "'"));
  const Descriptor folder(open(target.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.value < 0) return SystemError("cannot open", target.parent_path());
  if (flock(folder.value, LOCK_EX) != 0) return SystemError("cannot lock", target.parent_path());
  absl::StatusOr<std::vector<Token>> tokens = ReadTokens(target);
  if (absl::IsNotFound(tokens.status())) tokens.emplace();
  if (!tokens.ok()) return tokens.status();
  if (absl::Status status = edit(*tokens); !status.ok()) return status;
  return Replace(target, PrintTokens(*tokens), folder.value);
}

}  // namespace dimwatch
