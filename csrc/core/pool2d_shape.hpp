// Pool2dShape: the one description of a 2D pooling. Layouts: x (N, H, W, C), y and argmax (N, P, Q, C).
#pragma once

#include "core/conv2d_shape.hpp"

namespace konv {

struct Pool2dShape {
  int64_t N, C;
  WindowAxis h, w;  // as in Conv2dShape; h.window * w.window positions in a window

  std::array<int64_t, 4> x_dims() const { return {N, h.size, w.size, C}; }
  std::array<int64_t, 4> y_dims() const { return {N, h.out, w.out, C}; }
};

// ceil_mode has no effect with "same".
inline Pool2dShape make_pool2d_shape(const char* op, const char* name, const Dims& x, const Pair& pool_size,
                                     const Pair& strides, const Padding& padding, const Pair& dilation,
                                     bool ceil_mode) {
  require_image_dims(op, name, x);
  for (int64_t size : pool_size)
    if (size < 1) fail(op, "pool_size must be at least 1, received ", tuple_text(pool_size));
  Pool2dShape shape{
      x[0], x[3],
      make_window_axis(op, Axis::kHeight, x[1], pool_size[0], strides[0], dilation[0], padding, ceil_mode),
      make_window_axis(op, Axis::kWidth, x[2], pool_size[1], strides[1], dilation[1], padding, ceil_mode)};
  checked_bytes(op, "the result", shape.y_dims(), 8);
  return shape;
}

}  // namespace konv
