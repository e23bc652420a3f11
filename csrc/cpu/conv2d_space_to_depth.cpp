// A strided convolution as one over blocks of pixels; see conv2d_space_to_depth.hpp.
#include "cpu/conv2d_space_to_depth.hpp"

#include <algorithm>

#include "cpu/isa.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

WindowAxis axis_over_blocks(const WindowAxis& axis) {
  const int64_t taps = block_taps(axis);
  return {axis.out + taps - 1, taps, 1, 1, 0, 0, axis.out};
}

// Where the positions end that some window reads.
int64_t end_of(const WindowAxis& axis) {
  return std::min(axis.size, (axis.out - 1) * axis.stride - axis.before + axis.window);
}

// `from` may be null: zeros.
void copy_or_clear(float* to, const float* from, int64_t elements) {
  if (from)
    std::copy(from, from + elements, to);
  else
    std::fill(to, to + elements, 0.0f);
}

}  // namespace

SpaceToDepth::SpaceToDepth(const Conv2dShape& shape) : shape_(shape), over_blocks_(shape) {
  over_blocks_.C = shape.h.stride * shape.w.stride * shape.C;
  over_blocks_.h = axis_over_blocks(shape.h);
  over_blocks_.w = axis_over_blocks(shape.w);
}

// The columns [first, last) of the image that fill blocks and are all read by some window.
SpaceToDepth::Range SpaceToDepth::whole_columns() const {
  const WindowAxis& w = shape_.w;
  const int64_t first = std::min(ceil_div(w.before, w.stride), over_blocks_.w.size),
                last = (end_of(w) + w.before) / w.stride;
  return {first * w.stride - w.before, std::max(first, last) * w.stride - w.before};
}

BlockedRows SpaceToDepth::blocked(const Range& columns) const {
  return {(columns.last - columns.first) / shape_.w.stride, shape_.h.stride, shape_.w.stride * shape_.C};
}

// Where pixel (i, column) of a row of blocks lies in it, the column counted in the image or its padding.
int64_t SpaceToDepth::in_blocks(int64_t i, int64_t column) const {
  const int64_t position = column + shape_.w.before, stride = shape_.w.stride;
  return position / stride * over_blocks_.C + (i * stride + position % stride) * shape_.C;
}

// A task takes a row of blocks.
void SpaceToDepth::gather_x(const float* x, float* blocks) const {
  const WindowAxis &h = shape_.h, &w = shape_.w;
  const int64_t C = shape_.C, x_row = w.size * C, row_size = over_blocks_.w.size * over_blocks_.C;
  const int64_t rows = shape_.N * over_blocks_.h.size;
  const int64_t last_column = over_blocks_.w.size * w.stride - w.before;
  const Range whole = whole_columns();
  parallel_for(threads_for(rows, static_cast<double>(rows) * row_size), rows, [&](int64_t task, int) {
    const int64_t top = task % over_blocks_.h.size * h.stride - h.before;
    const float* from = x + (task / over_blocks_.h.size * h.size + top) * x_row;
    float* to = blocks + task * row_size;
    // Of the block's rows.
    const int64_t first = std::clamp<int64_t>(-top, 0, h.stride),
                  last = std::clamp<int64_t>(end_of(h) - top, first, h.stride);
    const auto gather_pixels = [&](int64_t begin, int64_t end) {
      for (int64_t column = begin; column < end; ++column)
        for (int64_t i = 0; i < h.stride; ++i) {
          const bool inside = i >= first && i < last && column >= 0 && column < end_of(w);
          copy_or_clear(to + in_blocks(i, column), inside ? from + i * x_row + column * C : nullptr, C);
        }
    };
    gather_pixels(-w.before, whole.first);
    if (whole.first < whole.last)
      space_to_depth_kernels().gather(blocked(whole), from + whole.first * C, x_row, first, last,
                                      to + in_blocks(0, whole.first));
    gather_pixels(whole.last, last_column);
  });
}

// A task takes a row of pixels.
void SpaceToDepth::scatter_x(const float* blocks, const float* fill, float* x) const {
  const WindowAxis &h = shape_.h, &w = shape_.w;
  const int64_t C = shape_.C, row_size = over_blocks_.w.size * over_blocks_.C, rows = shape_.N * h.size;
  const Range whole = whole_columns();
  parallel_for(threads_for(rows, static_cast<double>(rows) * w.size * C), rows, [&](int64_t task, int) {
    const int64_t row = task % h.size, block_row = (row + h.before) / h.stride,
                  i = (row + h.before) % h.stride;
    const bool is_read = row < end_of(h);
    const float* from = blocks + (task / h.size * over_blocks_.h.size + block_row) * row_size;
    float* to = x + task * w.size * C;
    const auto scatter_pixels = [&](int64_t begin, int64_t end) {
      for (int64_t column = begin; column < end; ++column) {
        const bool has_gradient = is_read && column < end_of(w);
        copy_or_clear(to + column * C, has_gradient ? from + in_blocks(i, column) : fill, C);
      }
    };
    if (!is_read || whole.first >= whole.last) return scatter_pixels(0, w.size);
    scatter_pixels(0, whole.first);
    space_to_depth_kernels().scatter(blocked(whole), from + in_blocks(0, whole.first), i,
                                     to + whole.first * C);
    scatter_pixels(whole.last, w.size);
  });
}

// Of a tap over blocks, [0, their number x stride x stride), its place in the kernel: -1 if it only fills up.
int64_t SpaceToDepth::tap_at(int64_t block_tap) const {
  const WindowAxis &h = shape_.h, &w = shape_.w;
  const int64_t column_in = block_tap % w.stride, row_in = block_tap / w.stride % h.stride,
                tap = block_tap / w.stride / h.stride;
  const int64_t row = tap / over_blocks_.w.window * h.stride + row_in,
                column = tap % over_blocks_.w.window * w.stride + column_in;
  return row < h.window && column < w.window ? row * w.window + column : -1;
}

void SpaceToDepth::gather_kernel(const float* kernel, float* blocks) const {
  const int64_t size = shape_.C * shape_.K, taps = over_blocks_.kernel_size() / size;
  parallel_for(threads_for(taps, static_cast<double>(taps) * size), taps, [&](int64_t block_tap, int) {
    const int64_t tap = tap_at(block_tap);
    copy_or_clear(blocks + block_tap * size, tap < 0 ? nullptr : kernel + tap * size, size);
  });
}

void SpaceToDepth::scatter_kernel(const float* blocks, float* kernel) const {
  const int64_t size = shape_.C * shape_.K, taps = over_blocks_.kernel_size() / size;
  parallel_for(threads_for(taps, static_cast<double>(taps) * size), taps, [&](int64_t block_tap, int) {
    const int64_t tap = tap_at(block_tap);
    if (tap >= 0) copy_or_clear(kernel + tap * size, blocks + block_tap * size, size);
  });
}

}  // namespace konv::cpu
