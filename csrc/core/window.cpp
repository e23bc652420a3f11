// The output-size formula; see window.hpp.
#include "core/window.hpp"

#include <algorithm>

namespace konv {
namespace {

const char* axis_name(Axis axis) { return axis == Axis::kHeight ? "height" : "width"; }

void require_positive(const char* op, const char* name, Axis axis, int64_t value) {
  if (value < 1) fail(op, name, " must be at least 1, received ", value, " for the ", axis_name(axis));
}

// A lone output has no neighbour a stride away, a lone tap none a dilation away: numbers of any size there
// are bounded, so that nothing computed from them overflows.
WindowAxis bounded(WindowAxis axis) {
  if (axis.out == 1) axis.stride = std::min(axis.stride, axis.size + axis.before + axis.after);
  if (axis.window == 1) axis.dilation = 1;
  return axis;
}

}  // namespace

WindowAxis make_window_axis(const char* op, Axis axis, int64_t size, int64_t window, int64_t stride,
                            int64_t dilation, const Padding& padding, bool ceil_mode) {
  require_positive(op, "strides", axis, stride);
  require_positive(op, "dilation_rate", axis, dilation);
  require_positive(op, "the window", axis, window);
  require_positive(op, "the input", axis, size);
  const char* what = "the padded input";
  const int64_t extent = checked_add(op, what, checked_multiply(op, what, window - 1, dilation), 1);

  WindowAxis w{size, window, stride, dilation, 0, 0, 0};
  if (padding.mode == Padding::Mode::kSame) {
    w.out = ceil_div(size, stride);
    const int64_t last_end = checked_add(op, what, (w.out - 1) * stride, extent);
    const int64_t total = last_end > size ? last_end - size : 0;
    w.before = total / 2;
    w.after = total - w.before;
    return bounded(w);
  }
  if (padding.mode == Padding::Mode::kExplicit) {
    w.before = padding.explicit_pads[axis == Axis::kHeight ? 0 : 2];
    w.after = padding.explicit_pads[axis == Axis::kHeight ? 1 : 3];
    if (w.before < 0 || w.after < 0)
      fail(op, "padding must not be negative, received (", w.before, ", ", w.after, ") for the ",
           axis_name(axis));
  }
  const int64_t padded = checked_add(op, what, checked_add(op, what, size, w.before), w.after);
  checked_add(op, what, padded, extent);  // ceil_mode may put the last window's end past the padded input
  const int64_t room = padded - extent;
  if (ceil_mode) {
    w.out = ceil_div(room, stride) + 1;
    int64_t last_start;
    if (__builtin_mul_overflow(w.out - 1, stride, &last_start) || last_start >= size + w.before) --w.out;
  } else {
    w.out = floor_div(room, stride) + 1;
  }
  if (w.out < 1)
    fail(op, "the output's ", axis_name(axis), " would be ", w.out,
         ", expected at least 1: ", ceil_mode ? "ceil" : "floor", "((", size, " + ", w.before, " + ", w.after,
         " - (", window, " - 1) * ", dilation, " - 1) / ", stride, ") + 1 (input ", size, ", padding (",
         w.before, ", ", w.after, "), window ", window, ", dilation_rate ", dilation, ", stride ", stride,
         ")");
  return bounded(w);
}

}  // namespace konv
