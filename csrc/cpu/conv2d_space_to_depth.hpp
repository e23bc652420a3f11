// A strided convolution as one without a stride ("space to depth").
//
// Blocks of stride x stride pixels become pixels of as many times the channels, in the order (row, column,
// channel). Block b of an axis begins at position b * stride - before, so that output o reads blocks o, o +
// 1, ..., and tap r of the kernel is element r % stride of tap r / stride over blocks. Taps that fill up the
// last block are zero. Over blocks there is no padding: what lies outside of the image is zero in them, and
// so are pixels behind the last window, which no output may depend on.
#pragma once

#include "core/conv2d_shape.hpp"
#include "cpu/kernels/space_to_depth.hpp"

namespace konv::cpu {

// Taps over blocks, along an axis without dilation.
inline int64_t block_taps(const WindowAxis& axis) { return ceil_div(axis.window, axis.stride); }

// Of a convolution with one group and no dilation.
class SpaceToDepth {
 public:
  explicit SpaceToDepth(const Conv2dShape& shape);

  const Conv2dShape& over_blocks() const { return over_blocks_; }  // with the same result

  void gather_x(const float* x, float* blocks) const;
  void gather_kernel(const float* kernel, float* blocks) const;

  // The other way, for gradients. Pixels behind the last window get `fill` (C values), or zero if it is null.
  void scatter_x(const float* blocks, const float* fill, float* x) const;
  void scatter_kernel(const float* blocks, float* kernel) const;

 private:
  struct Range {
    int64_t first, last;
  };
  Range whole_columns() const;
  BlockedRows blocked(const Range& columns) const;
  int64_t in_blocks(int64_t i, int64_t column) const;
  int64_t tap_at(int64_t block_tap) const;

  Conv2dShape shape_, over_blocks_;
};

}  // namespace konv::cpu
