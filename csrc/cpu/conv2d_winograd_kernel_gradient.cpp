// Gradient of the kernel by Winograd: dW = G^T [ sum over tiles of (B^T d B) . (A g A^T) ] G.
//
// With stride 2 three taps split into the four phases of conv2d_winograd_strided.cpp, each of which reads
// every other pixel along both axes and makes taps of its own, as if there were no stride.
//
// Two ways to sum, chosen by the shape. Fused, where the 36 C x K sums fit L2: a task owns a split of the
// tiles and alternates between transforms and products of a block of them, which the products fetch point by
// point; the splits' kernels are added in order. Staged, where they don't: chunks of tiles are transformed,
// threads sharing out the tiles, then multiplied, threads sharing out blocks of (C, K), each of which adds
// the chunks in order. All cuts of the sum over tiles are functions of the shape, so the bits are the same
// for any number of threads.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_winograd_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kFusedSums = 36 << 12;  // the most sums that stay in L2: 576 KiB
// A split costs a transform of the sums, which takes as long as six tiles: a few splits may be small, so that
// threads have something to do, many may not.
constexpr int64_t kSplits = 16, kSplitTiles = 128;
constexpr int64_t kFewSplits = 4, kFewSplitTiles = 32;
// Of a block or chunk: loads and stores of the sums cost 1/50 of their multiplications. Half as many take a
// tenth to a quarter longer with 256 channels.
constexpr int64_t kBlockTiles = 196;
constexpr int64_t kMostChannels = 64, kMostFilters = 64;  // of a block: its sums at a point fit L1
constexpr int64_t kLeastFilters = 32;
constexpr int64_t kThreadBlocks = 3;  // a thread has at least: with one or two, threads would wait for one
constexpr int64_t kTaskTiles = 4;     // transformed in one task
constexpr int64_t kTilesAhead = 2;    // the pixels of these are fetched while one is transformed
constexpr int64_t kPadding = 16;      // elements between points, which would share cache sets

// Transformed tiles of all channels or filters, see kernels/conv2d_winograd_kernel_gradient.hpp.
struct Panels {
  int64_t panel_stride, point_stride;
};

// The gradient of the taps of one phase.
class WinogradKernelGradientRun {
 public:
  WinogradKernelGradientRun(const Conv2dShape& shape, const PhaseAxis& h, const PhaseAxis& w,
                            const WinogradKernelGradientTransforms& transforms)
      : shape_(shape),
        h_(h),
        w_(w),
        kernels_(winograd_kernel_gradient_kernels()),
        transforms_(transforms),
        points_(transforms.row_points * transforms.column_points),
        tile_rows_(ceil_div(shape.h.out, transforms.row_outputs)),
        tile_columns_(ceil_div(shape.w.out, transforms.column_outputs)),
        tiles_(shape.N * tile_rows_ * tile_columns_),
        channels_(shape.group_channels()),
        filters_(shape.group_filters()),
        fused_(points_ * channels_ * filters_ <= kFusedSums) {
    if (fused_) {
      while (splits_ < kSplits &&
             tiles_ >= 2 * splits_ * (splits_ < kFewSplits ? kFewSplitTiles : kSplitTiles))
        splits_ *= 2;
      cuts_ = std::max<int64_t>(1, ceil_div(ceil_div(tiles_, splits_), kBlockTiles));
      block_tiles_ = ceil_div(ceil_div(tiles_, splits_), cuts_);
      block_channels_ = channels_;
      block_filters_ = filters_;
    } else {
      cuts_ = std::max<int64_t>(1, ceil_div(tiles_, kBlockTiles));
      block_tiles_ = ceil_div(tiles_, cuts_);
      block_channels_ = std::min(channels_, kMostChannels);
      block_filters_ = std::min(filters_, kMostFilters);
      // Blocks of (C, K) don't cut sums, so the number of threads may have a say.
      if (ceil_div(channels_, block_channels_) * ceil_div(filters_, block_filters_) <
          kThreadBlocks * get_num_threads())
        block_filters_ = std::min(filters_, kLeastFilters);
    }
    channel_blocks_ = ceil_div(channels_, block_channels_);
    filter_blocks_ = ceil_div(filters_, block_filters_);
    data_ = panels(channels_);
    grad_ = panels(filters_);
    sums_columns_ = ceil_div(block_filters_, kernels_.lanes) * kernels_.lanes;
    sums_point_ = block_channels_ * sums_columns_ + kPadding;
    const int64_t tasks = fused_ ? shape.groups * splits_ : channel_blocks_ * filter_blocks_;
    const double part = static_cast<double>(taps()) / static_cast<double>(shape.h.window * shape.w.window);
    threads_ = threads_for(tasks, part * shape.flops() / kFlopsPerNanosecond);
  }

