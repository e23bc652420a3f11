// The steps of Winograd's convolution (kernels/conv2d_winograd.hpp) on the arrays of one problem: what its
// two ways (conv2d_winograd_by_tiles.hpp, conv2d_winograd_by_panels.hpp) have in common.
#pragma once

#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/conv2d_winograd_plan.hpp"

namespace konv::cpu {

// Tiles of a block.
struct WinogradRange {
  int64_t begin, end;
};

// A block's tiles, as sources and as results, in the order of their shapes: those of shape s are [first[s],
// first[s + 1]).
struct WinogradPatches {
  WinogradPatch *source, *result;
  int64_t first[kTileShapes + 1];

  int64_t count() const { return first[kTileShapes]; }
  // Whose results are fetched beside the products of a point.
  WinogradRange share(int64_t point) const {
    return {count() * point / kWinogradPoints, count() * (point + 1) / kWinogradPoints};
  }
};

// Points or sums of tiles, tile_pitch apart.
struct WinogradMatrices {
  float* first;
  int64_t tile_pitch, point_pitch;
};

class WinogradSteps {
 public:
  explicit WinogradSteps(const ConvProblem& problem);

  const ConvProblem& problem() const { return problem_; }
  const WinogradPlan& plan() const { return plan_; }
  const WinogradKernels& kernels() const { return kernels_; }
  int threads() const { return threads_; }

  // What tasks share out: tiles, or for the adjoint, whose tiles overlap, whole images.
  int64_t units() const { return plan_.adjoint ? problem_.images : tiles(); }
  int64_t unit_tiles() const { return plan_.adjoint ? plan_.tiles() : 1; }
  int64_t tiles() const { return problem_.images * plan_.tiles(); }

  int64_t panels() const { return panels_; }  // of B filters, of a group
  int64_t panel_filters(int64_t panel) const;
  int64_t tap_count() const { return static_cast<int64_t>(plan_.taps) * plan_.taps; }

  // kernel: of the group. Points: panel[point * point_pitch + channel * B + filter].
  struct KernelBlock {
    int64_t first_channel, channels, first_filter, filters;
  };
  void transform_kernel(const float* kernel, const KernelBlock& block, float* panel, int64_t point_pitch,
                        bool streamed) const;
  // Taps of a block: taps[channel][tap][B], panel_pitch apart; and their points.
  void pack_tap(const float* kernel, int64_t tap, const KernelBlock& block, float* taps,
                int64_t panel_pitch) const;
  void transform_taps(const float* taps, int64_t channels, float* panel, int64_t point_pitch) const;

  void find_patches(int64_t first_tile, int64_t count, WinogradPatches& patches) const;
  // Those that have a point.
  WinogradRange tiles_at(int64_t point, const WinogradPatches& patches) const;
  // x: from the first of the channels on. Streamed: past the caches, where vectors fill lines; then points
  // and their pitches are aligned to a vector.
  void transform_data(const float* x, int64_t channels, const WinogradPatches& patches,
                      const WinogradRange& tiles, const WinogradMatrices& points, bool streamed) const;
  // Parts of tiles, fetch_parts(channels) each: a core asks for few lines at once, and waits with the next.
  int64_t fetch_parts(int64_t channels) const;
  void fetch_data(const float* x, int64_t channels, const WinogradPatches& patches,
                  const WinogradRange& parts) const;

  // y and epilogue: of the group.
  bool streams_results() const;
  void transform_results(const WinogradMatrices& sums, const WinogradPatches& patches, int64_t panel,
                         const Epilogue<float>& epilogue, float* y) const;
  void fetch_results(float* y, const WinogradPatches& patches, const WinogradRange& tiles,
                     int64_t panel) const;
  // What the adjoint adds its results to: filters of panels [first_panel, last_panel) of images [first,
  // last).
  void begin_adjoint(const float* bias, float* y, int64_t first, int64_t last, int64_t first_panel,
                     int64_t last_panel) const;

 private:
  const float* first_tap(const float* kernel, const KernelBlock& block) const;
  int64_t edge_points() const { return std::min(plan_.h.last_points, plan_.w.last_points); }

  ConvProblem problem_;
  WinogradPlan plan_;
  const WinogradKernels& kernels_;
  const WinogradTransforms& transforms_;
  WinogradEdgeTransforms shapes_[kTileShapes];
  int64_t panels_;
  int threads_;
};

}  // namespace konv::cpu
