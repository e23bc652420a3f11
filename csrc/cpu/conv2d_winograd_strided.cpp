// Winograd's convolution with 3x3 taps and stride 2, forward and gradient of x, in float32.
//
// Split by the remainder of positions by 2, an axis of 3 taps with stride 2 becomes two without a stride: of
// two taps and of one. F(4,2) makes 4 outputs of the former with 5 products in place of 8, the latter has
// nothing to save: both axes together take 81 products in place of 144 for 4x4 outputs, with 36 matrices of
// the kernel.
//
// Forward, the four phases read every other pixel and add up in the result. The gradient of x has the four
// phases of conv2d_direct_plan.hpp, each of which makes every other pixel. A task takes a block of tiles (of
// 4x4 pixels in each phase) through one phase after another, so that points, sums and results stay in L2; a
// phase goes through the steps of kernels/conv2d_winograd.hpp. Where a phase has one tap along an axis, each
// of a tile's pixels is by itself, and none is computed beyond the edge. Sums add in the order of channels,
// then of phases: no other choice made here can be seen in a result.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/conv2d_winograd_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kTile = 4;           // results of a phase, an axis
constexpr int64_t kPackChannels = 64;  // of a task that transforms the kernel

// Tiles of a block: in the phase of 5x5 points one register tile. With 7 or 28 all layers take about as long.
constexpr int64_t kTiles = 14;

// Panels of a split at least: each split transforms the data again, against 128 filters a tenth of the time.
constexpr int64_t kLeastPanels = 4;

// A tap problem (conv2d_direct_plan.hpp) without stride, with at most two taps an axis.
struct Phase {
  ConvProblem problem;
  int64_t x_offset;  // of position (0, 0), in elements
  const WinogradPhaseTransforms* transforms;
  int64_t first_matrix;  // of its points, among those of all phases

  int64_t points() const { return transforms->row_points * transforms->column_points; }
  int64_t row_patch() const { return transforms->row_points == 1 ? 1 : kTile; }  // results of a patch
  int64_t column_patch() const { return transforms->column_points == 1 ? 1 : kTile; }
  int64_t tile_patches() const { return kTile / row_patch() * (kTile / column_patch()); }
};

// At least one phase: where no tap meets the image, a result is still to be written.
std::vector<Phase> forward_phases(const ConvProblem& whole) {
  std::vector<Phase> phases;
  for (int64_t i = 0; i < (whole.h.taps > 1 ? 2 : 1); ++i)
    for (int64_t j = 0; j < (whole.w.taps > 1 ? 2 : 1); ++j) {
      const PhaseAxis h = half_of(whole.h, i), w = half_of(whole.w, j);
      Phase phase{whole, h.first * whole.x_row + w.first * whole.x_column, nullptr, 0};
      phase.problem.h = h.taps;
      phase.problem.w = w.taps;
      phase.problem.x_row *= h.step;
      phase.problem.x_column *= w.step;
      phases.push_back(phase);
    }
  return phases;
}

struct Patches {  // of a block's tiles in one phase
  const Phase* phase;
  int64_t group, count;
  WinogradPatch *source, *result;
};

struct PhaseScratch {  // one a thread
  float* points;
  float* sums;
  Patches now, next;
};

