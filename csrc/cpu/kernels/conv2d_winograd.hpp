// Contracts of Winograd's convolution: its four steps, each for a block of tiles.
//
//   data      patches of x, 6x6 pixels, -> points: one matrix of tiles x channels for each of the 36 points
//   kernel    taps -> panels: for each point a matrix of channels x filters
//   products  sums[q] (+)= points[q] * panels[q], matrix by matrix: where nearly all time is spent
//   results   sums -> patches of the result
// The transforms are those of winograd_transforms.hpp. The adjoint of the whole (a gradient of x with as many
// tiles as the forward pass) has the same steps with other transforms: data from patches of m x m pixels,
// results of 6x6 pixels that overlap and are added up.
//
// Pointers need the alignment of their element only, except where a result is streamed.
#pragma once

#include <stdint.h>

namespace konv::cpu {

constexpr int kWinogradAxisPoints = 6, kWinogradPoints = 36;
constexpr int64_t kLeastWinogradTaps = 3, kMostWinogradTaps = 5;  // an axis

// Where a tile lies in an array of images: its first pixel as an offset in elements and as a position in its
// image. Parts outside of the image read as zero and are not written.
struct WinogradPatch {
  int64_t offset, row, column;
};

// panel[q * point_pitch + c * B + b] = transformed taps of channel c and filter b, zero for b in [filters,
// B), B = block_filters. Tap (i, j) of channel c and filter b is kernel[i * row_stride + j * column_stride +
// c * channel_stride + b * filter_stride], zero beyond `rows` and `columns`. One of the last two strides is
// 1.
struct WinogradKernel {
  const float* kernel;
  int64_t row_stride, column_stride, channel_stride, filter_stride;
  int64_t rows, columns;  // at most R
  int64_t channels, filters;
  float* panel;
  int64_t point_pitch;
  bool streamed;  // past the caches; then panel and pitch are aligned to a vector
};

// One tap, to be transformed later: to[b / B * panel_pitch + c * pitch + b % B] = from[c * channel_stride + b
// * filter_stride], zero from the last filter to the end of its panel. One of the two strides is 1.
struct WinogradTap {
  const float* from;  // null: all zero
  int64_t channel_stride, filter_stride;
  int64_t channels, filters;
  float* to;
  int64_t pitch, panel_pitch;
  bool streamed;  // past the caches; then `to` and its pitches are aligned to a vector
};

// points[q * point_pitch + t * tile_pitch + c] for every patch t; tile_pitch has room for whole vectors.
struct WinogradData {
  const float* x;  // the first channel
  int64_t row_stride, column_stride;
  int64_t rows, columns;  // of an image
  const WinogradPatch* patches;
  int64_t tiles, channels;
  float* points;
  int64_t tile_pitch, point_pitch;
  bool streamed;  // past the caches; then points and pitches are aligned to a vector
};

// Channels [r * pitch, r * pitch + length) for r in [0, runs).
struct ChannelRuns {
  int64_t runs, pitch, length;
};

// At one point: sums[t * B + b] (+)= sum over channels c of points[t * tile_pitch + c] * panel[c * B + b].
// Sums go on from where they were, so that blocks of channels can't be seen in them.
struct WinogradProducts {
  const float* points;
  int64_t tile_pitch;
  int64_t tiles;
  ChannelRuns channels;
  const float* panel;
  float* sums;
  bool accumulate;
  // What will be read next, fetched into L2: each register tile fetches as many elements as the panel has,
  // from ahead_pitch times its first tile on.
  const float* ahead;
  int64_t ahead_pitch;
};

// Of one panel's filters.
struct WinogradResults {
  const float* sums;
  int64_t sums_pitch;
  const WinogradPatch* patches;
  int64_t tiles, filters;
  bool accumulate;      // to what y holds, before all that follows
  const float* bias;    // may be null
  const float* addend;  // likewise; laid out as y, and added after the bias
  bool relu;            // the last of all
  float* y;             // the first filter
  int64_t row_stride, column_stride;
  int64_t rows, columns;
  bool streamed;  // past the caches; then y and its strides are aligned to a vector, and filters fill vectors
};

// high x wide pixels of an image, from the patch's first on.
struct WinogradPixels {
  const float* origin;  // from which the patch's offset counts
  int64_t row_stride, column_stride;
  int64_t rows, columns;  // of an image
  WinogradPatch patch;
  int64_t high, wide, channels;
};

// The transforms for kernels of R x R taps.
struct WinogradTransforms {
  int outputs;  // m, an axis: 4 for 3x3, 3 for 4x4, 2 for 5x5
  void (*kernel)(const WinogradKernel&);
  void (*results)(const WinogradResults&);
  void (*adjoint_data)(const WinogradData&);        // from patches of m x m
  void (*adjoint_results)(const WinogradResults&);  // to patches of 6x6, which overlap: accumulates
};

// Of tiles of 3x3 taps that have fewer points along an axis: the others are neither written nor read. They
// read as many pixels as they have points, and make two results fewer.
struct WinogradEdgeTransforms {
  void (*data)(const WinogradData&);  // never streamed
  void (*results)(const WinogradResults&);
};

// Those for one or two taps an axis, of which a stride of two leaves one in each of its phases
// (winograd_phase_transforms.hpp). Along an axis of two taps a tile has five points and makes four results,
// along an axis of one it is a single pixel.
struct WinogradPhaseTransforms {
  int row_points, column_points;
  void (*kernel)(const WinogradKernel&);
  void (*data)(const WinogradData&);
  void (*results)(const WinogradResults&);
};

struct WinogradKernels {
  int block_filters;
  bool can_stream;             // a vector fills a line of the cache: less would be written to memory twice
  WinogradTransforms taps[3];  // of 3x3, 4x4 and 5x5
  WinogradEdgeTransforms edges[2][3];    // of 4 or 5 points across, down and both
  WinogradPhaseTransforms phases[2][2];  // of one or two taps down and across
  void (*data)(const WinogradData&);
  void (*fetch)(const WinogradPixels&);  // starts to bring them into L2
  void (*pack_tap)(const WinogradTap&);
  void (*fetch_lines)(const float* first, int64_t elements);  // likewise
  void (*products)(const WinogradProducts&);
};

}  // namespace konv::cpu
