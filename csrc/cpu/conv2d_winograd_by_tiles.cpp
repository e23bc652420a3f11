// Winograd's convolution, a block of tiles through all steps; see conv2d_winograd_by_tiles.hpp.
#include "cpu/conv2d_winograd_by_tiles.hpp"

#include <algorithm>

#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kChannels = 512;     // of a block's points
constexpr int64_t kPackChannels = 64;  // of a task that transforms the kernel

// Tiles of a block: one register tile, so that most points and sums stay in L2; with fewer channels as many
// register tiles as make up for them, which share what a block does beside its products (16 channels take
// 0.94 of the time, 32 and 48 0.96 to 0.98). Where all threads have fewer than six register tiles, larger and
// equal blocks read the kernel less often.
constexpr int64_t kTiles = 14;
constexpr int64_t kFewChannels = 64, kLeastChannels = 16;
constexpr int64_t kMostTiles = 32;
constexpr int64_t kFewTiles = 6 * kTiles;

// Panels of a split at least: each split transforms the data again, against 128 filters less than a tenth.
constexpr int64_t kLeastPanels = 4;

}  // namespace

WinogradByTiles::WinogradByTiles(const ConvProblem& problem)
    : WinogradByTiles(problem, {1, problem.channels, 1, problem.channels}) {}

WinogradByTiles::WinogradByTiles(const ConvProblem& problem, const BlockChannels& channels)
    : steps_(problem), channels_(channels) {
  const int64_t units = steps_.units(), unit_tiles = steps_.unit_tiles(), tiles = steps_.tiles();
  const int threads = steps_.threads();
  const bool few = steps_.plan().adjoint || tiles < kFewTiles * threads;
  const int64_t most_tiles =
      few ? kMostTiles : kTiles * ceil_div(kFewChannels, std::max(kLeastChannels, problem.channels));
  const int64_t blocks = std::max<int64_t>(1, ceil_div(tiles, most_tiles));
  splits_ = std::clamp<int64_t>(ceil_div(threads, blocks * problem.groups), 1,
                                std::max<int64_t>(1, steps_.panels() / kLeastPanels));
  const int64_t shares = ceil_div(threads, splits_ * problem.groups);
  tasks_ = std::min(units, ceil_div(blocks, shares) * shares);
  block_tiles_ = std::min(most_tiles, tasks_ ? ceil_div(units, tasks_) * unit_tiles : 1);
}

int64_t WinogradByTiles::point_size() const {
  return odd_lines(steps_.problem().channels * steps_.kernels().block_filters);
}

int64_t WinogradByTiles::packed_bytes() const {
  return steps_.problem().groups * group_size() * sizeof(float);
}

// packed: [group][panel][point][channel][B]
void WinogradByTiles::pack(const float* kernel, float* packed) const {
  const ConvProblem& problem = steps_.problem();
  const int64_t B = steps_.kernels().block_filters, panels = steps_.panels();
  const int64_t chunks = ceil_div(problem.channels, kPackChannels), tasks = problem.groups * chunks * panels;
  const bool streamed = steps_.kernels().can_stream && worth_streaming(packed_bytes(), kStreamedKernelBytes);
  parallel_for(threads_for(tasks, static_cast<double>(problem.groups * group_size()) / 4), tasks,
               [&](int64_t task, int) {
                 const int64_t group = task / chunks / panels, panel = task % panels,
                               c = task / panels % chunks * kPackChannels,
                               channels = std::min(kPackChannels, problem.channels - c);
                 steps_.transform_kernel(kernel + group * problem.kernel_group,
                                         {c, channels, panel * B, steps_.panel_filters(panel)},
                                         packed + group * group_size() + panel * panel_size() + c * B,
                                         point_size(), streamed);
               });
}

int64_t WinogradByTiles::scratch_bytes() const {
  Carver one;
  carve(one);
  return steps_.threads() * one.bytes();
}

WinogradByTiles::Scratch WinogradByTiles::carve(Carver& carver) const {
  // A tile's points are neighbours: spread over 36 matrices, they take up to a sixth longer to write.
  const int64_t point_pitch = ceil_div(std::min(steps_.problem().channels, kChannels), 16) * 16,
                tile_pitch = odd_lines(kWinogradPoints * point_pitch), B = steps_.kernels().block_filters,
                sum_pitch = odd_lines(block_tiles_ * B);
  Scratch s{};
  s.points = {carver.take<float>(block_tiles_ * tile_pitch), tile_pitch, point_pitch};
  s.sums = {carver.take<float>(kWinogradPoints * sum_pitch), B, sum_pitch};
  for (WinogradPatches* patches : {&s.patches, &s.next}) {
    patches->source = carver.take<WinogradPatch>(block_tiles_);
    patches->result = carver.take<WinogradPatch>(block_tiles_);
  }
  return s;
}