  int64_t scratch_bytes() const {
    Carver carver;
    carve(carver);
    return carver.bytes();
  }

  void run(const float* x, const float* grad, float* grad_kernel, void* scratch) const {
    Carver carver(scratch);
    const Scratch s = carve(carver);
    if (fused_) {
      parallel_for(threads_, shape_.groups * splits_,
                   [&](int64_t task, int thread) { run_split(x, grad, grad_kernel, s, task, thread); });
      if (splits_ > 1) add_splits(s.partial, grad_kernel);
    } else {
      for (int64_t group = 0; group < shape_.groups; ++group)
        for (int64_t chunk = 0; chunk < cuts_; ++chunk) run_chunk(x, grad, grad_kernel, s, group, chunk);
    }
  }

 private:
  struct Scratch {
    float *data, *grad, *sums;
    float* partial;  // [split][tap][C][K]
  };

  int64_t taps() const { return int64_t{transforms_.rows} * transforms_.columns; }
  int64_t tap_size() const { return channels_ * shape_.K; }  // of a kernel

  Panels panels(int64_t channels) const {
    const int64_t panel = block_tiles_ * kernels_.panel_width;
    return {panel, ceil_div(channels, kernels_.panel_width) * panel + kPadding};
  }

  int64_t panels_size(const Panels& panels) const { return points_ * panels.point_stride; }

  // Sums of one block of (C, K).
  int64_t sums_elements() const { return points_ * sums_point_; }

  Scratch carve(Carver& carver) const {
    Scratch s{};
    const int64_t copies = fused_ ? threads_ : 1;
    s.data = carver.take<float>(copies * panels_size(data_));
    s.grad = carver.take<float>(copies * panels_size(grad_));
    s.sums = carver.take<float>((cuts_ > 1 && !fused_ ? channel_blocks_ * filter_blocks_ : threads_) *
                                sums_elements());
    if (splits_ > 1) s.partial = carver.take<float>(splits_ * taps() * tap_size());
    return s;
  }

  // Both operands of tile [0, tiles_) of a group: which pixels they have.
  struct Tile {
    WinogradTileSource data, grad;
  };
  Tile tile_at(const float* x, const float* grad, int64_t group, int64_t tile) const {
    const int64_t n = tile / (tile_rows_ * tile_columns_);
    const int64_t row = tile / tile_columns_ % tile_rows_ * transforms_.row_outputs,
                  column = tile % tile_columns_ * transforms_.column_outputs;
    const int64_t x_row = shape_.w.size * shape_.C;
    return {{x + (n * shape_.h.size + h_.first) * x_row + w_.first * shape_.C + group * channels_,
             h_.step * x_row, w_.step * shape_.C, h_.taps.in, w_.taps.in, row + h_.taps.origin,
             column + w_.taps.origin, channels_, nullptr, data_.point_stride, data_.panel_stride},
            {grad + n * shape_.h.out * shape_.w.out * shape_.K + group * filters_, shape_.w.out * shape_.K,
             shape_.K, shape_.h.out, shape_.w.out, row, column, filters_, nullptr, grad_.point_stride,
             grad_.panel_stride}};
  }

