// dimwatch set.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct Options {
  ServerOptions server;
  std::string run_id;
  std::vector<std::string> assignments;
  bool json = false;
};

// The values of the field's enum as people write them: "shadow" for POLICY_MODE_SHADOW.
std::vector<std::string> Values(const FieldDescriptor& field) {
  const google::protobuf::EnumDescriptor& type = *field.enum_type();
  const std::size_t prefix = type.value(0)->name().size() - std::string("UNSPECIFIED").size();
  std::vector<std::string> values;
  for (int i = 1; i < type.value_count(); ++i) {
    values.push_back(absl::AsciiStrToLower(type.value(i)->name().substr(prefix)));
  }
  return values;
}

template <typename Integer>
bool ReadCount(const std::string& text, Integer& count) {
  return absl::SimpleAtoi(text, &count) && count != 0;
}

// Sets the field to what `text` says, and returns whether it has the field's type. A zero is not
// taken: in the contract it stands for the default. The server checks the range.
bool SetField(const std::string& text, const FieldDescriptor& field, Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::int32_t small = 0;
  std::int64_t count = 0;
  double number = 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      if (!ReadCount(text, small)) return false;
      reflection.SetInt32(&message, &field, small);
      return true;
    case FieldDescriptor::CPPTYPE_INT64:
      if (!ReadCount(text, count)) return false;
      reflection.SetInt64(&message, &field, count);
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!absl::SimpleAtod(text, &number) || number == 0) return false;
      reflection.SetDouble(&message, &field, number);
      return true;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const std::vector<std::string> values = Values(field);
      const auto found = std::ranges::find(values, text);
      if (found == values.end()) return false;
      reflection.SetEnumValue(&message, &field, static_cast<int>(found - values.begin()) + 1);
      return true;
    }
    default:  // a list of names
      for (const auto& name : absl::StrSplit(text, ',')) {
        reflection.AddString(&message, &field, std::string(name));
      }
      return true;
  }
}

std::string Allowed(const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return "one of " + absl::StrJoin(Values(field), ", ");
  }
  return field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ? "a number other than 0"
                                                             : "a whole number other than 0";
}

// "signals.patience" and so on.
std::vector<std::string> Names(const v1::RunConfig& config) {
  std::vector<std::string> names;
  for (const char* part : {"signals", "policy"}) {
    const auto& type = *config.GetDescriptor()->FindFieldByName(part)->message_type();
    for (int i = 0; i < type.field_count(); ++i) {
      names.push_back(absl::StrCat(part, ".", type.field(i)->name()));
    }
  }
  return names;
}

// Reads "NAME=VALUE".
absl::Status Read(const std::string& assignment, v1::UpdateRunRequest& request) {
  const std::size_t equals = assignment.find('=');
  const std::string name = assignment.substr(0, equals);
  v1::RunConfig& config = *request.mutable_run()->mutable_config();
  const std::vector<std::string> names = Names(config);
  if (equals == std::string::npos || std::ranges::find(names, name) == names.end()) {
    return absl::InvalidArgumentError(absl::StrCat("expected is NAME=VALUE, got '", assignment,
                                                   "'; names are ", absl::StrJoin(names, ", ")));
  }
  request.mutable_update_mask()->add_paths("config." + name);
  const std::string value = assignment.substr(equals + 1);
  if (value.empty()) return absl::OkStatus();
  Message& part = name.starts_with("policy.") ? static_cast<Message&>(*config.mutable_policy())
                                              : *config.mutable_signals();
  const auto& field = *part.GetDescriptor()->FindFieldByName(name.substr(name.find('.') + 1));
  if (SetField(value, field, part)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " must be ", Allowed(field), ", or nothing for its default, got '", value, "'"));
}

absl::Status RunSet(const Options& options) {
  v1::UpdateRunRequest request;
  request.mutable_run()->set_run_id(options.run_id);
  for (const std::string& assignment : options.assignments) {
    if (absl::Status status = Read(assignment, request); !status.ok()) return status;
  }
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  const auto list = [&] {
    return ListAll(server, &v1::QueryService::Stub::ListSettingsChanges,
                   &v1::ListSettingsChangesResponse::changes, options.run_id);
  };
  const auto before = list();
  if (!before.ok()) return before.status();
  const auto response =
      Call(server, *server.runs, &v1::RunService::Stub::UpdateRun, request, options.run_id);
  if (!response.ok()) return response.status();
  const auto after = list();
  if (!after.ok()) return after.status();
  for (std::size_t i = before->size(); i < after->size(); ++i) {
    const v1::SettingsChange& change = (*after)[i];
    std::printf("%s\n",
                (options.json ? ToJson(change).dump() : SettingsChangeText(change)).c_str());
  }
  const v1::Decision& decision = response->run().decision();
  std::printf("%s\n", (options.json ? ToJson(decision).dump() : DecisionText(decision)).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddSetCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("set", "Change by what a live run is judged");
  command->add_option("run", options->run_id)->required();
  command
      ->add_option("assignment", options->assignments,
                   "NAME=VALUE: signals.patience=5, policy.mode=enforced, "
                   "policy.stop_on=overfitting,collapsed; without a VALUE the default")
      ->required();
  AddServerOptions(*command, options->server);
  command->add_flag("--json", options->json, "JSON lines: what was changed, and the decision");
  command->callback([options, &action] { action = [options] { return RunSet(*options); }; });
}

}  // namespace dimwatch::cli
