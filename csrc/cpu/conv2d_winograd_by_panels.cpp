// Winograd's convolution, a panel of filters at a time; see conv2d_winograd_by_panels.hpp.
#include "cpu/conv2d_winograd_by_panels.hpp"

#include <algorithm>

#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

// Transformed kernels of up to this size are better kept and read: for 256x512 filters (18 MiB) panels take
// 0.8 of the time, for 512x512 0.8 (7x7, 8 images) to 0.9 (28x28, 4 images). Where there are few tiles a
// kernel of half that size pays, too: 256x256 (9 MiB) takes 0.9 of the time on 128 tiles, 1.07 on 784.
constexpr int64_t kCachedBytes = 16 << 20, kCachedBytesOfFew = 8 << 20;
constexpr int64_t kFewTiles = 256;

// Of an image. With so few tiles a transformed kernel takes longer to read than its taps to transform.
constexpr int64_t kFewTilesPrepared = 4;

// Of a block: its points of one panel, 288 KiB on AVX-512, stay in L2 beside the sums of 128 tiles, 576 KiB.
// Each round transforms the kernel again, which takes as long as the products of three tiles.
constexpr int64_t kChannels = 64;
constexpr int64_t kMostTiles = 128;  // of a chunk

// With fewer, further threads would transform the kernel for little more than that.
constexpr int64_t kLeastTiles = 14;

constexpr int64_t kTaskTiles = 4;  // transformed in one task; the pixels of as many are fetched meanwhile
constexpr int64_t kPackRows = 32;  // of the kernel, in one task; fills panels

}  // namespace

WinogradByPanels::WinogradByPanels(const ConvProblem& problem)
    : steps_(problem), block_channels_(std::min(ceil_div(problem.channels, 16) * 16, kChannels)) {
  const int64_t units = steps_.units(), unit_tiles = steps_.unit_tiles(), tiles = steps_.tiles();
  round_chunks_ = std::clamp<int64_t>(ceil_div(steps_.threads(), steps_.panels()), 1,
                                      std::max<int64_t>(1, tiles / kLeastTiles));
  const int64_t chunks = ceil_div(units, std::max<int64_t>(1, kMostTiles / unit_tiles));
  chunks_ = ceil_div(chunks, round_chunks_) * round_chunks_;
  chunk_tiles_ = chunks_ ? ceil_div(units, chunks_) * unit_tiles : 1;
}

bool WinogradByPanels::pays() const {
  return transformed_bytes() > (steps_.tiles() > kFewTiles ? kCachedBytes : kCachedBytesOfFew) &&
         steps_.unit_tiles() <= kMostTiles;
}

bool WinogradByPanels::pays_prepared() const {
  return transformed_bytes() > kCachedBytes && steps_.plan().tiles() <= kFewTilesPrepared;
}

int64_t WinogradByPanels::transformed_bytes() const {
  return kWinogradPoints * steps_.problem().channels * steps_.problem().filters * int64_t{sizeof(float)};
}

int64_t WinogradByPanels::channel_blocks() const {
  return ceil_div(steps_.problem().channels, block_channels_);
}

int64_t WinogradByPanels::panel_size() const {
  return steps_.problem().channels * steps_.tap_count() * steps_.kernels().block_filters;
}

int64_t WinogradByPanels::packed_bytes() const {
  return steps_.problem().groups * steps_.panels() * panel_size() * sizeof(float);
}

// packed: [group][panel][channel][tap][B]
void WinogradByPanels::pack(const float* kernel, float* packed) const {
  for (int64_t group = 0; group < steps_.problem().groups; ++group)
    pack_group(kernel + group * steps_.problem().kernel_group,
               packed + group * steps_.panels() * panel_size());
}

