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

// Pixels of a row of the result, in equal steps, whose grids are alike.
//
// A spread run turns this round: each source pixel is the only one that `columns` neighbouring pixels of the
// result gather, taps 0, 1, ... of its window.
struct PoolRun {
  int64_t pixel, pixel_step, pixels;  // of the result; a spread run: of the first of each `columns`
  int64_t source, source_step;        // first source column of the first pixel; from pixel to pixel
  int64_t columns, tap;               // as in PoolSpan: count, tap
  double divisor;
  bool spread;
};

// One row of the result, whose pixels gather row.count (spread runs: 0 or 1) x run.columns source pixels
// each.
template <class T>
struct PoolRow {
  const T* source;  // element (row 0, column 0, first channel) of the image
  int64_t source_row;
  PoolSpan row;
  const PoolRun* runs;
  int64_t run_count;
  PoolStep row_step, column_step;
  int64_t window_columns;  // S: the position in a window is row tap * S + column tap
  int64_t pixels, channels;
  int64_t pixel_size;  // elements between neighbouring pixels, in source and result
  T* result;
  // Elements that may be read from `source` on and, beside those of later pixels, overwritten from `result`
  // on (0 unless runs go up).
  int64_t source_left, result_left;
  // What rows after this one read; a kernel fetches it into L2 meanwhile.
  const T* ahead;
  int64_t ahead_count;
  bool streamed;  // the result is written past the caches, where whole vectors of channels are aligned
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
