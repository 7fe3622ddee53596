// Plays the files of the folders given, each as it is and with seeded changes: what a fuzzer found
// once stays a test without it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kChanged = 200;  // copies of each input

void Play(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// Cut off, or with some bytes replaced.
std::string Changed(std::string bytes, std::mt19937& random) {
  if (bytes.empty() || random() % 4 == 0) {
    bytes.resize(random() % (2 * bytes.size() + 1), static_cast<char>(random()));
    return bytes;
  }
  for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
    bytes[random() % bytes.size()] = static_cast<char>(random());
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER..., with inputs in them\n", argv[0]);
    return EXIT_FAILURE;
  }
  std::sort(files.begin(), files.end());
  std::mt19937 random(1);
  for (const std::filesystem::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    Play(bytes);
    for (int i = 0; i < kChanged; ++i) Play(Changed(bytes, random));
  }
  std::printf("%zu inputs, each with %d changes\n", files.size(), kChanged);
  return EXIT_SUCCESS;
}
