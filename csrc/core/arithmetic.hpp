// Integer arithmetic of sizes: overflow-checked, and divisions that round to one side.
#pragma once

#include <cstdint>

#include "core/check.hpp"

namespace konv {

// For b > 0 and any a.
inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

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

// Bytes of an array of `dims` elements of `item_size` bytes each. The dimensions beside a zero must make
// sense too: NumPy refuses an empty array whose strides overflow.
template <class Container>
int64_t checked_bytes(const char* op, const char* what, const Container& dims, int64_t item_size) {
  int64_t bytes = item_size;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim == 0)
      empty = true;
    else
      bytes = checked_multiply(op, what, bytes, dim);
  }
  return empty ? 0 : bytes;
}

}  // namespace konv