class PhasedWinogradRun {
 public:
  // accumulates: phases add up in y, rather than to write pixels of their own.
  PhasedWinogradRun(std::vector<Phase> phases, bool accumulates)
      : phases_(std::move(phases)), accumulates_(accumulates), kernels_(winograd_kernels()) {
    double nanoseconds = 0;
    for (Phase& phase : phases_) {
      const ConvProblem& p = phase.problem;
      phase.transforms = &kernels_.phases[p.h.taps > 1][p.w.taps > 1];
      phase.first_matrix = matrices_;
      matrices_ += phase.points();
      row_tiles_ = std::max(row_tiles_, ceil_div(p.h.out, kTile));
      column_tiles_ = std::max(column_tiles_, ceil_div(p.w.out, kTile));
      nanoseconds += p.nanoseconds();
    }
    const ConvProblem& any = phases_[0].problem;
    images_ = any.images;
    groups_ = any.groups;
    channels_ = any.channels;
    filters_ = any.filters;
    panels_ = ceil_div(filters_, kernels_.block_filters);
    threads_ = threads_for(kMaxThreads, nanoseconds / 2, any.most_threads);
    const int64_t tiles = images_ * row_tiles_ * column_tiles_;
    const int64_t blocks = std::max<int64_t>(1, ceil_div(tiles, kTiles));
    splits_ = std::clamp<int64_t>(ceil_div(threads_, blocks * groups_), 1,
                                  std::max<int64_t>(1, panels_ / kLeastPanels));
    const int64_t shares = ceil_div(threads_, splits_ * groups_);
    blocks_ = std::min(tiles, ceil_div(blocks, shares) * shares);
    block_tiles_ = blocks_ ? ceil_div(tiles, blocks_) : 1;
    tile_pitch_ = odd_lines(channels_);
    for (const Phase& phase : phases_) {
      points_size_ = std::max(points_size_, phase.points() * point_pitch(phase));
      sums_size_ = std::max(sums_size_, phase.points() * sums_pitch(phase));
      most_patches_ = std::max(most_patches_, block_tiles_ * phase.tile_patches());
    }
  }

  int64_t packed_bytes() const { return groups_ * group_size() * sizeof(float); }

  // packed: [group][panel][matrix][channel][B]
  void pack(const float* kernel, float* packed) const {
    const int64_t chunks = ceil_div(channels_, kPackChannels), tasks = groups_ * chunks * panels_;
    const bool streamed = kernels_.can_stream && worth_streaming(packed_bytes(), kStreamedKernelBytes);
    parallel_for(threads_for(tasks, static_cast<double>(groups_ * group_size()) / 8), tasks,
                 [&](int64_t task, int) {
                   const int64_t group = task / chunks / panels_, panel = task % panels_;
                   for (const Phase& phase : phases_)
                     pack_panel(phase, kernel + group * phase.problem.kernel_group,
                                packed + group * group_size() + panel * panel_size(), panel,
                                task / panels_ % chunks * kPackChannels, streamed);
                 });
  }

  int64_t scratch_bytes() const {
    Carver one;
    carve_thread(one);
    return threads_ * one.bytes();
  }

