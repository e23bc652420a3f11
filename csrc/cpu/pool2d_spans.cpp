// Arithmetic of the spans; see pool2d_spans.hpp.
#include "cpu/pool2d_spans.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace konv::cpu {
namespace {

double divisor_of(const WindowAxis& axis, int64_t output, Divisor divisor) {
  if (divisor == Divisor::kNone) return 1;
  // Every window begins inside the padded image.
  const int64_t taps = divisor == Divisor::kPaddedPixels ? axis.last_padded_tap(output)
                                                         : axis.last_tap(output) - axis.first_tap(output);
  return static_cast<double>(std::max<int64_t>(taps, 1));
}

int64_t modulo(int64_t a, int64_t m) { return a % m < 0 ? a % m + m : a % m; }

// The x in [0, m) with a * x = 1 modulo m, by Euclid's algorithm; gcd(a, m) must be 1.
int64_t inverse_modulo(int64_t a, int64_t m) {
  int64_t x = 0, next_x = 1, r = m, next_r = a % m;
  while (next_r != 0) {
    const int64_t quotient = r / next_r;
    r = std::exchange(next_r, r - quotient * next_r);
    x = std::exchange(next_x, x - quotient * next_x);
  }
  return modulo(x, m);
}

int64_t multiply_modulo(int64_t a, int64_t b, int64_t m) {
  return static_cast<int64_t>(static_cast<__int128>(a) * b % m);
}

}  // namespace

int64_t WindowSpans::most() const { return std::min(axis_.window, axis_.size); }

PoolSpan WindowSpans::span(int64_t output) const {
  const int64_t first = axis_.first_tap(output), last = axis_.last_tap(output);
  const double divisor = divisor_of(axis_, output, divisor_);
  if (last <= first) return {0, 0, 0, divisor};
  return {axis_.position(output, first), last - first, first, divisor};
}

PoolSpan OutputSpans::span(int64_t output) const {
  return {output, 1, 0, divisor_of(axis_, output, divisor_)};
}

CoverSpans::CoverSpans(const WindowAxis& axis, Divisor divisor)
    : axis_(axis),
      divisor_(divisor),
      gcd_(std::gcd(axis.stride, axis.dilation)),
      output_step_(axis.dilation / gcd_),
      tap_step_(axis.stride / gcd_),
      inverse_(inverse_modulo(tap_step_, output_step_)) {}

int64_t CoverSpans::most() const { return std::min(axis_.out, ceil_div(axis_.window, tap_step_)); }

PoolSpan CoverSpans::span(int64_t pixel) const {
  const PoolSpan none{0, 0, 0, 1};
  const int64_t reach = pixel + axis_.before;
  const int64_t last_tap_reach = (axis_.window - 1) * axis_.dilation;
  const int64_t lower = std::max<int64_t>(0, ceil_div(reach - last_tap_reach, axis_.stride));
  const int64_t upper = std::min(axis_.out - 1, reach / axis_.stride);
  if (upper < lower) return none;
  int64_t first = lower;
  if (axis_.dilation > 1) {
    if (reach % gcd_ != 0) return none;
    const int64_t solution = multiply_modulo(reach / gcd_ % output_step_, inverse_, output_step_);
    first += modulo(solution - lower, output_step_);
    if (first > upper) return none;
  }
  return {first, (upper - first) / output_step_ + 1, (reach - first * axis_.stride) / axis_.dilation,
          divisor_of(axis_, first, divisor_)};
}

namespace {

// The run with one more pixel, or another run behind it.
PoolRun* append(PoolRun* last, const PoolRun* runs, const PoolRun& pixel) {
  if (last >= runs && last->spread == pixel.spread && last->columns == pixel.columns &&
      last->tap == pixel.tap && last->divisor == pixel.divisor &&
      last->pixel + last->pixels * last->pixel_step == pixel.pixel &&
      (pixel.columns == 0 || last->source + last->pixels * last->source_step == pixel.source)) {
    ++last->pixels;
    return last;
  }
  *++last = pixel;
  return last;
}

}  // namespace

template <class Spans>
int64_t make_runs(const Spans& spans, int64_t first, int64_t count, bool spread, PoolRun* runs) {
  PoolRun* last = runs - 1;
  const int64_t period = spread ? 1 : spans.period(), window = spans.window();
  for (int64_t phase = 0; phase < std::min(period, count); ++phase)
    for (int64_t pixel = phase; pixel < count;) {
      const PoolSpan span = spans.span(first + pixel);
      const bool whole = spread && span.count == 1 && span.tap == 0 && window <= count - pixel;
      last = append(last, runs,
                    {pixel, whole ? window : period, 1, span.first, spread ? 1 : spans.advance(),
                     whole ? window : span.count, span.tap, span.divisor, whole});
      pixel += whole ? window : period;
    }
  return last - runs + 1;
}

template int64_t make_runs(const WindowSpans&, int64_t, int64_t, bool, PoolRun*);
template int64_t make_runs(const OutputSpans&, int64_t, int64_t, bool, PoolRun*);
template int64_t make_runs(const CoverSpans&, int64_t, int64_t, bool, PoolRun*);

}  // namespace konv::cpu
