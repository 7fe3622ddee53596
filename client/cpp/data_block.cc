#include "client/cpp/data_block.h"

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace dimwatch::client_internal {
namespace {

constexpr std::int64_t kLargeBytes = 128 << 10;
constexpr std::int64_t kPageBytes = 64 << 10;  // a multiple of every system's
constexpr std::int64_t kHugePageBytes = 2 << 20;
// Left for gRPC, messages and stacks of threads.
constexpr std::int64_t kRestBytes = 64 << 20;

std::int64_t RoundUp(std::int64_t bytes, std::int64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void Unmap(char* begin, const char* end) {
  if (begin < end) munmap(begin, static_cast<std::size_t>(end - begin));
}

// `size` bytes that begin at a huge page.
char* Map(std::int64_t size) {
  const std::int64_t all = size + kHugePageBytes + kRestBytes;
  void* const mapped = mmap(nullptr, static_cast<std::size_t>(all), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(mapped);
  const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(begin));
  char* const block = begin + (RoundUp(address, kHugePageBytes) - address);
  Unmap(begin, block);
  Unmap(block + size, begin + all);
  // A system without huge pages says so: the block is as good, and slower.
  madvise(block, static_cast<std::size_t>(size), MADV_HUGEPAGE);
  return block;
}

char* Allocate(std::int64_t size) {
  return DataBlock::IsLarge(size)
             ? Map(size)
             : static_cast<char*>(::operator new(static_cast<std::size_t>(size)));
}

}  // namespace

bool DataBlock::IsLarge(std::int64_t bytes) { return bytes >= kLargeBytes; }

std::int64_t DataBlock::SizeFor(std::int64_t bytes) {
  if (!IsLarge(bytes)) return bytes;
  // Half of a huge page and more is taken as one.
  const bool nearly_huge = bytes % kHugePageBytes >= kHugePageBytes / 2;
  return RoundUp(bytes, nearly_huge ? kHugePageBytes : kPageBytes);
}

DataBlock::DataBlock(std::int64_t bytes) : size_(SizeFor(bytes)), data_(Allocate(size_)) {}

DataBlock::~DataBlock() {
  if (IsLarge(size_)) {
    Unmap(data_, data_ + size_);
  } else {
    ::operator delete(data_);
  }
}

}  // namespace dimwatch::client_internal
