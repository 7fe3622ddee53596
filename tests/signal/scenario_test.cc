#include "tests/signal/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace dimwatch {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(DIMWATCH_TESTS_DIR) / "signal";

std::vector<std::string> Scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder / "scenarios")) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, ComesOutAsWritten) {
  const std::filesystem::path path = kFolder / "scenarios" / (GetParam() + ".txt");
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_NE(text.find("----"), std::string::npos) << path << " expects nothing";
  const std::string played = PlayScenario(text, kFolder);
  if (std::getenv("DIMWATCH_REWRITE_SCENARIOS") != nullptr) std::ofstream(path) << played;
  EXPECT_EQ(played, text) << "DIMWATCH_REWRITE_SCENARIOS=1 writes what came out into " << path;
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioTest, testing::ValuesIn(Scenarios()),
                         [](const auto& scenario) {
                           std::string name = scenario.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace dimwatch
