// Geometry of Winograd's algorithm; see conv2d_winograd_plan.hpp.
#include "cpu/conv2d_winograd_plan.hpp"

#include <algorithm>

namespace konv::cpu {
namespace {

constexpr int64_t kPoints = 6;  // of a tile, an axis

WinogradAxis forward_axis(const TapAxis& axis, int64_t outputs) {
  return {ceil_div(axis.out, outputs), outputs, axis.origin, 0, axis.first_tap, axis.tap_stride};
}

WinogradAxis adjoint_axis(const TapAxis& axis, int64_t outputs) {
  const int64_t last = axis.taps - 1;
  return {ceil_div(axis.in, outputs),
          outputs,
          0,
          -axis.origin - last,
          axis.first_tap + last * axis.tap_stride,
          -axis.tap_stride};
}

}  // namespace

WinogradPlan make_winograd_plan(const TapAxis& h, const TapAxis& w) {
  WinogradPlan plan{};
  plan.taps = static_cast<int>(std::max({h.taps, w.taps, kLeastWinogradTaps}));
  const int64_t outputs = kPoints - plan.taps + 1;
  plan.h = forward_axis(h, outputs);
  plan.w = forward_axis(w, outputs);
  // Only the gradient of x, whose taps run backwards, comes without ReLU, which needs whole sums.
  const bool gradient = h.tap_stride < 0;
  const WinogradAxis adjoint_h = adjoint_axis(h, outputs), adjoint_w = adjoint_axis(w, outputs);
  plan.adjoint = gradient && 5 * adjoint_h.tiles * adjoint_w.tiles < 4 * plan.tiles();
  if (plan.adjoint) {
    plan.h = adjoint_h;
    plan.w = adjoint_w;
  }
  return plan;
}

PhaseAxis half_of(const TapAxis& axis, int64_t parity) {
  const int64_t position = axis.origin + parity, first = position & 1;
  TapAxis half = axis;
  half.in = ceil_div(std::max<int64_t>(0, axis.in - first), 2);
  half.stride = 1;
  half.origin = (position - first) / 2;
  half.taps = (axis.taps - parity + 1) / 2;
  half.first_tap = axis.first_tap + parity * axis.tap_stride;
  half.tap_stride = 2 * axis.tap_stride;
  return {half, first, 2};
}

}  // namespace konv::cpu