// A task reads neighbouring rows of the kernel's, as they lie: panel by panel it would take two to four times
// as long.
void WinogradByPanels::pack_group(const float* kernel, float* packed) const {
  const ConvProblem& problem = steps_.problem();
  const bool by_channel = problem.kernel_filter == 1;
  const int64_t rows = by_channel ? problem.channels : problem.filters;
  const int64_t blocks = ceil_div(rows, kPackRows), tap_count = steps_.tap_count(),
                B = steps_.kernels().block_filters;
  const int64_t tasks = tap_count * blocks;
  parallel_for(steps_.threads(), tasks, [&](int64_t task, int) {
    const int64_t tap = task / blocks, first = task % blocks * kPackRows,
                  count = std::min(kPackRows, rows - first);
    const WinogradSteps::KernelBlock block =
        by_channel ? WinogradSteps::KernelBlock{first, count, 0, problem.filters}
                   : WinogradSteps::KernelBlock{0, problem.channels, first, count};
    steps_.pack_tap(kernel, tap, block,
                    packed + (by_channel ? first * tap_count * B : first / B * panel_size()), panel_size());
  });
}

int64_t WinogradByPanels::scratch_bytes() const {
  Carver carver;
  carve(carver, 0);
  return carver.bytes();
}

WinogradByPanels::Scratch WinogradByPanels::carve(Carver& carver, int thread) const {
  const int64_t B = steps_.kernels().block_filters, tiles = round_chunks_ * chunk_tiles_;
  const int64_t point_pitch = odd_lines(tiles * block_channels_), sum_pitch = odd_lines(chunk_tiles_ * B),
                panel_pitch = odd_lines(block_channels_ * B);
  Scratch s{};
  s.points = {carver.take<float>(channel_blocks() * kWinogradPoints * point_pitch), block_channels_,
              point_pitch};
  s.source = carver.take<WinogradPatch>(tiles);
  s.result = carver.take<WinogradPatch>(tiles);
  s.blocks = carver.take<WinogradPatches>(round_chunks_);
  const auto take_own = [&](int64_t elements) {
    const int64_t pitch = odd_lines(elements);
    return carver.take<float>(steps_.threads() * pitch) + thread * pitch;
  };
  s.sums = {take_own(kWinogradPoints * sum_pitch), B, sum_pitch};
  s.panel = take_own(kWinogradPoints * panel_pitch);
  return s;
}

int64_t WinogradByPanels::first_tile(int64_t chunk) const {
  return steps_.units() * chunk / chunks_ * steps_.unit_tiles();
}

void WinogradByPanels::run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
                           void* scratch) const {
  const ConvProblem& problem = steps_.problem();
  for (int64_t group = 0; group < problem.groups; ++group, packed += steps_.panels() * panel_size()) {
    const float* own_x = x + group * problem.channels;
    const int64_t filter = group * problem.filters;
    const Epilogue<float> own{epilogue.bias ? epilogue.bias + filter : nullptr,
                              epilogue.addend ? epilogue.addend + filter : nullptr, epilogue.relu};
    const auto scratch_of = [&](int thread) {
      Carver carver(scratch);
      return carve(carver, thread);
    };
    for (int64_t chunk = 0; chunk < chunks_; chunk += round_chunks_) {
      const int64_t begin = first_tile(chunk);
      const WinogradPatches* blocks = find_blocks(chunk, scratch_of(0));
      const int64_t chunk_tasks = ceil_div(chunk_tiles_, kTaskTiles);
      parallel_for(steps_.threads(), round_chunks_ * chunk_tasks, [&](int64_t task, int) {
        const int64_t own = task / chunk_tasks, first = task % chunk_tasks * kTaskTiles;
        transform_tiles(own_x, blocks[own], first, first_tile(chunk + own) - begin, scratch_of(0));
      });
      const int64_t tasks = round_chunks_ * steps_.panels();
      parallel_for(steps_.threads(), tasks, [&](int64_t task, int thread) {
        const int64_t own_chunk = chunk + task / steps_.panels();
        // Since tasks take about equal time, the thread's next is most likely this one.
        const int64_t next = std::min(task + steps_.threads(), tasks - 1);
        run_task(packed, own, y + filter, scratch_of(thread), blocks[own_chunk - chunk],
                 {own_chunk, first_tile(own_chunk) - begin, task % steps_.panels(), next % steps_.panels()});
      });
    }
  }
}

