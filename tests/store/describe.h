// Records and items as text that differs whenever a bit differs: what the store's tests compare.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch {

std::string Describe(const RunRecord& run);
std::string Describe(const EstimateRecord& record);
std::string Describe(const AttentionRecord& record);
std::string Describe(const ScalarRecord& record);
std::string Describe(const SignalRecord& record);
std::string Describe(const DecisionRecord& record);
std::string Describe(const RewindRecord& record);
std::string Describe(const StateRecord& record);
std::string Describe(const SettingsRecord& record);
std::string Describe(const DeclarationItem& item);
std::string Describe(const SampleItem& item);
std::string Describe(const ScalarItem& item);
std::string Describe(const AttentionItem& item);
template <typename... Kinds>
std::string Describe(const std::variant<Kinds...>& any) {
  return std::visit([](const auto& kind) { return Describe(kind); }, any);
}
template <typename Record>
std::vector<std::string> DescribeAll(const std::vector<Record>& records) {
  std::vector<std::string> texts;
  for (const Record& record : records) texts.push_back(Describe(record));
  return texts;
}

}  // namespace dimwatch
