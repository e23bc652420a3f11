// Contracts of the pooling kernels: images NHWC, vectors over channels.
//
// Every pass gathers: a pixel of the result reads a grid of source pixels, rows and columns each an
// arithmetic progression. Forward, the source is the image and the grid the real pixels of a window;
// backward, the source is the gradient and the grid the outputs whose windows cover the pixel. So padding
// costs nothing, every element of the result is written once, and its sum has one order.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// What one pixel of the result gathers along one axis.
struct PoolSpan {
  int64_t first;  // source index; only looked at if count > 0
  int64_t count;
  int64_t tap;     // of the window, that ties the first source pixel to the pixel of the result
  double divisor;  // of the sum; the other axis has one too
};

// From one source pixel of a span to the next; the same for all spans of an axis.
struct PoolStep {
  int64_t source, tap;
};

// One row of the result: `pixels` pixels that gather row.count x columns[pixel].count source pixels each.
template <class T>
struct PoolRow {
  const T* source;  // element (row 0, column 0, first channel) of the image
  int64_t source_row, source_column;
  PoolSpan row;
  const PoolSpan* columns;
  PoolStep row_step, column_step;
  int64_t window_columns;  // S: the position in a window is row tap * S + column tap
  int64_t pixels, channels;
  T* result;
  int64_t result_column;
};

// argmax is (N, P, Q, C) too, at the offset of `result` (forward) or `source` (backward).
template <class T, class Index>
struct ArgmaxKernels {
  // Also stores the position of the first maximum; 0 for an empty grid.
  void (*forward)(const PoolRow<T>&, Index* argmax);
  // Sum of the source elements whose argmax is the position that ties them to the pixel. argmax may hold
  // anything.
  void (*backward)(const PoolRow<T>&, const Index* argmax);
};

template <class T>
struct Pool2dKernels {
  void (*max)(const PoolRow<T>&);  // the first NaN wins over numbers; -inf for an empty grid
  void (*sum)(const PoolRow<T>&);  // divided by the product of both divisors; 0 for an empty grid
  ArgmaxKernels<T, uint8_t> argmax8;
  ArgmaxKernels<T, int32_t> argmax32;
};

}  // namespace konv::cpu