// The tiles of a round's chunks.
const WinogradPatches* WinogradByPanels::find_blocks(int64_t first_chunk, const Scratch& s) const {
  const int64_t begin = first_tile(first_chunk);
  for (int64_t i = 0; i < round_chunks_; ++i) {
    const int64_t first = first_tile(first_chunk + i), at = first - begin;
    s.blocks[i] = {s.source + at, s.result + at, {}};
    steps_.find_patches(first, first_tile(first_chunk + i + 1) - first, s.blocks[i]);
  }
  return s.blocks;
}

// Some tiles of a block from tile `first` on; the block's points begin at tile `at` of the round's.
void WinogradByPanels::transform_tiles(const float* x, const WinogradPatches& block, int64_t first,
                                       int64_t at, const Scratch& s) const {
  const ConvProblem& problem = steps_.problem();
  const int64_t last = std::min(first + kTaskTiles, block.count());
  const int64_t parts = steps_.fetch_parts(problem.channels);
  steps_.fetch_data(x, problem.channels, block,
                    {last * parts, std::min(last + kTaskTiles, block.count()) * parts});
  WinogradMatrices points = s.points;
  points.first += at * points.tile_pitch;
  for (int64_t c = 0; c < problem.channels; c += block_channels_) {
    steps_.transform_data(x + c, std::min(block_channels_, problem.channels - c), block, {first, last},
                          points, true);
    points.first += kWinogradPoints * points.point_pitch;
  }
}

void WinogradByPanels::run_task(const float* packed, const Epilogue<float>& epilogue, float* y,
                                const Scratch& s, const WinogradPatches& block, const Task& task) const {
  const ConvProblem& problem = steps_.problem();
  const int64_t B = steps_.kernels().block_filters, taps_size = steps_.tap_count() * B,
                panel_pitch = odd_lines(block_channels_ * B);
  if (block.count() == 0) return;
  const float* taps = packed + task.panel * panel_size();
  if (steps_.plan().adjoint)
    steps_.begin_adjoint(epilogue.bias, y, steps_.units() * task.chunk / chunks_,
                         steps_.units() * (task.chunk + 1) / chunks_, task.panel, task.panel + 1);
  WinogradMatrices points = s.points;
  points.first += task.at * points.tile_pitch;
  for (int64_t c = 0; c < problem.channels; c += block_channels_) {
    const int64_t channels = std::min(block_channels_, problem.channels - c);
    const bool last = c + channels == problem.channels;
    steps_.transform_taps(taps + c * taps_size, channels, s.panel, panel_pitch);
    const float* ahead = last ? packed + task.next_panel * panel_size() : taps + (c + channels) * taps_size;
    const int64_t ahead_size =
        std::min(block_channels_, last ? problem.channels : problem.channels - c - channels) * taps_size;
    WinogradProducts p{};
    p.tile_pitch = points.tile_pitch;
    p.channels = {1, channels, channels};
    p.panel = s.panel;
    p.accumulate = c > 0;
    for (int64_t point = 0; point < kWinogradPoints; ++point) {
      const auto [begin, end] = steps_.tiles_at(point, block);
      p.tiles = end - begin;
      p.points = points.first + point * points.point_pitch + begin * points.tile_pitch;
      p.sums = s.sums.first + point * s.sums.point_pitch + begin * s.sums.tile_pitch;
      p.ahead = p.points + points.point_pitch;
      p.ahead_pitch = points.tile_pitch;
      steps_.kernels().products(p);
      p.panel += panel_pitch;
      const int64_t from = ahead_size * point / kWinogradPoints,
                    to = ahead_size * (point + 1) / kWinogradPoints;
      steps_.kernels().fetch_lines(ahead + from, to - from);
      if (last && !steps_.streams_results()) steps_.fetch_results(y, block, block.share(point), task.panel);
    }
    points.first += kWinogradPoints * points.point_pitch;
  }
  steps_.transform_results(s.sums, block, task.panel, epilogue, y);
}

}  // namespace konv::cpu
