// Contracts of softmax and the cross-entropies behind it, over rows of logits z with contiguous columns (the
// classes).
//
// m is the largest of a row and e = exp(z - m), off by 3 u as exponential.hpp says. Where a row holds a NaN
// or +infinity, or nothing but -infinity, e holds NaN. No array overlaps another.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// For each row its largest = m and total = sum of e, and, if there are target rows t, their sum and
// labelled = sum of t * (z - m).
template <class T>
struct SoftmaxSums {
  const T *z, *target;
  int64_t rows, columns;
  T *largest, *total, *target_sum, *labelled;
};

// y = e * factor, less t * scale if there are target rows t; factor and scale are one a row. `streamed`: y is
// written past the caches, where rows are aligned to the vector.
template <class T>
struct SoftmaxProducts {
  const T *z, *target;
  int64_t rows, columns;
  const T *largest, *factor, *scale;
  T* y;
  bool streamed;
};

template <class T>
struct SoftmaxKernels {
  void (*sums)(const SoftmaxSums<T>&);
  void (*products)(const SoftmaxProducts<T>&);
};

}  // namespace konv::cpu
