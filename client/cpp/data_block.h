// Memory for the components of one batch.
#pragma once

#include <cstdint>

namespace dimwatch::client_internal {

// Uninitialized. A large block is mapped by itself, on huge pages where the system has them: the
// first write to memory costs the thread that trains one page fault per page, and 4 096 x 768
// float16 are 1 536 small pages or 3 huge ones. Not thread-safe.
class DataBlock {
 public:
  // The memory of a block for so many bytes: whole pages where it is large.
  static std::int64_t SizeFor(std::int64_t bytes);
  // Whether blocks for so many bytes are worth keeping.
  static bool IsLarge(std::int64_t bytes);

  // Throws std::bad_alloc, and for a large block already where hardly anything would be left: gRPC
  // ends the process where it gets no memory.
  explicit DataBlock(std::int64_t bytes);
  ~DataBlock();
  DataBlock(const DataBlock&) = delete;
  DataBlock& operator=(const DataBlock&) = delete;

  char* data() { return data_; }
  std::int64_t size() const { return size_; }

 private:
  const std::int64_t size_;
  char* const data_;
};

}  // namespace dimwatch::client_internal
