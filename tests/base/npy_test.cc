#include "src/base/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// A file as numpy writes it.
std::string Npy(const std::string& descr, const std::string& order, const std::string& shape,
                const std::string& data, char version = 1) {
  std::string dict = "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape +
                     ", }          \n";
  std::string file = "\x93NUMPY";
  file += version;
  file += '\0';
  file += static_cast<char>(dict.size());
  file += std::string(version == 1 ? 1 : 3, '\0');
  return file + dict + data;
}

class NpyTest : public ::testing::Test {
 protected:
  absl::StatusOr<PointCloud> Read(const std::string& content) {
    std::ofstream(file_, std::ios::binary) << content;
    return ReadNpy(file_);
  }
  std::string Error(const std::string& content) {
    const absl::StatusOr<PointCloud> cloud = Read(content);
    EXPECT_TRUE(absl::IsInvalidArgument(cloud.status())) << cloud.status();
    EXPECT_THAT(std::string(cloud.status().message()), HasSubstr("cloud.npy"));
    return std::string(cloud.status().message());
  }

  testing::TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "cloud.npy";
  std::string six_ = Bytes<float>({1, 2, 3, 4, 5, 6});
};

TEST_F(NpyTest, ReadsFloatsRowByRow) {
  absl::StatusOr<PointCloud> cloud = Read(Npy("'<f4'", "False", "(2, 3)", six_));
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  EXPECT_EQ(cloud->points(), 2u);
  EXPECT_EQ(cloud->dim(), 3u);
  EXPECT_THAT(cloud->view().row(1), ElementsAre(4, 5, 6));
}

TEST_F(NpyTest, ReadsHalvesDoublesAndLaterVersions) {
  absl::StatusOr<PointCloud> halves =
      Read(Npy("'<f2'", "False", "(1, 2)", Bytes<std::uint16_t>({0x3c00, 0xc500})));
  ASSERT_TRUE(halves.ok()) << halves.status();
  EXPECT_THAT(halves->data(), ElementsAre(1, -5));
  absl::StatusOr<PointCloud> doubles =
      Read(Npy("'<f8'", "False", "(2, 1)", Bytes<double>({0.5, 7}), 3));
  ASSERT_TRUE(doubles.ok()) << doubles.status();
  EXPECT_THAT(doubles->data(), ElementsAre(0.5, 7));
}

TEST_F(NpyTest, ReadsArraysOfAnyDimensionsAsTheyAre) {
  std::ofstream(file_, std::ios::binary) << Npy("'<f4'", "False", "(1, 2, 3)", six_);
  const absl::StatusOr<NpyArray> array = ReadNpyArray(file_);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->dtype, DType::kF32);
  EXPECT_THAT(array->shape, ElementsAre(1, 2, 3));
  EXPECT_EQ(array->data, six_);
  std::ofstream(file_, std::ios::binary) << Npy("'<f4'", "False", "(1, 2, 4)", six_);
  EXPECT_THAT(std::string(ReadNpyArray(file_).status().message()),
              HasSubstr("is truncated: 24 bytes of data where shape (1, 2, 4) needs 32"));
  std::ofstream(file_, std::ios::binary) << Npy("'<f4'", "False", "(1, 0, 4)", "");
  EXPECT_FALSE(ReadNpyArray(file_).ok());
}

TEST_F(NpyTest, RefusesWhatItCannotRead) {
  EXPECT_THAT(Error(Npy("'<f4'", "True", "(2, 3)", six_)), HasSubstr("Fortran-ordered"));
  EXPECT_THAT(Error(Npy("'>f4'", "False", "(2, 3)", six_)), HasSubstr("big-endian, dtype '>f4'"));
  EXPECT_THAT(Error(Npy("'<i4'", "False", "(2, 3)", six_)), HasSubstr("has dtype '<i4'"));
  EXPECT_THAT(Error(Npy("[('a', '<f4')]", "False", "(2, 3)", six_)), HasSubstr("has dtype"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(6,)", six_)), HasSubstr("1-dimensional, shape (6)"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(1, 2, 3)", six_)), HasSubstr("3-dimensional"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "()", "1234")), HasSubstr("0-dimensional"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(0, 3)", "")), HasSubstr("is empty, shape (0, 3)"));
  EXPECT_THAT(Error(""), HasSubstr("empty file"));
  EXPECT_THAT(Error("PK\x03\x04 a zip file, not an array"), HasSubstr("is not a .npy file"));
}

TEST_F(NpyTest, RefusesSizesThatDoNotFitTheShape) {
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(3, 3)", six_)),
              HasSubstr("is truncated: 24 bytes of data where shape (3, 3) needs 36"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(2, 2)", six_)), HasSubstr("is too long"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(4294967296, 4294967296)", six_)),
              HasSubstr("is truncated"));
  EXPECT_THAT(Error(Npy("'<f4'", "False", "(-2, 3)", six_)), HasSubstr("damaged"));
}

TEST_F(NpyTest, EveryTruncationIsAnError) {
  const std::string whole = Npy("'<f4'", "False", "(2, 3)", six_);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(Read(whole.substr(0, length)).ok()) << length;
  }
}

TEST_F(NpyTest, AMissingFileIsNotFoundAndAFolderIsNoFile) {
  EXPECT_TRUE(absl::IsNotFound(ReadNpy(folder_.path() / "none.npy").status()));
  EXPECT_FALSE(ReadNpy(folder_.path()).ok());
}

TEST_F(NpyTest, WritesWhatNumpyReads) {
  ASSERT_TRUE(WriteNpy(file_, std::vector<double>{1.5, -2}).ok());
  std::ifstream in(file_, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(content, HasSubstr("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"));
  EXPECT_EQ(content.size() % 64, 16u);  // numpy aligns the data at 64 bytes
  EXPECT_EQ(content.substr(content.size() - 16), Bytes<double>({1.5, -2}));
  EXPECT_FALSE(WriteNpy(folder_.path() / "no" / "folder.npy", {}).ok());
}

}  // namespace
}  // namespace dimwatch
