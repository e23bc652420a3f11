// Error wording and overflow-checked arithmetic, shared by every driver.
//
// An error says what is wrong, what was expected and what was received, the op's name first:
//   conv2d: kernel has 3 input channels but x has 4 (x: (8, 32, 32, 4), kernel: (3, 3, 3, 16), groups=1)
// std::invalid_argument becomes ValueError in Python, OutOfMemory becomes MemoryError.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace konv {

using Dims = std::vector<int64_t>;

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// "(8, 32, 32, 4)", as Python prints a tuple.
template <class Container>
std::string tuple_text(const Container& values) {
  std::ostringstream out;
  out << '(';
  bool first = true;
  for (auto value : values) {
    out << (first ? "" : ", ") << value;
    first = false;
  }
  out << (values.size() == 1 ? ",)" : ")");
  return out.str();
}

template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const char* op, const Parts&... parts) {
  throw std::invalid_argument(concatenate(op, ": ", parts...));
}

// Sizes beyond int64 can't be held by any machine, so overflow is reported as want of memory.
[[noreturn]] inline void fail_overflow(const char* op, const char* what) {
  throw OutOfMemory(concatenate(op, ": the size of ", what, " exceeds 2^63"));
}

inline int64_t checked_add(const char* op, const char* what, int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) fail_overflow(op, what);
  return sum;
}

inline int64_t checked_multiply(const char* op, const char* what, int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) fail_overflow(op, what);
  return product;
}

// Bytes of an array of `dims` elements of `item_size` bytes each.
template <class Container>
int64_t checked_bytes(const char* op, const char* what, const Container& dims, int64_t item_size) {
  int64_t bytes = item_size;
  for (int64_t dim : dims) {
    if (dim == 0) return 0;
    bytes = checked_multiply(op, what, bytes, dim);
  }
  return bytes;
}

}  // namespace konv
