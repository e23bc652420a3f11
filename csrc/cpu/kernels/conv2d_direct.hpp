// Contracts of the direct convolution kernels: one outer-product tile over a zero-padded slab.
//
// A slab holds what a block of output pixels reads, padding included, so that a tap is one offset and nothing
// is bounds-checked: slab[pixel[p] + tap[t] + l] is element l of tap t of pixel p. Nearly all time is spent
// in
//   acc[i][j] += slab[pixel[p0 + i] + tap[t] + l] * packed[...][l][j]     i: pixels, j: filters
// Pointers need the alignment of their element only. No buffer needs slack behind its last element.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// `length` consecutive slab positions along the width: consecutive input columns, or padding (column -1).
struct ColumnRun {
  int64_t begin, length, column;
};

// Fills slab[row][position][channel]: rows from row_index (-1: padding), columns from runs that cover all
// positions. Channels behind `channels`, up to `pitch`, may hold anything.
template <class T>
struct SlabSource {
  const T* x;  // element (row 0, column 0, first channel) of the image
  int64_t row_stride, column_stride;
  const int64_t* row_index;
  int64_t rows;
  const ColumnRun* runs;
  int64_t run_count;
  int64_t positions;  // slab columns
  int64_t channels, pitch;
  T* slab;
};

// Blocks of B = block_filters lanes, `panel_stride` elements apart:
//   panel[lane / B][run][element][lane % B] = source[run_offset[run] + element * element_stride + lane *
//   lane_stride]
// for lane in [0, lanes), the lanes behind them, up to a whole block, zero. Packs kernels (runs: taps,
// elements: channels, lanes: filters) and, for the gradient of the kernel, gradients (runs: rows, elements:
// pixels, lanes: filters).
template <class T>
struct PanelSource {
  const T* source;
  const int64_t* run_offset;
  int64_t runs, elements, lanes;
  int64_t element_stride, lane_stride;
  T* panel;
  int64_t panel_stride;
};

// `lines` cache lines from `first` on.
struct MemoryStretch {
  const void* first;
  int64_t lines;
};

// y[out[p] + k] (+)= sum over taps t and l of slab[pixel[p] + tap[t] + l] * packed[k / B][t][l][k % B]
// for k in [0, min(filters, B * blocks)), B = block_filters. Meanwhile fetches `ahead`, which the thread
// likely reads next, into L2, a few lines for each line of channels.
template <class T>
struct DirectBlock {
  const T* slab;
  const int64_t* pixel;
  const int64_t* out;
  int64_t pixels;
  const int64_t* tap;
  int64_t taps, length;
  const T* packed;      // the first tap of filter block 0
  int64_t packed_taps;  // taps from one filter block to the next: at least `taps`
  int64_t blocks, filters;
  T* y;
  bool accumulate;  // add to y; else overwrite whatever it holds
  bool finish;      // then add bias and addend, each if not null, then ReLU
  const T* bias;
  const T* addend;  // laid out as y
  bool relu;
  bool stream;    // whole blocks of filters go past the caches: their vectors are aligned in y; the caller
                  // fences
  bool prefetch;  // the slab is x itself, not yet in cache: tiles fetch the pixels of the next one
  const MemoryStretch* ahead;
  int64_t ahead_count;
};

// `pixels` pixels of one output row: where their first lies in the slab and in the gradient.
struct PixelRun {
  int64_t slab_offset, grad_offset, pixels;
};

// sums[t][l][k] (+)= sum over pixels p of slab[pixel[p] + tap[t] + l] * grad[k / B * grad_block +
// place[p] + k % B], where the runs give pixel[p] and place[p]; rows of (t, l) sums_row elements apart.
// Meanwhile fetches `ahead`, which the next block reads, into L2, a few lines before each run: many at once
// would hold up the tile's own loads.
template <class T>
struct KernelGradientBlock {
  const T* slab;
  const PixelRun* runs;
  int64_t run_count;
  int64_t pixel_stride;  // slab elements between neighbouring pixels of a run
  const int64_t* tap;
  int64_t taps, length;
  const T* grad;
  int64_t grad_pixel;  // elements of grad between neighbouring pixels of a run
  int64_t grad_block, blocks;
  T* sums;
  int64_t sums_row;  // at least blocks * B
  bool accumulate;
  const MemoryStretch* ahead;
  int64_t ahead_count;
};

// The same kernels for one width of the tile; block_filters is B in the contracts.
template <class T>
struct Conv2dDirectTile {
  int block_filters;
  void (*pack_panel)(const PanelSource<T>&);
  void (*forward)(const DirectBlock<T>&);
  void (*kernel_gradient)(const KernelGradientBlock<T>&);
};

template <class T>
struct Conv2dDirectKernels {
  int lanes;
  int64_t aliased_bytes;  // the gradient of the kernel is slow on pixels a multiple of this apart
  void (*pack_slab)(const SlabSource<T>&);
  Conv2dDirectTile<T> wide, narrow;  // two vectors, one vector of filters
};

}  // namespace konv::cpu
