// Geometry of a depthwise pass that gathers: which taps of each result meet the source, along both axes.
//
// Forward gathers from x into y. The gradient of x gathers from the gradient of y: with stride s its rows and
// columns fall into s phases each (conv2d_direct_plan.hpp), all of which one pass over the result computes.
#pragma once

#include <vector>

#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/kernels/conv2d_depthwise.hpp"

namespace konv::cpu {

// Positions [first, last) along an axis.
struct AxisRange {
  int64_t first, last;
};

struct GatherAxis {
  int64_t sources, results;
  std::vector<TapAxis> phases;  // those that a tap reaches, rising

  bool reaches_all() const;  // no result lies in a phase that no tap reaches
  int64_t extent() const;    // sources from the first to the last tap of a result, at most
  int64_t last_tap() const;  // of the kernel, that any result reads, plus one
  double reads() const;      // taps of all results
};

GatherAxis forward_axis(const TapAxis& taps);
GatherAxis input_gradient_axis(const WindowAxis& axis);

// Elements from one position to the next of source, weights and result.
struct SpanPitch {
  int64_t source, weights, result;
};

// Spans that cover results of an axis, `width` neighbouring ones merged. What no tap reaches is covered
// first, and then written over where taps do.
std::vector<DepthwiseSpan> spans_of(const GatherAxis& axis, AxisRange results, const SpanPitch& pitch,
                                    int64_t width = 1);

// From the first source that any of them reads to behind the last, in elements.
AxisRange sources_of(const std::vector<DepthwiseSpan>& spans, int64_t pitch);

// `channels` channels of all pixels, of `pitch` elements each, in so many elements from `first` on.
template <class T>
MemoryAhead<T> channels_ahead(const T* first, int64_t elements, int64_t channels, int64_t pitch) {
  if (channels == pitch) return {first, elements > 0, elements, 0};
  return {first, elements / pitch, channels, pitch};
}

// How many pixels are merged so that few channels, or some with a tail, fill whole vectors: 1 where they
// don't lie side by side.
int64_t merged_pixels(int64_t channels, const GatherAxis& w, int64_t lanes);

// Channels of a block if they are cut into about `blocks` blocks of whole groups that share no cache line.
int64_t channels_of_block(int64_t channels, int64_t group, int64_t blocks, int64_t item_size);

// Does the pass have one filter a channel, or as many filters as channels in groups that the lanes of a
// vector read from one vector, or that a vector is a part of (DepthwiseGroups)?
bool suits_depthwise(const Conv2dShape& shape, int64_t lanes);

// How a pass is shared out: bands of an image's rows of results by blocks of channels, which come in groups.
struct DepthwiseTasks {
  DepthwiseTasks(int64_t images, int64_t all_channels, int64_t group, const GatherAxis& h,
                 const GatherAxis& w, int64_t width, int64_t item_size);

  int64_t count() const { return images * bands * channel_blocks; }
  AxisRange rows_of(int64_t band) const { return {rows * band / bands, rows * (band + 1) / bands}; }

  int64_t images, rows, channels, channel_blocks, bands;
  int threads;
};

}  // namespace konv::cpu
