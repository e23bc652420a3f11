// Grouped convolution with few filters a group as a sum of depthwise convolutions.
//
// Lanes run over filters, across groups. For each channel d of a group, the pixels are spread: lane k gets
// channel d of the group of filter k, and the kernel's [tap][d][k] are the weights of a depthwise
// convolution. So no lane is wasted, however small the groups. The slab [d][row][column][lane] holds what a
// band of results reads, for a block of lanes.
#pragma once

#include "cpu/carver.hpp"
#include "cpu/conv2d_depthwise_plan.hpp"
#include "cpu/conv2d_problem.hpp"

namespace konv::cpu {

struct GroupedPlan {
  // In the problem, channels and filters are those of one group.
  GroupedPlan(const ConvProblem& problem, const GatherAxis& h, const GatherAxis& w, int64_t vector_lanes,
              int64_t item_size);

  int64_t slab_row() const { return w.sources * lanes; }
  int64_t slab_plane() const { return slab_rows * slab_row(); }
  AxisRange rows_of(int64_t i) const { return {i * band, std::min(h.results, (i + 1) * band)}; }
  int64_t lanes_of(int64_t block) const { return std::min(lanes, results - block * lanes); }

  // The rows of each band, in a slab; sums or weights of tap rows are `weights_row` elements apart.
  std::vector<std::vector<DepthwiseSpan>> rows_of_bands(int64_t weights_row) const;
  // Those of the source that the slab of such rows holds.
  AxisRange sources_of_band(const std::vector<DepthwiseSpan>& rows) const;

  // The source channels that the lanes of a block get for channel d of a group.
  void fill_index(int64_t block, int64_t d, int64_t* index) const;

  GatherAxis h, w;
  int64_t channels, filters;   // of a group
  int64_t sources, results;    // channels of a pixel of the source and of the result
  int64_t lanes, lane_blocks;  // of a slab
  int64_t band, bands;         // rows of results that share a slab, bands of an image
  int64_t slab_rows;
  std::vector<DepthwiseSpan> columns;
};

// One a thread.
template <class T>
struct GroupedScratch {
  GroupedScratch(const GroupedPlan& plan, Carver& carver)
      : slab(carver.take<T>(plan.channels * plan.slab_plane())), index(carver.take<int64_t>(plan.lanes)) {}

  static int64_t bytes(const GroupedPlan& plan) {
    Carver carver;
    GroupedScratch(plan, carver);
    return carver.bytes();
  }

  T* slab;
  int64_t* index;  // of the lanes
};

// Fills the slab with rows [first, last) of an image.
template <class T>
void fill_slab(const GroupedPlan& plan, const Conv2dDepthwiseKernels<T>& kernels, const T* image,
               AxisRange rows, int64_t block, const GroupedScratch<T>& s) {
  for (int64_t d = 0; d < plan.channels; ++d) {
    plan.fill_index(block, d, s.index);
    kernels.spread({image + rows.first * plan.w.sources * plan.sources,
                    (rows.last - rows.first) * plan.w.sources, plan.sources, plan.sources, s.index,
                    plan.lanes_of(block), plan.lanes, s.slab + d * plan.slab_plane()});
  }
}

// Where the filters of one group, which the direct algorithm has on the lanes, would leave most of them
// empty; and the slab of one row of results fits into half of L2.
bool suits_grouped(const Conv2dShape& shape);

}  // namespace konv::cpu