  static constexpr bool kAdds = true;

  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const {
    Carver one;
    carve_thread(one);
    const int64_t tasks = blocks_ * splits_ * groups_;
    parallel_for(threads_, tasks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + thread * one.bytes());
      PhaseScratch s = carve_thread(own);
      const int64_t split = task % splits_;
      // Since tasks take about equal time, the thread's next is most likely this one.
      const int64_t next_task = std::min(task + threads_, tasks - 1);
      fill_patches(s.next, phases_.front(), task);
      for (const Phase& phase : phases_) {
        std::swap(s.now, s.next);
        if (&phase != &phases_.back())
          fill_patches(s.next, *(&phase + 1), task);
        else
          fill_patches(s.next, phases_.front(), next_task);
        if (s.now.count > 0)
          run_phase(x, packed, epilogue, y, s, {panels_ * split / splits_, panels_ * (split + 1) / splits_});
      }
    });
  }

 private:
  struct Range {
    int64_t first, last;
  };

  int64_t matrix_size() const { return odd_lines(channels_ * kernels_.block_filters); }
  int64_t panel_size() const { return matrices_ * matrix_size(); }
  int64_t group_size() const { return panels_ * panel_size(); }

  // From one point's matrix to the next.
  int64_t point_pitch(const Phase& phase) const {
    return odd_lines(block_tiles_ * phase.tile_patches() * tile_pitch_);
  }
  int64_t sums_pitch(const Phase& phase) const {
    return odd_lines(block_tiles_ * phase.tile_patches() * kernels_.block_filters);
  }

  PhaseScratch carve_thread(Carver& carver) const {
    PhaseScratch s{};
    s.points = carver.take<float>(points_size_);
    s.sums = carver.take<float>(sums_size_);
    for (Patches* patches : {&s.now, &s.next}) {
      patches->source = carver.take<WinogradPatch>(most_patches_);
      patches->result = carver.take<WinogradPatch>(most_patches_);
    }
    return s;
  }

  void pack_panel(const Phase& phase, const float* kernel, float* panel, int64_t index, int64_t first_channel,
                  bool streamed) const {
    const ConvProblem& p = phase.problem;
    const int64_t first_filter = index * kernels_.block_filters;
    WinogradKernel k{};
    k.kernel = kernel + p.h.first_tap * p.kernel_row + p.w.first_tap * p.kernel_column +
               first_channel * p.kernel_channel + first_filter * p.kernel_filter;
    k.row_stride = p.h.tap_stride * p.kernel_row;
    k.column_stride = p.w.tap_stride * p.kernel_column;
    k.channel_stride = p.kernel_channel;
    k.filter_stride = p.kernel_filter;
    k.rows = p.h.taps;
    k.columns = p.w.taps;
    k.channels = std::min(kPackChannels, channels_ - first_channel);
    k.filters = std::min<int64_t>(kernels_.block_filters, filters_ - first_filter);
    k.panel = panel + phase.first_matrix * matrix_size() + first_channel * kernels_.block_filters;
    k.point_pitch = matrix_size();
    k.streamed = streamed;
    phase.transforms->kernel(k);
  }

  void run_phase(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
                 const PhaseScratch& s, Range panels) const {
    const Phase& phase = *s.now.phase;
    const ConvProblem& p = phase.problem;
    const int64_t group = s.now.group, B = kernels_.block_filters;
    WinogradData d{};
    d.x = x + phase.x_offset + group * channels_;
    d.row_stride = p.x_row;
    d.column_stride = p.x_column;
    d.rows = p.h.in;
    d.columns = p.w.in;
    d.patches = s.now.source;
    d.tiles = s.now.count;
    d.channels = channels_;
    d.points = s.points;
    d.tile_pitch = tile_pitch_;
    d.point_pitch = point_pitch(phase);
    phase.transforms->data(d);
    const bool first = &phase == &phases_.front(), last = &phase == &phases_.back();
    const bool ends = last || !accumulates_;
    const int64_t steps = (panels.last - panels.first) * phase.points();
    int64_t step = 0;
    for (int64_t panel = panels.first; panel < panels.last; ++panel) {
      const int64_t filter = group * filters_ + panel * B;
      WinogradResults r{};
      r.sums = s.sums;
      r.sums_pitch = sums_pitch(phase);
      r.patches = s.now.result;
      r.tiles = s.now.count;
      r.filters = std::min(B, filters_ - panel * B);
      r.accumulate = accumulates_ && !first;
      r.bias = ends && epilogue.bias ? epilogue.bias + filter : nullptr;
      r.addend = ends && epilogue.addend ? epilogue.addend + filter : nullptr;
      r.relu = ends && epilogue.relu;
      r.y = y + filter + p.h.out_offset * p.y_row + p.w.out_offset * p.y_column;
      r.row_stride = p.h.out_stride * p.y_row;
      r.column_stride = p.w.out_stride * p.y_column;
      r.rows = p.h.out;
      r.columns = p.w.out;
      WinogradProducts q{};
      q.points = s.points;
      q.tile_pitch = tile_pitch_;
      q.tiles = s.now.count;
      q.channels = {1, channels_, channels_};
      q.panel = packed + group * group_size() + panel * panel_size() + phase.first_matrix * matrix_size();
      q.sums = s.sums;
      for (int64_t point = 0; point < phase.points(); ++point) {
        q.ahead = q.panel + matrix_size();
        kernels_.products(q);
        for (int64_t t = s.next.count * step / steps; t < s.next.count * (step + 1) / steps; ++t)
          fetch_source(x, s.next, t);
        ++step;
        if (!r.accumulate)
          for (int64_t t = r.tiles * point / phase.points(); t < r.tiles * (point + 1) / phase.points(); ++t)
            kernels_.fetch({r.y, r.row_stride, r.column_stride, r.rows, r.columns, s.now.result[t],
                            phase.row_patch(), phase.column_patch(), r.filters});
        q.points += d.point_pitch;
        q.panel += matrix_size();
        q.sums += sums_pitch(phase);
      }
      phase.transforms->results(r);
    }
  }

  void fetch_source(const float* x, const Patches& patches, int64_t index) const {
    const Phase& phase = *patches.phase;
    const ConvProblem& p = phase.problem;
    kernels_.fetch({x + phase.x_offset + patches.group * channels_, p.x_row, p.x_column, p.h.in, p.w.in,
                    patches.source[index], phase.transforms->row_points, phase.transforms->column_points,
                    channels_});
  }

  // A task's patches, without those beyond the results' edge.
  void fill_patches(Patches& patches, const Phase& phase, int64_t task) const {
    const ConvProblem& p = phase.problem;
    const int64_t y_row = p.h.out_stride * p.y_row, y_column = p.w.out_stride * p.y_column;
    const int64_t block = task / splits_ / groups_, tiles = images_ * row_tiles_ * column_tiles_;
    patches.phase = &phase;
    patches.group = task / splits_ % groups_;
    patches.count = 0;
    for (int64_t tile = tiles * block / blocks_; tile < tiles * (block + 1) / blocks_; ++tile) {
      const int64_t image = tile / column_tiles_ / row_tiles_;
      const int64_t top = tile / column_tiles_ % row_tiles_ * kTile, left = tile % column_tiles_ * kTile;
      for (int64_t i = top; i < std::min(top + kTile, p.h.out); i += phase.row_patch())
        for (int64_t j = left; j < std::min(left + kTile, p.w.out); j += phase.column_patch()) {
          const int64_t row = i + p.h.origin, column = j + p.w.origin;
          patches.source[patches.count] = {image * p.x_image + row * p.x_row + column * p.x_column, row,
                                           column};
          patches.result[patches.count++] = {image * p.y_image + i * y_row + j * y_column, i, j};
        }
    }
  }

  std::vector<Phase> phases_;
  bool accumulates_;
  const WinogradKernels& kernels_;
  int64_t images_, groups_, channels_, filters_, panels_;
  int64_t matrices_ = 0;                      // of all phases
  int64_t row_tiles_ = 0, column_tiles_ = 0;  // of an image
  int threads_;
  int64_t blocks_, splits_;  // of the tiles; each for a share of the panels
  int64_t block_tiles_;      // at most
  int64_t tile_pitch_, points_size_ = 0, sums_size_ = 0, most_patches_ = 0;
};