  // Transforms tiles [first, last) to panels that begin with tile `begin`.
  void transform_tiles(const float* x, const float* grad, int64_t group, int64_t first, int64_t last,
                       int64_t begin, float* data, float* panels) const {
    for (int64_t tile = first; tile < last; ++tile) {
      if (tile + kTilesAhead < tiles_) {
        const Tile ahead = tile_at(x, grad, group, tile + kTilesAhead);
        transforms_.prefetch_data(ahead.data);
        transforms_.prefetch_grad(ahead.grad);
      }
      Tile at = tile_at(x, grad, group, tile);
      at.data.tile = data + (tile - begin) * kernels_.panel_width;
      at.grad.tile = panels + (tile - begin) * kernels_.panel_width;
      transforms_.data(at.data);
      transforms_.grad(at.grad);
    }
  }

  // Adds `tiles` transformed tiles to a block's sums.
  void multiply(const float* data, const float* grad, int64_t tiles, int64_t first_channel,
                int64_t first_filter, float* sums, bool accumulate) const {
    const int64_t W = kernels_.panel_width;
    kernels_.multiply({points_, data + first_channel / W * data_.panel_stride, data_.point_stride,
                       data_.panel_stride, grad + first_filter / W * grad_.panel_stride, grad_.point_stride,
                       grad_.panel_stride, tiles, std::min(block_channels_, channels_ - first_channel),
                       std::min(block_filters_, filters_ - first_filter), sums, sums_point_, sums_columns_,
                       accumulate});
  }

  // Where taps lie: in the gradient of the whole kernel, or in one of the phase's taps alone.
  struct TapPlace {
    float* first;
    int64_t row, column;
  };
  TapPlace taps_in(float* grad_kernel) const {
    const int64_t row = shape_.w.window * tap_size();
    return {grad_kernel + h_.taps.first_tap * row + w_.taps.first_tap * tap_size(), h_.taps.tap_stride * row,
            w_.taps.tap_stride * tap_size()};
  }

  // The block's part of the taps.
  void finish(const float* sums, int64_t group, int64_t first_channel, int64_t first_filter,
              const TapPlace& taps) const {
    transforms_.finish({sums, sums_point_, sums_columns_,
                        std::min(block_channels_, channels_ - first_channel),
                        std::min(block_filters_, filters_ - first_filter),
                        taps.first + first_channel * shape_.K + group * filters_ + first_filter, taps.row,
                        taps.column, shape_.K});
  }

  void run_split(const float* x, const float* grad, float* grad_kernel, const Scratch& s, int64_t task,
                 int thread) const {
    const int64_t group = task / splits_, split = task % splits_;
    const int64_t first = tiles_ * split / splits_, last = tiles_ * (split + 1) / splits_;
    float *data = s.data + thread * panels_size(data_), *panels = s.grad + thread * panels_size(grad_),
          *sums = s.sums + thread * sums_elements();
    const auto cut = [&](int64_t block) { return first + (last - first) * block / cuts_; };
    for (int64_t block = 0; block < cuts_; ++block) {
      const int64_t begin = cut(block), end = cut(block + 1);
      transform_tiles(x, grad, group, begin, end, begin, data, panels);
      multiply(data, panels, end - begin, 0, 0, sums, block > 0);
    }
    const int64_t row = transforms_.columns * tap_size();
    finish(sums, group, 0, 0,
           splits_ > 1 ? TapPlace{s.partial + split * taps() * tap_size(), row, tap_size()}
                       : taps_in(grad_kernel));
  }

  void add_splits(const float* partial, float* grad_kernel) const {
    const int64_t size = taps() * tap_size(), rows = size / shape_.K;
    const TapPlace to = taps_in(grad_kernel);
    parallel_for(threads_for(rows, static_cast<double>(size * splits_)), rows, [&](int64_t row, int) {
      const int64_t tap = row / channels_;
      float* out = to.first + tap / transforms_.columns * to.row + tap % transforms_.columns * to.column +
                   row % channels_ * shape_.K;
      const float* from = partial + row * shape_.K;
      for (int64_t k = 0; k < shape_.K; ++k) out[k] = from[k] + from[size + k];
      for (int64_t split = 2; split < splits_; ++split)
        for (int64_t k = 0; k < shape_.K; ++k) out[k] += from[split * size + k];
    });
  }

