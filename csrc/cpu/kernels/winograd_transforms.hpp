// Transforms of Winograd's minimal filtering on 6x6 tiles: F(4x4,3x3), F(3x3,4x4) and F(2x2,5x5), which share
// the points 0, 1, -1, 2, -2 and infinity and so the transform of the data. Included by kernel files only.
//
// With m outputs and R taps an axis, m + R - 1 = 6:
//   y = A^T [ (G w G^T) . (B^T d B) ] A         d: 6x6 inputs, w: RxR taps, y: mxm outputs
// and, each the transpose of that bilinear form in one of its arguments,
//   dd = B [ (G w G^T) . (A g A^T) ] B^T        g: gradient of y
//   dw = G^T [ (B^T d B) . (A g A^T) ] G        summed over tiles before G
// A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Each function below
// applies one matrix to a column of vectors.
#pragma once

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kWinogradTile = 6;  // points an axis

template <int R>
constexpr int kWinogradOutputs = kWinogradTile - R + 1;  // an axis: 4 for 3x3, 3 for 4x4, 2 for 5x5

using WinogradVector = Vector<float>;

// B^T: 6 inputs -> 6 points.
struct DataTransform {
  static constexpr int kIn = 6, kOut = 6;
  KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
    const WinogradVector a = x[4] - x[2] * 4.0f, b = x[3] - x[1] * 4.0f, c = x[4] - x[2],
                         d = (x[3] - x[1]) * 2.0f;
    y[0] = x[0] * 4.0f - x[2] * 5.0f + x[4];
    y[1] = a + b;
    y[2] = a - b;
    y[3] = c + d;
    y[4] = c - d;
    y[5] = x[1] * 4.0f - x[3] * 5.0f + x[5];
  }
};

// A narrower tile of 3 taps, for 2 or 3 outputs at an image's edge: F(2, 3) of the points 0, 1, -1 and
// infinity, F(3, 3) of 2, too. What tells its matrix G from the one of 6 points, whose rows it shares, are
// factors, and those are here.
template <int Points>
struct EdgeDataTransform {
  static constexpr int kIn = Points, kOut = Points;
  KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
    if constexpr (Points == 4) {
      y[0] = (x[0] - x[2]) * 4.0f;
      y[1] = (x[1] + x[2]) * -3.0f;
      y[2] = (x[1] - x[2]) * 3.0f;
      y[3] = x[3] - x[1];
    } else {
      const WinogradVector a = x[3] - x[1], b = x[2] - x[0];
      y[0] = a * 2.0f - b * 4.0f;
      y[1] = (x[3] - x[2] - x[1] * 2.0f) * 3.0f;
      y[2] = x[1] * 2.0f - x[2] * 3.0f + x[3];
      y[3] = a * 4.0f;
      y[4] = x[4] - x[2] - a * 2.0f;
    }
  }
};

template <int Points>
struct EdgeOutputTransform {
  static constexpr int kIn = Points, kOut = Points - 2;
  KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
    const WinogradVector a = x[1] + x[2], b = x[1] - x[2];
    if constexpr (Points == 4) {
      y[0] = x[0] + a;
      y[1] = b + x[3];
    } else {
      y[0] = x[0] + a + x[3];
      y[1] = b + x[3] * 2.0f;
      y[2] = a + x[3] * 4.0f + x[4];
    }
  }
};

// Which of the points in memory, `kAll` along an axis, is the i-th of a tile: a narrower one has the first of
// them, and infinity, the last.
template <class Transform>
constexpr int kAll = Transform::kOut;
template <int Points>
constexpr int kAll<EdgeDataTransform<Points>> = kWinogradTile;

template <class Transform>
constexpr int kAllSums = Transform::kIn;
template <int Points>
constexpr int kAllSums<EdgeOutputTransform<Points>> = kWinogradTile;

constexpr int point_at(int i, int points, int all) { return i == points - 1 ? all - 1 : i; }

// B: 6 points -> 6 inputs.
struct DataAdjoint {
  static constexpr int kIn = 6, kOut = 6;
  KONV_INLINE void apply(const WinogradVector* y, WinogradVector* x) {
    const WinogradVector a = y[2] - y[1], b = y[1] + y[2], c = y[4] - y[3], d = y[3] + y[4];
    x[0] = y[0] * 4.0f;
    x[1] = (a + y[5]) * 4.0f + c * 2.0f;
    x[2] = y[0] * -5.0f - b * 4.0f - d;
    x[3] = y[5] * -5.0f - a - c * 2.0f;
    x[4] = y[0] + b + d;
    x[5] = y[5];
  }
};

