// Where pooling gathers along one axis: see PoolSpan and PoolRun in kernels/pool2d.hpp.
//
// Spans come from arithmetic alone, so that a window or a dilation of 2^40 costs no more than its real
// pixels.
#pragma once

#include "core/window.hpp"
#include "cpu/kernels/pool2d.hpp"

namespace konv::cpu {

// What the sum of a window is divided by: nothing, its real pixels, or its pixels in the padded image.
enum class Divisor { kNone, kRealPixels, kPaddedPixels };

// Of an output: the real pixels of its window.
class WindowSpans {
 public:
  WindowSpans(const WindowAxis& axis, Divisor divisor) : axis_(axis), divisor_(divisor) {}

  int64_t results() const { return axis_.out; }
  int64_t sources() const { return axis_.size; }
  int64_t most() const;  // source pixels in a span
  // Away from the ends, the span of the result `period` further begins `advance` source pixels further.
  int64_t period() const { return 1; }
  int64_t advance() const { return axis_.stride; }
  bool tiles() const { return false; }
  int64_t window() const { return axis_.window; }
  PoolStep step() const { return {axis_.dilation, 1}; }
  PoolSpan span(int64_t output) const;

 private:
  WindowAxis axis_;
  Divisor divisor_;
};

// Of an output: itself. Divides gradients before they are shared out.
class OutputSpans {
 public:
  OutputSpans(const WindowAxis& axis, Divisor divisor) : axis_(axis), divisor_(divisor) {}

  int64_t results() const { return axis_.out; }
  int64_t sources() const { return axis_.out; }
  int64_t most() const { return 1; }
  int64_t period() const { return 1; }
  int64_t advance() const { return 1; }
  bool tiles() const { return false; }
  int64_t window() const { return 1; }
  PoolStep step() const { return {1, 0}; }
  PoolSpan span(int64_t output) const;

 private:
  WindowAxis axis_;
  Divisor divisor_;
};

// Of an input pixel: the outputs whose windows cover it, in ascending order. A divisor other than kNone needs
// windows that do not overlap: it is that of the only one.
//
// Output o reaches the pixel with tap t if o * stride + t * dilation = pixel + before: with g = gcd(stride,
// dilation) the solutions are o = o0 + i * dilation / g, t = t0 - i * stride / g.
class CoverSpans {
 public:
  CoverSpans(const WindowAxis& axis, Divisor divisor);

  int64_t results() const { return axis_.size; }
  int64_t sources() const { return axis_.out; }
  int64_t most() const;
  int64_t period() const { return axis_.stride; }
  int64_t advance() const { return 1; }
  bool tiles() const { return axis_.stride == axis_.window && axis_.dilation == 1; }  // windows side by side
  int64_t window() const { return axis_.window; }
  PoolStep step() const { return {output_step_, -tap_step_}; }
  PoolSpan span(int64_t pixel) const;

 private:
  WindowAxis axis_;
  Divisor divisor_;
  int64_t gcd_, output_step_, tap_step_;
  int64_t inverse_;  // of stride / g modulo dilation / g
};

// Cuts the results [first, first + count) into runs, whose pixels count from `first`; returns how many, at
// most `count`. `spread`: those of whole windows side by side become spread runs; the windows must tile the
// axis, and cover no pixel twice on the other.
template <class Spans>
int64_t make_runs(const Spans& spans, int64_t first, int64_t count, bool spread, PoolRun* runs);

}  // namespace konv::cpu
