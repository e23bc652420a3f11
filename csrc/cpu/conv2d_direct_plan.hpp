// Geometry of the direct algorithm: which input positions a block of outputs reads, and where its slab keeps
// them.
//
// Forward and gradient of x are one problem: an output o of an axis sums over taps t the input at
// o * stride + origin + t * step. The gradient of x with stride s splits into s * s such problems ("phases"),
// one for each remainder of the position by the stride; each has the taps that reach it, and none has a
// stride of its own. Everything here is a function of the shape, never of N or of the number of threads.
#pragma once

#include <vector>

#include "core/conv2d_shape.hpp"
#include "cpu/kernels/conv2d_direct.hpp"

namespace konv::cpu {

struct TapAxis {
  int64_t in;                      // positions of the input
  int64_t out;                     // outputs to compute
  int64_t stride;                  // input positions between neighbouring outputs
  int64_t origin;                  // input position of tap 0 of output 0
  int64_t taps, step;              // step >= 1: input positions between neighbouring taps
  int64_t first_tap, tap_stride;   // tap t is row (or column) first_tap + t * tap_stride of the kernel
  int64_t out_offset, out_stride;  // output o is row (or column) out_offset + o * out_stride of the result
};

// The forward axis, without the taps at either end that only ever meet padding.
TapAxis forward_taps(const WindowAxis& axis);

// The phase of the gradient of x that computes positions phase, phase + stride, ...; 0 <= phase < min(stride,
// size).
TapAxis input_gradient_taps(const WindowAxis& axis, int64_t phase);

// The phases that some tap reaches, rising: at most as many as taps, however large the stride.
std::vector<int64_t> live_phases(const WindowAxis& axis);

// The taps [first, last) of an output that meet the input.
struct TapRange {
  int64_t first, last;
  bool operator!=(const TapRange& other) const { return first != other.first || last != other.last; }
};

TapRange live_taps(const TapAxis& axis, int64_t output);

// Does any tap of any output?
bool meets_padding(const TapAxis& axis);

// How a slab holds what `block` neighbouring outputs read along one axis: as the input lies ("dense"), or tap
// after tap for each output ("compact"), whichever is smaller.
struct SlabAxis {
  int64_t block;      // outputs
  int64_t out_pitch;  // slab positions between neighbouring outputs
  int64_t tap_pitch;  // slab positions between neighbouring taps
  int64_t positions;

  bool is_dense(const TapAxis& axis) const;
  // Input position at slab position i of the block that starts with output `first`; -1 on padding.
  int64_t input_position(const TapAxis& axis, int64_t first, int64_t i) const;
};

SlabAxis make_slab_axis(const TapAxis& axis, int64_t block, bool adjacent_taps);

// Blocks of rows x columns of output pixels, and the slab of a block.
struct SlabPlan {
  TapAxis h, w;
  SlabAxis slab_h, slab_w;
  int64_t block_rows, block_columns;  // blocks along each axis of an image
  int64_t channels;                   // channels of one slab
  int64_t pitch;                      // slab elements between neighbouring positions
  int64_t row_stride, column_stride;  // slab elements between neighbouring outputs
  bool merged;                        // taps of a row and channels form one contiguous axis
  int64_t row_taps, taps;             // taps of the kernel contract: of one row of taps, of all
  int64_t length;                     // elements of a whole slab's tap

  int64_t pixels() const { return slab_h.block * slab_w.block; }
  int64_t elements() const { return slab_h.positions * slab_w.positions * pitch; }
  std::vector<int64_t> tap_offsets() const;
};

// `channels` are those of one group; about `pixels` output pixels a block, at most `most_channels` channels a
// slab. may_merge: with few channels, taps of a row and channels become one axis. `padding` elements are
// added to a power-of-two pitch: equal cache sets for all pixels would thrash.
SlabPlan make_slab_plan(const TapAxis& h, const TapAxis& w, int64_t channels, bool may_merge, int64_t pixels,
                        int64_t most_channels, int64_t padding, int64_t item_size);

// The tile for `filters` filters: narrow where wide would leave its second vector empty.
template <class T>
const Conv2dDirectTile<T>& tile_for(const Conv2dDirectKernels<T>& kernels, int64_t filters) {
  return filters <= kernels.lanes ? kernels.narrow : kernels.wide;
}

// Row and column tables of one block, for the kernels; the memory is the caller's.
struct BlockTables {
  int64_t* row_index;
  ColumnRun* runs;
  int64_t run_count;
  int64_t first_row, rows, first_column, columns;  // the block's outputs
};

void fill_block_tables(const SlabPlan& plan, int64_t block, BlockTables& tables);

// Where the pixels of a block lie, from its first one on: in the slab, and in a result with these strides.
// Row after row, `columns` pixels each: blocks of fewer rows use the first ones.
struct PixelTable {
  std::vector<int64_t> pixel, out;
};

PixelTable make_pixel_table(const SlabPlan& plan, int64_t columns, int64_t y_row, int64_t y_column);

// Fills the slab of a filled block; x is the first of `channels` channels of the image.
template <class T>
void pack_block(const SlabPlan& plan, const BlockTables& tables, const Conv2dDirectKernels<T>& kernels,
                const T* x, int64_t x_row, int64_t x_column, int64_t channels, T* slab) {
  kernels.pack_slab({x, x_row, x_column, tables.row_index, plan.slab_h.positions, tables.runs,
                     tables.run_count, plan.slab_w.positions, channels, plan.pitch, slab});
}

// The cache lines that hold `elements` elements of each of `pixels` pixels, `pitch` elements apart: returns
// how many stretches those are, at most one a pixel.
template <class T>
int64_t list_pixels(const T* first, int64_t pixels, int64_t elements, int64_t pitch,
                    MemoryStretch* stretches) {
  if (elements == pitch) {  // no gaps
    elements *= pixels;
    pixels = 1;
  }
  const auto line = [](const T* at) { return static_cast<int64_t>(reinterpret_cast<uintptr_t>(at) / 64); };
  for (int64_t i = 0; i < pixels; ++i, first += pitch)
    stretches[i] = {first, line(first + elements - 1) - line(first) + 1};
  return pixels;
}

// The lines that pack_block would read: at most a stretch a position of the slab.
template <class T>
int64_t list_block(const SlabPlan& plan, const BlockTables& tables, const T* x, int64_t x_row,
                   int64_t x_column, int64_t channels, MemoryStretch* stretches) {
  int64_t count = 0;
  for (int64_t i = 0; i < plan.slab_h.positions; ++i)
    for (int64_t j = 0; j < tables.run_count; ++j)
      if (const ColumnRun& run = tables.runs[j]; tables.row_index[i] >= 0 && run.column >= 0)
        count += list_pixels(x + tables.row_index[i] * x_row + run.column * x_column, run.length, channels,
                             x_column, stretches + count);
  return count;
}

// A 1x1 convolution without stride and padding: all pixels of all images may be one row.
bool is_pointwise(const TapAxis& h, const TapAxis& w);

}  // namespace konv::cpu
