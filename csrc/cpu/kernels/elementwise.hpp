// Contracts of kernels over elements one by one; no array overlaps another.
#pragma once

#include <stdint.h>

namespace konv::cpu {

template <class T>
struct ElementwiseKernels {
  // y = max(x, +0.0), NaN for NaN
  void (*relu)(const T* x, int64_t count, T* y);
  // grad_x = grad where not (y <= 0), else +0.0
  void (*relu_backward)(const T* grad, const T* y, int64_t count, T* grad_x);
};

}  // namespace konv::cpu