  void run_chunk(const float* x, const float* grad, float* grad_kernel, const Scratch& s, int64_t group,
                 int64_t chunk) const {
    const int64_t begin = tiles_ * chunk / cuts_, end = tiles_ * (chunk + 1) / cuts_;
    parallel_for(threads_, ceil_div(end - begin, kTaskTiles), [&](int64_t task, int) {
      const int64_t first = begin + task * kTaskTiles, last = std::min(first + kTaskTiles, end);
      transform_tiles(x, grad, group, first, last, begin, s.data, s.grad);
    });
    parallel_for(threads_, channel_blocks_ * filter_blocks_, [&](int64_t block, int thread) {
      const int64_t first_channel = block / filter_blocks_ * block_channels_,
                    first_filter = block % filter_blocks_ * block_filters_;
      float* sums = s.sums + (cuts_ > 1 ? block : thread) * sums_elements();
      multiply(s.data, s.grad, end - begin, first_channel, first_filter, sums, chunk > 0);
      if (chunk + 1 == cuts_) finish(sums, group, first_channel, first_filter, taps_in(grad_kernel));
    });
  }

  Conv2dShape shape_;
  PhaseAxis h_, w_;
  const WinogradKernelGradientKernels& kernels_;
  const WinogradKernelGradientTransforms& transforms_;
  int64_t points_;
  int64_t tile_rows_, tile_columns_, tiles_;
  int64_t channels_, filters_;  // of a group
  bool fused_;
  int64_t splits_ = 1, cuts_, block_tiles_;  // cuts_: blocks of a split, or chunks, of up to block_tiles_
  int64_t block_channels_, block_filters_, channel_blocks_, filter_blocks_;
  Panels data_, grad_;
  int64_t sums_columns_, sums_point_;
  int threads_;
};

// Those that only meet padding, too: their sums are zero.
TapAxis all_taps(const WindowAxis& axis) {
  return {axis.size, axis.out, axis.stride, -axis.before, axis.window, axis.dilation, 0, 1, 0, 1};
}

// One after the other: each makes other taps.
Buffer run_phases(const char* op, const Conv2dShape& shape, const float* x, const float* grad,
                  const std::vector<WinogradKernelGradientRun>& phases) {
  int64_t scratch_bytes = 0;
  for (const WinogradKernelGradientRun& phase : phases)
    scratch_bytes = std::max(scratch_bytes, phase.scratch_bytes());
  auto [result, scratch] =
      allocate(op, {checked_bytes(op, "the result", shape.kernel_dims(), sizeof(float)), scratch_bytes});
  float* grad_kernel = result.as<float>();
  if (shape.N == 0)
    std::fill(grad_kernel, grad_kernel + shape.kernel_size(), 0.0f);
  else
    for (const WinogradKernelGradientRun& phase : phases) phase.run(x, grad, grad_kernel, scratch.data());
  return std::move(result);
}

}  // namespace

Buffer winograd_kernel_gradient(const char* op, const Conv2dShape& shape, const float* x, const float* grad) {
  const WinogradKernelGradientKernels& kernels = winograd_kernel_gradient_kernels();
  const PhaseAxis h{all_taps(shape.h), 0, 1}, w{all_taps(shape.w), 0, 1};
  return run_phases(op, shape, x, grad, {{shape, h, w, kernels.taps[shape.h.window - kLeastWinogradTaps]}});
}

Buffer winograd_strided_kernel_gradient(const char* op, const Conv2dShape& shape, const float* x,
                                        const float* grad) {
  const WinogradKernelGradientKernels& kernels = winograd_kernel_gradient_kernels();
  std::vector<WinogradKernelGradientRun> phases;
  for (int64_t i : {0, 1})
    for (int64_t j : {0, 1}) {
      const PhaseAxis h = half_of(all_taps(shape.h), i), w = half_of(all_taps(shape.w), j);
      phases.emplace_back(shape, h, w, kernels.phases[h.taps.taps > 1][w.taps.taps > 1]);
    }
  return run_phases(op, shape, x, grad, phases);
}

}  // namespace konv::cpu
