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

class WinogradByTiles {
 public:
  explicit WinogradByTiles(const ConvProblem& problem);

  int64_t packed_bytes() const;
  void pack(const float* kernel, float* packed) const;
  int64_t scratch_bytes() const;
  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const;

 private:
  struct Scratch {  // one a thread
    WinogradMatrices points, sums;
    WinogradPatches patches;
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
  void run_task(const float* x, const float* packed, Epilogue<float> epilogue, float* y, const Scratch& s,
                const Task& task, const Task& next) const;

  WinogradSteps steps_;
  int64_t tasks_, splits_;  // of the units; each for a share of the panels
  int64_t block_tiles_;     // at a time
};

}  // namespace konv::cpu
