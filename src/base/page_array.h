// Large arrays whose memory goes back to the system when they go.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace dimwatch {

// An array of zeros in pages of its own. malloc keeps what it freed for the next who asks, so that
// a peak would be paid for forever. Costs a system call and a fault a page: for megabytes. Movable.
template <typename T>
class PageArray {
  static_assert(std::is_trivial_v<T>);

 public:
  PageArray() = default;
  // Throws std::bad_alloc.
  explicit PageArray(std::size_t size) : bytes_(size * sizeof(T)) {
    if (bytes_ == 0) return;
    void* const pages =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<T*>(pages);
  }
  PageArray(PageArray&& other) noexcept { Swap(other); }
  PageArray& operator=(PageArray&& other) noexcept {
    PageArray taken(std::move(other));
    Swap(taken);
    return *this;
  }
  ~PageArray() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }

  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }

 private:
  void Swap(PageArray& other) {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  T* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace dimwatch
