#include "server/data_folder.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "tests/testing/temp_folder.h"

namespace dimwatch::server {
namespace {

using ::testing::HasSubstr;

TEST(DataFolderTest, IsMadeForItsOwnerOnly) {
  const ::dimwatch::testing::TempFolder folder;
  const std::filesystem::path inner = folder.path() / "a" / "b";
  ASSERT_TRUE(DataFolder::Lock(inner).ok());
  EXPECT_EQ(std::filesystem::status(inner).permissions(), std::filesystem::perms::owner_all);
}

TEST(DataFolderTest, HasOneHolderAtATime) {
  const ::dimwatch::testing::TempFolder folder;
  absl::StatusOr<std::unique_ptr<DataFolder>> first = DataFolder::Lock(folder.path());
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::StatusOr<std::unique_ptr<DataFolder>> second = DataFolder::Lock(folder.path());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().ToString(), HasSubstr(std::to_string(getpid())));
  first->reset();
  EXPECT_TRUE(DataFolder::Lock(folder.path()).ok());
}

TEST(DataFolderTest, PlaceThatIsNoFolderIsRefused) {
  const ::dimwatch::testing::TempFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_FALSE(DataFolder::Lock(folder.path() / "file").ok());
  EXPECT_FALSE(DataFolder::Lock(folder.path() / "file" / "below").ok());
}

}  // namespace
}  // namespace dimwatch::server
