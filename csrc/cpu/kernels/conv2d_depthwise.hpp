// Contracts of the depthwise convolution kernels: one filter a channel, vectors run over channels.
//
// A kernel computes a block of results straight from the image: which rows and columns of taps meet the image
// is known before (DepthwiseSpan), so that padding is neither copied nor looked at. Weights are
// [tap row][tap column][channel]. Nothing is read or written outside of the channels that are named.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// `count` results along one axis whose taps meet the image alike: tap t of result i reads source + i *
// source_step + t * tap_step, and its weights lie at weights + t * weights_step. Offsets are in elements,
// from the block's pointers, and those of rows and columns add up. With few channels `width` neighbouring
// pixels of a row count as channels of one result; their weights, sums and biases repeat. At the image's
// edges a result may lack a tap that the others have, of at least two: nothing is read there. At least one
// result then has all taps. The steps of a single result are 0.
struct DepthwiseSpan {
  int64_t count, width;
  int64_t source, source_step;
  int64_t taps, tap_step;  // taps may be 0: such results hold the bias
  int64_t weights, weights_step;
  int64_t result, result_step;
  bool cut_first, cut_last;  // the first result lacks its first tap, the last one its last
};

// Spans of rows by spans of columns; a result may lie in several, of which the last one counts.
struct DepthwiseSpans {
  const DepthwiseSpan *rows, *columns;
  int64_t row_spans, column_spans;
};

// What the channels of the result read of a pixel: `sources` channels each, all those of a group the same
// ones. With size 1, source k of channel c is channel c of the pixel k * next_source elements on. Else it is
// channel c / size * sources + k of the pixel; either the size is the sources', and divides the vector, which
// the channels fill, or the vector divides the size. Channels are whole groups.
struct DepthwiseGroups {
  int64_t size, sources;  // at least 1
  int64_t next_source;    // with size 1: elements
  int64_t next_weights;   // elements from the weights (or sums) of one source to those of the next
};

// What rows will read: `stretches` of `length` elements, `pitch` apart. A kernel fetches it into L2; it may
// end anywhere.
template <class T>
struct MemoryAhead {
  const T* first;
  int64_t stretches, length, pitch;
};

// result[row][column][c] = bias (if not null) + sum over tap rows, sources, taps of source * weights, then
// ReLU.
template <class T>
struct DepthwiseBlock {
  const T* source;
  const T* weights;
  T* result;
  DepthwiseSpans spans;
  int64_t channels;
  DepthwiseGroups groups;
  const T* bias;
  bool relu;
  MemoryAhead<T> before;  // fetched before anything is computed
  MemoryAhead<T> ahead;   // fetched meanwhile
  bool streamed;  // past the caches, if it pays: then results are aligned to vectors, which channels fill
};

// sums[tap row][tap column][source][c] += sum over all results of source * grad. Spans as above: weights are
// the offsets of sums, results those of grad. Each sum is taken over all results of a span of rows and one of
// columns (with 3x3 taps: of a few columns), then added.
template <class T>
struct DepthwiseGradientBlock {
  const T* source;
  const T* grad;
  T* sums;
  DepthwiseSpans spans;
  int64_t channels;
  DepthwiseGroups groups;
  MemoryAhead<T> before, source_ahead, grad_ahead;  // as above
};

// spread[pixel * pitch + lane] = x[pixel * x_pitch + index[lane]], the index rising with the lane.
template <class T>
struct SpreadPixels {
  const T* x;
  int64_t pixels, x_pitch;
  int64_t channels;  // that may be read of each pixel
  const int64_t* index;
  int64_t lanes, pitch;
  T* spread;
};

template <class T>
struct Conv2dDepthwiseKernels {
  int lanes;
  void (*forward)(const DepthwiseBlock<T>&);
  void (*kernel_gradient)(const DepthwiseGradientBlock<T>&);
  void (*spread)(const SpreadPixels<T>&);
};

}  // namespace konv::cpu
