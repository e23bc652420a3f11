// Contracts of sums, element by element; no result overlaps another array.
//
// `streamed` results are written past the caches, where they are aligned to the vector.
#pragma once

#include <stdint.h>

namespace konv::cpu {

template <class T>
struct ElementwiseKernels {
  // y = a + b; a and b may be one array
  void (*add)(const T* a, const T* b, int64_t count, T* y, bool streamed);
  // y = max(a + b, +0.0), NaN for NaN
  void (*add_relu)(const T* a, const T* b, int64_t count, T* y, bool streamed);
};

}  // namespace konv::cpu