// A^T: 6 points -> m outputs.
template <int R>
struct OutputTransform {
  static constexpr int kIn = 6, kOut = kWinogradOutputs<R>;
  KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
    const WinogradVector a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    y[0] = x[0] + a + c;
    y[1] = b + d * 2.0f;
    if constexpr (kOut > 2) y[2] = a + c * 4.0f;
    if constexpr (kOut > 3) y[3] = b + d * 8.0f;
    y[kOut - 1] += x[5];
  }
};

// A: m outputs -> 6 points.
template <int R>
struct OutputAdjoint {
  static constexpr int kIn = kWinogradOutputs<R>, kOut = 6;
  KONV_INLINE void apply(const WinogradVector* y, WinogradVector* x) {
    WinogradVector even = y[0], odd = y[1], even2 = y[0], odd2 = y[1] * 2.0f;  // at the points 1 and 2
    if constexpr (kIn > 2) {
      even += y[2];
      even2 += y[2] * 4.0f;
    }
    if constexpr (kIn > 3) {
      odd += y[3];
      odd2 += y[3] * 8.0f;
    }
    x[0] = y[0];
    x[1] = even + odd;
    x[2] = even - odd;
    x[3] = even2 + odd2;
    x[4] = even2 - odd2;
    x[5] = y[kIn - 1];
  }
};

// G: R taps -> 6 points.
template <int R>
struct KernelTransform {
  static constexpr int kIn = R, kOut = 6;
  KONV_INLINE void apply(const WinogradVector* w, WinogradVector* x) {
    WinogradVector even = w[0] + w[2], odd = w[1], even2 = w[0] + w[2] * 4.0f, odd2 = w[1] * 2.0f;
    if constexpr (R > 3) {
      odd += w[3];
      odd2 += w[3] * 8.0f;
    }
    if constexpr (R > 4) {
      even += w[4];
      even2 += w[4] * 16.0f;
    }
    x[0] = w[0] * 0.25f;
    x[1] = (even + odd) * (-1.0f / 6);
    x[2] = (even - odd) * (-1.0f / 6);
    x[3] = (even2 + odd2) * (1.0f / 24);
    x[4] = (even2 - odd2) * (1.0f / 24);
    x[5] = w[R - 1];
  }
};

// G^T: 6 points -> R taps.
template <int R>
struct KernelAdjoint {
  static constexpr int kIn = 6, kOut = R;
  KONV_INLINE void apply(const WinogradVector* x, WinogradVector* w) {
    const WinogradVector a = (x[1] + x[2]) * (-1.0f / 6), b = (x[2] - x[1]) * (1.0f / 6),
                         c = (x[3] + x[4]) * (1.0f / 24), d = (x[3] - x[4]) * (1.0f / 12);
    w[0] = x[0] * 0.25f + a + c;
    w[1] = b + d;
    w[2] = a + c * 4.0f;
    if constexpr (R > 3) w[3] = b + d * 4.0f;
    if constexpr (R > 4) w[4] = a + c * 16.0f;
    w[R - 1] += x[5];
  }
};

// Rows [First, Last) of a transformed tile.
template <class Down, class Across, int First, int Last, class Load, class Store>
KONV_INLINE void transform_rows(const Load& load, const Store& store) {
  WinogradVector half[Last - First][Across::kIn];
#pragma GCC unroll 6
  for (int column = 0; column < Across::kIn; ++column) {
    WinogradVector from[Down::kIn], to[Down::kOut];
#pragma GCC unroll 6
    for (int row = 0; row < Down::kIn; ++row) from[row] = load(row, column);
    Down::apply(from, to);
#pragma GCC unroll 6
    for (int row = First; row < Last; ++row) half[row - First][column] = to[row];
  }
#pragma GCC unroll 6
  for (int row = First; row < Last; ++row) {
    WinogradVector to[Across::kOut];
    Across::apply(half[row - First], to);
#pragma GCC unroll 6
    for (int column = 0; column < Across::kOut; ++column) store(row, column, to[column]);
  }
}

// The transform of columns ("down"), then of rows ("across"). load(row, column) and store(row, column,
// vector) go straight from and to memory: a copy of the tile in a local array would cost a fifth. From 6x6 to
// 6x6, the 36 vectors between the two passes exceed 32 registers: the first and the last row, which take half
// of the pixels, go by themselves, and those pixels are loaded again (B^T d B from L2: 199 -> 151 cycles a
// vector).
template <class Down, class Across = Down, class Load, class Store>
KONV_INLINE void transform_tile(const Load& load, const Store& store) {
  constexpr int kOut = Down::kOut;
  if constexpr (kOut * Across::kIn == 36) {
    transform_rows<Down, Across, 0, 1>(load, store);
    transform_rows<Down, Across, 1, kOut - 1>(load, store);
    transform_rows<Down, Across, kOut - 1, kOut>(load, store);
  } else {
    transform_rows<Down, Across, 0, kOut>(load, store);
  }
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