void WinogradByTiles::run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
                          void* scratch) const {
  Carver one;
  carve(one);
  const int64_t tasks = tasks_ * splits_ * steps_.problem().groups;
  const int threads = steps_.threads();
  parallel_for(threads, tasks, [&](int64_t task, int thread) {
    Carver own(static_cast<char*>(scratch) + thread * one.bytes());
    const Scratch s = carve(own);
    // Since tasks take about equal time, the thread's next is most likely this one.
    const int64_t next = std::min(task + threads, tasks - 1);
    run_task(x, packed, epilogue, y, s, task_at(task), task_at(next));
  });
}

WinogradByTiles::Task WinogradByTiles::task_at(int64_t index) const {
  const int64_t groups = steps_.problem().groups, units = steps_.units(), panels = steps_.panels();
  const int64_t split = index % splits_, block = index / splits_ / groups;
  return {index / splits_ % groups, units * block / tasks_, units * (block + 1) / tasks_,
          panels * split / splits_, panels * (split + 1) / splits_};
}

// Of a block of `channels`, those whose kernel is not zero there.
ChannelRuns WinogradByTiles::channels_at(int64_t point, int64_t channels) const {
  if (channels < steps_.problem().channels) return {1, channels, channels};
  constexpr int64_t kInfinity = kWinogradAxisPoints - 1;
  const bool down = point / kWinogradAxisPoints == kInfinity,
             across = point % kWinogradAxisPoints == kInfinity;
  const int64_t rows = down ? channels_.last_down : channels_.rows;
  if (across) return {rows, channels_.row, channels_.last_across};
  return {1, rows * channels_.row, rows * channels_.row};
}

void WinogradByTiles::run_task(const float* x, const float* packed, Epilogue<float> epilogue, float* y,
                               const Scratch& s, const Task& task, const Task& next) const {
  const auto [group, first_unit, last_unit, first_panel, last_panel] = task;
  const ConvProblem& problem = steps_.problem();
  WinogradPatches patches = s.patches, ahead = s.next;
  const bool adjoint = steps_.plan().adjoint, streamed = steps_.streams_results();
  const int64_t unit_tiles = steps_.unit_tiles(), B = steps_.kernels().block_filters;
  const int64_t point_pitch = point_size(), ahead_channels = std::min(problem.channels, kChannels);
  y += group * problem.filters;
  if (epilogue.bias) epilogue.bias += group * problem.filters;
  if (epilogue.addend) epilogue.addend += group * problem.filters;
  if (adjoint) steps_.begin_adjoint(epilogue.bias, y, first_unit, last_unit, first_panel, last_panel);
  const int64_t end = last_unit * unit_tiles;
  for (int64_t first = first_unit * unit_tiles, count; first < end; first += count) {
    // Blocks of equal size, give or take one.
    count = ceil_div(end - first, ceil_div(end - first, block_tiles_));
    steps_.find_patches(first, count, patches);
    const bool ends = first + count == end;
    const int64_t first_ahead = ends ? next.first_unit * unit_tiles : first + count;
    if (!adjoint) steps_.find_patches(first_ahead, std::min(count, steps_.tiles() - first_ahead), ahead);
    const int64_t ahead_parts = ahead.count() * steps_.fetch_parts(ahead_channels);
    const float* ahead_x = x + (ends ? next.group : group) * problem.channels;
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      for (int64_t c = 0; c < problem.channels; c += kChannels) {
        const int64_t channels = std::min(kChannels, problem.channels - c);
        if (panel == first_panel || problem.channels > kChannels)
          steps_.transform_data(x + group * problem.channels + c, channels, patches, {0, count}, s.points,
                                false);
        WinogradProducts p{};
        p.tile_pitch = s.points.tile_pitch;
        p.panel = packed + group * group_size() + panel * panel_size() + c * B;
        p.accumulate = c > 0;
        for (int64_t point = 0; point < kWinogradPoints; ++point) {
          const auto [begin, after] = steps_.tiles_at(point, patches);
          p.tiles = after - begin;
          p.channels = channels_at(point, channels);
          p.points = s.points.first + point * s.points.point_pitch + begin * s.points.tile_pitch;
          p.sums = s.sums.first + point * s.sums.point_pitch + begin * s.sums.tile_pitch;
          p.ahead = p.panel + point_pitch;
          steps_.kernels().products(p);
          p.panel += point_pitch;
          if (c > 0 || adjoint) continue;
          if (panel == last_panel - 1)
            steps_.fetch_data(
                ahead_x, ahead_channels, ahead,
                {ahead_parts * point / kWinogradPoints, ahead_parts * (point + 1) / kWinogradPoints});
          if (!streamed) steps_.fetch_results(y, patches, patches.share(point), panel);
        }
      }
      steps_.transform_results(s.sums, patches, panel, epilogue, y);
    }
  }
}

}  // namespace konv::cpu
