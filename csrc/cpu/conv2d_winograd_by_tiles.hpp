// Winograd's convolution on a kernel that was transformed before.
//
// A task takes a block of tiles through all four steps of kernels/conv2d_winograd.hpp in one core's L2: what
// the tiles read becomes 36 matrices of tiles x channels; for one panel of filters after another
// come the products with the transformed kernel, which streams by, and the results. During the products the
// pixels of the next block and the lines of the results are fetched into L2: with 32 or 64 channels and
// arrays beyond the caches that takes 4 to 11% off (the adjoint, of small images, gains nothing). The kernel
// at the next point is, too: prepared for one image, it comes from memory.
#pragma once

#include "cpu/carver.hpp"
#include "cpu/conv2d_winograd_steps.hpp"

namespace konv::cpu {

// Channels in `rows` rows, `row` in each, as of blocks of pixels (conv2d_space_to_depth.hpp). The last tap
// down is zero but for the first `last_down` rows, the last one across but for the first `last_across`
// channels of each. Of a transformed kernel the points at infinity are the last taps: where those are zero,
// products leave the channels out.
struct BlockChannels {
  int64_t rows, row, last_down, last_across;
};

class WinogradByTiles {
 public:
  explicit WinogradByTiles(const ConvProblem& problem);
  WinogradByTiles(const ConvProblem& problem, const BlockChannels& channels);

  int64_t packed_bytes() const;
  void pack(const float* kernel, float* packed) const;
  int64_t scratch_bytes() const;
  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const;

 private:
  struct Scratch {  // one a thread
    WinogradMatrices points, sums;
    WinogradPatches patches, next;
  };
  // Units [first_unit, last_unit) and panels [first_panel, last_panel).
  struct Task {
    int64_t group, first_unit, last_unit, first_panel, last_panel;
  };

  int64_t point_size() const;
  int64_t panel_size() const { return kWinogradPoints * point_size(); }
  int64_t group_size() const { return steps_.panels() * panel_size(); }
  Scratch carve(Carver& carver) const;
  Task task_at(int64_t index) const;
  ChannelRuns channels_at(int64_t point, int64_t channels) const;
  void run_task(const float* x, const float* packed, Epilogue<float> epilogue, float* y, const Scratch& s,
                const Task& task, const Task& next) const;

  WinogradSteps steps_;
  BlockChannels channels_;
  int64_t tasks_, splits_;  // of the units; each for a share of the panels
  int64_t block_tiles_;     // at a time
};

}  // namespace konv::cpu
