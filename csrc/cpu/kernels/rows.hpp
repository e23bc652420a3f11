// Contracts of kernels over matrices of rows with contiguous columns (the channels).
#pragma once

#include <stdint.h>

namespace konv::cpu {

template <class T>
struct RowsKernels {
  // sums[c] = sum over rows of x[row * columns + c], in an order that rows and columns decide.
  void (*column_sums)(const T* x, int64_t rows, int64_t columns, T* sums);
};

}  // namespace konv::cpu
