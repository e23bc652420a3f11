// Geometry of Winograd's algorithm: how tiles lie on source and result. Everything here is a function of the
// shape, never of N or of the number of threads.
#pragma once

#include <algorithm>

#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/kernels/conv2d_winograd.hpp"

namespace konv::cpu {

// Tile i of an axis reads from source position i * outputs + source on, and makes results from position i *
// outputs + result on. Its tap t is row (or column) first_tap + t * tap_stride of the kernel. The last tile
// has `last_points` of the 6 points, the first ones and infinity: with 3 taps 4 for up to 2 outputs, 5 for 3.
struct WinogradAxis {
  int64_t tiles, outputs, source, result, first_tap, tap_stride, last_points;

  int64_t points() const { return (tiles - 1) * kWinogradAxisPoints + last_points; }
};

inline double points_of(const WinogradAxis& h, const WinogradAxis& w) {
  return static_cast<double>(h.points()) * static_cast<double>(w.points());
}

// Tiles of an image by their points: fewer across (the last of a row), all, fewer down, fewer both ways. In
// this order those that have a given point are neighbours.
enum WinogradTileShape { kRightEdge, kWhole, kBottomEdge, kCorner, kTileShapes };

// An output o is the sum over taps t of the input at o + origin + t (conv2d_direct_plan.hpp). Forward, tiles
// of outputs read 6x6 inputs. The adjoint turns this around: tiles of inputs add to 6x6 outputs, through the
// taps in reverse; tap t = taps - 1 of the input at i adds to the output i - origin - (taps - 1).
struct WinogradPlan {
  int taps;  // R: 3, 4 or 5
  bool adjoint;
  WinogradAxis h, w;

  int64_t tiles() const { return h.tiles * w.tiles; }  // of an image
  double points() const { return points_of(h, w); }    // of all of them, beyond int64 perhaps
  bool has_edges() const { return std::min(h.last_points, w.last_points) < kWinogradAxisPoints; }
  WinogradTileShape shape_of(int64_t row, int64_t column) const;  // of an image's tiles
};

// Both axes have stride and step 1 and at most 5 taps.
WinogradPlan make_winograd_plan(const TapAxis& h, const TapAxis& w);

// Every step-th position of an axis, from `first` on, as an axis of its own without a stride.
struct PhaseAxis {
  TapAxis taps;
  int64_t first, step;
};

// The positions that taps parity, parity + 2, ... of an axis with stride 2 meet.
PhaseAxis half_of(const TapAxis& axis, int64_t parity);

// Pitch of rows of so many elements, an odd number of lines: powers of two would fall into few sets of the
// cache.
inline int64_t odd_lines(int64_t elements) { return (ceil_div(elements, 16) | 1) * 16; }

}  // namespace konv::cpu
