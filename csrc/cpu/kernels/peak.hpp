// Contracts of the kernels that measure what the machine can do.
#pragma once

#include <stdint.h>

namespace konv::cpu {

template <class T>
struct PeakKernels {
  // `rounds` times `operations` additions and multiplications that never leave the registers, fused where the
  // ISA can; returns what depends on all of them.
  T (*multiply_add)(int64_t rounds, T value);
  int64_t operations;
  // Reads x and writes y past the caches, evenly interleaved; y is aligned to 64 bytes, both counts are
  // multiples of 64, and x is not empty.
  void (*transfer)(const T* x, int64_t x_count, T* y, int64_t y_count);
};

}  // namespace konv::cpu