struct StridedForward : PhasedWinogradRun {
  explicit StridedForward(const ConvProblem& problem) : PhasedWinogradRun(forward_phases(problem), true) {}
};

}  // namespace

ForwardAlgorithm<float> winograd_strided_forward() { return kForwardAlgorithm<StridedForward, float>; }

Buffer winograd_strided_input_gradient(const char* op, const Conv2dShape& s, const float* grad,
                                       const float* kernel, const float* bias) {
  const std::vector<ConvProblem> problems = input_gradient_problems(s);
  std::vector<Phase> phases;
  for (const ConvProblem& problem : problems) phases.push_back({problem, 0, nullptr, 0});
  const int64_t bytes = checked_bytes(op, "the result", s.x_dims(), sizeof(float));
  if (bytes == 0) return allocate(op, 0);
  if (phases.empty()) {
    Buffer result = allocate(op, bytes);
    fill_unreached(s, problems, bias, result.as<float>());
    return result;
  }
  const PhasedWinogradRun run(phases, false);
  auto [result, packed, scratch] = allocate(op, {bytes, run.packed_bytes(), run.scratch_bytes()});
  fill_unreached(s, problems, bias, result.as<float>());
  pack_and_run(run, grad, kernel, {bias, nullptr, false}, result.as<float>(), packed, scratch);
  return std::move(result);
}

}  // namespace konv::cpu
