// Geometry of grouped convolutions; see conv2d_grouped_plan.hpp.
#include "cpu/conv2d_grouped_plan.hpp"

#include <algorithm>

namespace konv::cpu {
namespace {

constexpr int64_t kSlabBytes =
    256 << 10;  // wanted: a quarter of L2; bands of few rows would spread most rows twice
constexpr int64_t kManyLanesBytes = 32 << 10;  // up to which a slab is better wider than one vector
constexpr int64_t kMostSlabBytes = 512 << 10;  // half of a 1 MiB L2
constexpr int64_t kMostVectors = 4;            // of a block of lanes
constexpr int64_t kMostVectorBytes = 64;
constexpr int64_t kFewFilters = 16;

}  // namespace

GroupedPlan::GroupedPlan(const ConvProblem& problem, const GatherAxis& h_axis, const GatherAxis& w_axis,
                         int64_t vector_lanes, int64_t item_size)
    : h(h_axis),
      w(w_axis),
      channels(problem.channels),
      filters(problem.filters),
      sources(problem.groups * problem.channels),
      results(problem.groups * problem.filters) {
  const auto slab_bytes = [&](int64_t rows, int64_t vectors) {
    return channels * rows * w.sources * vectors * vector_lanes * item_size;
  };
  const int64_t extent = h.extent();
  int64_t vectors = 1;
  while (vectors < kMostVectors && vectors * vector_lanes < results &&
         slab_bytes(std::min(h.sources, 2 * extent), 2 * vectors) <= kManyLanesBytes)
    vectors *= 2;
  lanes = std::min(results, vectors * vector_lanes);
  lane_blocks = ceil_div(results, lanes);
  // At least as many rows as the slab has to hold for one row anyway.
  const int64_t fitting = kSlabBytes / std::max<int64_t>(1, slab_bytes(1, vectors));
  band =
      std::clamp<int64_t>((fitting - extent) * h.results / std::max<int64_t>(1, h.sources) + 1, 1, h.results);
  bands = ceil_div(h.results, band);
  slab_rows = 0;
  for (int64_t i = 0; i < bands; ++i) {
    const AxisRange rows = sources_of(spans_of(h, rows_of(i), {1, 1, 1}), 1);
    slab_rows = std::max(slab_rows, rows.last - rows.first);
  }
  columns = spans_of(w, {0, w.results}, {lanes, results, results});
}

void GroupedPlan::fill_index(int64_t block, int64_t d, int64_t* index) const {
  for (int64_t i = 0; i < lanes_of(block); ++i) index[i] = (block * lanes + i) / filters * channels + d;
}

std::vector<std::vector<DepthwiseSpan>> GroupedPlan::rows_of_bands(int64_t weights_row) const {
  std::vector<std::vector<DepthwiseSpan>> rows;
  for (int64_t i = 0; i < bands; ++i)
    rows.push_back(spans_of(h, rows_of(i), {slab_row(), weights_row, w.results * results}));
  return rows;
}

AxisRange GroupedPlan::sources_of_band(const std::vector<DepthwiseSpan>& rows) const {
  const AxisRange elements = sources_of(rows, slab_row());
  return {elements.first / slab_row(), elements.last / slab_row()};
}

bool suits_grouped(const Conv2dShape& s) {
  if (s.groups == 1 || std::max(s.group_filters(), s.group_channels()) >= kFewFilters) return false;
  const auto fits = [](const GatherAxis& h, int64_t columns, int64_t channels) {
    return static_cast<double>(h.extent()) * static_cast<double>(columns * channels) * kMostVectorBytes <=
           kMostSlabBytes;
  };
  return fits(forward_axis(forward_taps(s.h)), s.w.size, s.group_channels()) &&
         fits(input_gradient_axis(s.h), s.w.out, s.group_filters());
}

}  // namespace konv::cpu
