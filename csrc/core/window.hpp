// A window that slides along one spatial axis, and the only output-size formula of Konv:
//
//   out = floor((size + before + after - (window - 1) * dilation - 1) / stride) + 1
//
// With ceil_mode the division rounds up, less one if the last window would start at or beyond size + before.
// "same" pads so that out = ceil(size / stride), the odd element at the end (TensorFlow's rule).
#pragma once

#include <array>
#include <cstdint>

#include "core/arithmetic.hpp"

namespace konv {

struct Padding {
  enum class Mode { kValid, kSame, kExplicit };
  Mode mode = Mode::kValid;
  std::array<int64_t, 4> explicit_pads{};  // top, bottom, left, right
};

struct WindowAxis {
  int64_t size;      // elements of the input
  int64_t window;    // taps of the window: R or S
  int64_t stride;    // input elements between neighbouring outputs; of one: at most the padded input
  int64_t dilation;  // input elements between neighbouring taps; of one: 1
  int64_t before;    // padding in front of the input
  int64_t after;     // padding behind it
  int64_t out;       // outputs: P or Q

  int64_t extent() const { return (window - 1) * dilation + 1; }

  // Taps [first, last) of output `o` that fall on the input, not on padding.
  int64_t first_tap(int64_t o) const { return clamp_tap(ceil_div(before - o * stride, dilation)); }
  int64_t last_tap(int64_t o) const { return clamp_tap(ceil_div(before - o * stride + size, dilation)); }
  // The same for the padded input; windows may run over its end with ceil_mode.
  int64_t last_padded_tap(int64_t o) const {
    return clamp_tap(ceil_div(before - o * stride + size + after, dilation));
  }
  int64_t position(int64_t o, int64_t tap) const { return o * stride - before + tap * dilation; }

 private:
  int64_t clamp_tap(int64_t tap) const { return tap < 0 ? 0 : tap > window ? window : tap; }
};

enum class Axis { kHeight, kWidth };

// Validates one axis and computes its padding and its output size. Errors name `op` and the axis.
WindowAxis make_window_axis(const char* op, Axis axis, int64_t size, int64_t window, int64_t stride,
                            int64_t dilation, const Padding& padding, bool ceil_mode);

}  // namespace konv
