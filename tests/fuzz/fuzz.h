// What the fuzz targets share.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

namespace dimwatch::fuzz {

// What must hold of every input.
#define FUZZ_REQUIRE(condition)                                                           \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

// Decisions from the input, zeros after its end.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return left_.empty(); }
  std::uint8_t Byte() {
    if (left_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  // 0 to n - 1. REQUIRES: 0 < n <= 256.
  std::size_t Below(std::size_t n) { return Byte() % n; }
  bool OneIn(std::size_t n) { return Below(n) == 1; }
  // Mostly small, at times where arithmetic overflows.
  std::int64_t Number() {
    using Limits = std::numeric_limits<std::int64_t>;
    constexpr std::int64_t kEdges[] = {Limits::min(), -1,        1LL << 31,    (1LL << 31) - 1,
                                       1LL << 32,     1LL << 62, Limits::max()};
    const std::uint8_t byte = Byte();
    if (byte < 248) return byte % 48;
    return kEdges[byte % std::size(kEdges)];
  }
  double Real() {
    std::string bytes(Take(sizeof(double)));
    bytes.resize(sizeof(double));
    double value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  // Up to so many bytes.
  std::string_view Take(std::size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view left_;
};

// A file that is in memory alone.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", 0)) {
    FUZZ_REQUIRE(descriptor_ >= 0);
    while (!bytes.empty()) {
      const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
      FUZZ_REQUIRE(written > 0);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace dimwatch::fuzz
