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
  // y = x, past the caches; y is aligned to 64 bytes, count a multiple of 64.
  void (*copy)(const T* x, int64_t count, T* y);
};

}  // namespace konv::cpu
