// Contracts of the kernels of the gradient of the kernel by Winograd (winograd_transforms.hpp):
//   dW = G^T [ sum over tiles of (B^T d B) . (A g A^T) ] G       d: 6x6 of x, g: m x m of grad
// and of a phase of a convolution with stride 2 (winograd_phase_transforms.hpp), whose tiles have other
// sizes.
//
// Transformed tiles lie in panels, point by point: element `channel` of tile t at point p is
//   panels[p * point_stride + channel / W * panel_stride + t * W + channel % W],   W = panel_width,
// so that the sum over tiles at a point is a matrix product whose two operands are read as they lie. The
// lanes behind the last channel are zero. Pointers need the alignment of their element only.
//
// What bounds it: the products run at 90-95% of the multiplications that a core can do (100-108 of 113
// GFLOP/s), 4 (3x3) or 2.8 (5x5) times the direct algorithm's, less what ragged tiles waste. A vector of
// transforms takes 120-150 cycles from L2, each of 36 C K / (C + K) multiplications of the products: a third
// of the time at 32 channels, a tenth at 256. With few tiles it is the transform of the sums: a sixth at 32.
#pragma once

#include <stdint.h>

#include "cpu/kernels/conv2d_winograd.hpp"

namespace konv::cpu {

// One tile of an image, all channels; pixels outside the image count as zero.
struct WinogradTileSource {
  const float* image;  // pixel (0, 0), first channel
  int64_t row_stride, column_stride;
  int64_t rows, columns;  // of the image
  int64_t row, column;    // the tile's first pixel
  int64_t channels;
  float* tile;  // the tile's element 0 in the panels
  int64_t point_stride, panel_stride;
};

// sums[p * sums_point + c * columns + k] (+)= sum over t of data[p][c / W][t][c % W] * grad[p][k / W][t][k %
// W] for p in [0, points), c in [0, channels), k in [0, filters) rounded up to whole vectors.
struct WinogradSumsOfProducts {
  int64_t points;
  const float* data;
  int64_t data_point, data_panel;
  const float* grad;
  int64_t grad_point, grad_panel;
  int64_t tiles, channels, filters;
  float* sums;
  int64_t sums_point, columns;
  bool accumulate;  // add to sums; else overwrite whatever they hold
};

// kernel[i * tap_row + j * tap_column + c * channel_stride + k] = (G^T sums G)[i][j]; sums as above.
struct WinogradKernelSums {
  const float* sums;
  int64_t sums_point, columns;
  int64_t channels, filters;
  float* kernel;
  int64_t tap_row, tap_column, channel_stride;
};

struct WinogradKernelGradientTransforms {
  int row_points, column_points;                     // of a tile
  int row_outputs, column_outputs;                   // likewise, pixels of grad
  int rows, columns;                                 // taps
  void (*data)(const WinogradTileSource&);           // B^T d B
  void (*grad)(const WinogradTileSource&);           // A g A^T; a tile begins at a pixel of the image
  void (*prefetch_data)(const WinogradTileSource&);  // into L2, what data reads; ignores the panels
  void (*prefetch_grad)(const WinogradTileSource&);
  void (*finish)(const WinogradKernelSums&);
};

struct WinogradKernelGradientKernels {
  int lanes, panel_width;
  void (*multiply)(const WinogradSumsOfProducts&);
  WinogradKernelGradientTransforms taps[3];       // of 3x3, 4x4 and 5x5
  WinogradKernelGradientTransforms phases[2][2];  // of one or two taps down and across
};

}  // namespace konv::cpu
