// Winograd's convolution for kernels that would leave the caches once transformed, four times as large.
//
// The kernel is packed: sorted by panels of filters. Then a round takes as many tiles as have their sums of
// one panel in L2: all threads transform what the tiles read, a few megabytes, which lie in the cache that
// they share; and a task takes a panel, transforms its part of the kernel, a block of channels at a time,
// into its own L2 and multiplies it by the points of all tiles. The transformed kernel is never written to
// memory, and the next block's taps are fetched during the products. Bits are those of
// conv2d_winograd_by_tiles.hpp.
#pragma once

#include "cpu/carver.hpp"
#include "cpu/conv2d_winograd_steps.hpp"

namespace konv::cpu {

class WinogradByPanels {
 public:
  explicit WinogradByPanels(const ConvProblem& problem);

  bool pays() const;
  // More than to read a kernel that was transformed before, whatever the number of images.
  bool pays_prepared() const;
  int64_t packed_bytes() const;
  void pack(const float* kernel, float* packed) const;
  int64_t scratch_bytes() const;
  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const;

 private:
  struct Scratch {
    WinogradMatrices points;  // of a block of channels: [block][point][tile][channel]
    WinogradPatch *source, *result;
    WinogradPatches* blocks;  // a chunk's tiles
    // One a thread:
    WinogradMatrices sums;
    float* panel;
  };
  // A chunk, whose points begin at tile `at` of the round's, and a panel.
  struct Task {
    int64_t chunk, at, panel, next_panel;
  };

  int64_t transformed_bytes() const;  // of the kernel of one group
  int64_t channel_blocks() const;
  int64_t panel_size() const;  // of taps
  Scratch carve(Carver& carver, int thread) const;
  int64_t first_tile(int64_t chunk) const;
  void pack_group(const float* kernel, float* packed) const;
  const WinogradPatches* find_blocks(int64_t first_chunk, const Scratch& s) const;
  void transform_tiles(const float* x, const WinogradPatches& block, int64_t first, int64_t at,
                       const Scratch& s) const;
  void run_task(const float* packed, const Epilogue<float>& epilogue, float* y, const Scratch& s,
                const WinogradPatches& block, const Task& task) const;

  WinogradSteps steps_;
  int64_t block_channels_;
  int64_t chunks_, round_chunks_;  // of the tiles: all, and at a time
  int64_t chunk_tiles_;
};

}  // namespace konv::cpu
