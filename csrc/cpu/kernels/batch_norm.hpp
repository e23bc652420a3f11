// Contracts of the batch normalisation kernels, over (rows, columns) with contiguous columns.
//
// Values of a channel (mean, scale, ...) come as arrays of `columns` elements, or of a whole vector if that
// is more; arrays of the size of x have no such slack. No array overlaps another. `streamed` results are
// written past the caches, where all rows are aligned to the vector.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// y = (x - mean) * scale + shift, then ReLU. Every element goes through the same instructions.
template <class T>
struct NormalizeBlock {
  const T* x;
  int64_t rows, columns;
  const T *mean, *scale, *shift;
  bool relu;
  T* y;
  bool streamed;
};

// Two passes over a block that stays in cache, columns on their own: centre = sum of x / rows, deviation =
// sum of (x - centre), which tells the rounding error of centre (0 instead of NaN), and squares = sum of (x -
// centre)^2. Rows are added in order.
template <class T>
struct MomentsBlock {
  const T* x;
  int64_t rows, columns;
  T *centre, *deviation, *squares;
};

// With g = grad, or +0.0 where y <= 0 if y is not null: sums = sum of g, products = sum of g * (x - mean) *
// rstd.
template <class T>
struct GradientSumsBlock {
  const T *grad, *x, *y;
  int64_t rows, columns;
  const T *mean, *rstd;  // rstd: 1 / standard deviation
  T *sums, *products;
};

// With g as above: grad_x = (g - constant - (x - mean) * slope) * scale, or g * scale if the statistics are
// constants; +0.0 where x <= 0 if x came out of a ReLU, whose gradient this is as well.
template <class T>
struct InputGradientBlock {
  const T *grad, *x, *y;
  int64_t rows, columns;
  bool constants, x_relu;
  const T *mean, *scale, *constant, *slope;
  T* grad_x;
  bool streamed;
};

template <class T>
struct BatchNormKernels {
  void (*normalize)(const NormalizeBlock<T>&);
  void (*moments)(const MomentsBlock<T>&);
  void (*gradient_sums)(const GradientSumsBlock<T>&);
  void (*input_gradient)(const InputGradientBlock<T>&);
};

}  // namespace konv::cpu
