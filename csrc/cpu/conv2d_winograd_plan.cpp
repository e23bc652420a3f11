// Geometry of Winograd's algorithm; see conv2d_winograd_plan.hpp.
#include "cpu/conv2d_winograd_plan.hpp"

#include <algorithm>

namespace konv::cpu {
namespace {

WinogradAxis forward_axis(const TapAxis& axis, int64_t outputs) {
  const int64_t tiles = ceil_div(axis.out, outputs), last = axis.out - (tiles - 1) * outputs;
  return {tiles,
          outputs,
          axis.origin,
          0,
          axis.first_tap,
          axis.tap_stride,
          outputs == 4 ? std::max<int64_t>(last + 2, 4) : kWinogradAxisPoints};
}

WinogradAxis adjoint_axis(const TapAxis& axis, int64_t outputs) {
  const int64_t last = axis.taps - 1;
  return {ceil_div(axis.in, outputs),
          outputs,
          0,
          -axis.origin - last,
          axis.first_tap + last * axis.tap_stride,
          -axis.tap_stride,
          kWinogradAxisPoints};
}

}  // namespace

WinogradPlan make_winograd_plan(const TapAxis& h, const TapAxis& w) {
  WinogradPlan plan{};
  plan.taps = static_cast<int>(std::max({h.taps, w.taps, kLeastWinogradTaps}));
  const int64_t outputs = kWinogradAxisPoints - plan.taps + 1;
  plan.h = forward_axis(h, outputs);
  plan.w = forward_axis(w, outputs);
  // Only the gradient of x, whose taps run backwards, comes without ReLU, which needs whole sums. The
  // adjoint's results are added up in memory: at 0.81 of the points (26x26 from 24x24) it takes 0.9 of the
  // time.
  const bool gradient = h.tap_stride < 0;
  const WinogradAxis adjoint_h = adjoint_axis(h, outputs), adjoint_w = adjoint_axis(w, outputs);
  plan.adjoint = gradient && 6 * points_of(adjoint_h, adjoint_w) < 5 * plan.points();
  if (plan.adjoint) {
    plan.h = adjoint_h;
    plan.w = adjoint_w;
  }
  // Where both edges are narrow, they have the same points.
  const int64_t most = std::max(plan.h.last_points, plan.w.last_points);
  if (most < kWinogradAxisPoints) plan.h.last_points = plan.w.last_points = most;
  return plan;
}

WinogradTileShape WinogradPlan::shape_of(int64_t row, int64_t column) const {
  const bool right = w.last_points < kWinogradAxisPoints && column == w.tiles - 1,
             bottom = h.last_points < kWinogradAxisPoints && row == h.tiles - 1;
  return right ? (bottom ? kCorner : kRightEdge) : bottom ? kBottomEdge : kWhole;
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
