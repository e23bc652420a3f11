// Winograd's convolution, forward and gradient of x: F(4x4,3x3) and F(2x2,5x5), in float32.
//
// A task takes a block of tiles through all four steps of kernels/conv2d_winograd.hpp in one core's L2: what
// the tiles read becomes 36 matrices of tiles x channels; for one panel of filters after another
// come the products with the packed kernel, which streams by, and the results. During the products the pixels
// of the next block and the lines of the results are fetched into L2: with 32 or 64 channels and arrays
// beyond the caches that takes 4 to 11% off (the adjoint, of small images, gains nothing). Sums add in the
// order of channels, block by block of kChannels: no other choice made here can be seen in a result.
//
// The gradient of x is the forward pass of the rotated kernel, or the adjoint of the forward tiles where
// those are fewer ("valid" on small images): conv2d_winograd_plan.hpp.
//
// Bound by the products, at four times the direct limit where tiles are whole: 904 GFLOP/s on two cores of
// 113. With 64 channels and more 65 to 87% of it is reached; with 32, half: the stores of the data's
// transform miss L1 and take 29% of the time, the results' transform 16%. Numbers beyond 1e36 may overflow in
// the transforms.
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

constexpr int64_t kChannels = 512;     // of a block's points
constexpr int64_t kPackChannels = 64;  // of a task that transforms the kernel

// Tiles of a block: one register tile, so that most points and sums stay in L2. Where all threads have fewer
// than six such blocks, larger and equal ones read the kernel less often: 525 -> 625 GFLOP/s at 4,14,14,512.
constexpr int64_t kTiles = 14;
constexpr int64_t kMostTiles = 32;
constexpr int64_t kFewTiles = 6 * kTiles;

// Panels of a split at least: each split transforms the data again, against 128 filters less than a tenth.
constexpr int64_t kLeastPanels = 4;

// An odd number of lines from one row to the next: powers of two would fall into few sets of the cache.
int64_t odd_lines(int64_t elements) { return (ceil_div(elements, 16) | 1) * 16; }

struct WinogradScratch {  // one a thread
  float* points;
  float* sums;
  WinogradPatch* source;
  WinogradPatch* result;
};

class WinogradRun {
 public:
  explicit WinogradRun(const ConvProblem& problem)
      : problem_(problem),
        plan_(make_winograd_plan(problem.h, problem.w)),
        kernels_(winograd_kernels()),
        transforms_(plan_.taps == 3 ? kernels_.taps3 : kernels_.taps5),
        panels_(ceil_div(problem.filters, kernels_.block_filters)),
        threads_(threads_for(kMaxThreads, problem.nanoseconds() / 3, problem.most_threads)) {
    units_ = plan_.adjoint ? problem.images : problem.images * plan_.tiles();
    unit_tiles_ = plan_.adjoint ? plan_.tiles() : 1;
    const int64_t tiles = problem.images * plan_.tiles();
    const bool few = plan_.adjoint || tiles < kFewTiles * threads_;
    const int64_t blocks = std::max<int64_t>(1, ceil_div(tiles, few ? kMostTiles : kTiles));
    splits_ = std::clamp<int64_t>(ceil_div(threads_, blocks * problem.groups), 1,
                                  std::max<int64_t>(1, panels_ / kLeastPanels));
    const int64_t shares = ceil_div(threads_, splits_ * problem.groups);
    tasks_ = std::min(units_, ceil_div(blocks, shares) * shares);
    block_tiles_ = std::min(kMostTiles, tasks_ ? ceil_div(units_, tasks_) * unit_tiles_ : 1);
    const int64_t channels = std::min(problem.channels, kChannels);
    points_pitch_ = odd_lines(channels);
    point_pitch_ = odd_lines(block_tiles_ * points_pitch_);
    sum_pitch_ = odd_lines(block_tiles_ * kernels_.block_filters);
  }

  int64_t packed_bytes() const { return problem_.groups * group_size() * sizeof(float); }

  // packed: [group][panel][point][channel][B]
  void pack(const float* kernel, float* packed) const {
    const int64_t chunks = ceil_div(problem_.channels, kPackChannels);
    const int64_t tasks = problem_.groups * chunks * panels_;
    const bool streamed = kernels_.can_stream && worth_streaming(packed_bytes());
    parallel_for(threads_for(tasks, static_cast<double>(problem_.groups * group_size()) / 8), tasks,
                 [&](int64_t task, int) {
                   pack_panel(kernel, packed, task / chunks / panels_, task % panels_,
                              task / panels_ % chunks * kPackChannels, streamed);
                 });
  }

  int64_t scratch_bytes() const {
    Carver one;
    carve_thread(one);
    return threads_ * one.bytes();
  }

  static constexpr bool kAdds = true;

  // Every output of the problem is written.
  void run(const float* x, const float* packed, const Epilogue<float>& epilogue, float* y,
           void* scratch) const {
    Carver one;
    carve_thread(one);
    const int64_t result_bytes = problem_.images * problem_.y_image * static_cast<int64_t>(sizeof(float));
    const bool streamed = kernels_.can_stream && !plan_.adjoint && worth_streaming(result_bytes) &&
                          problem_.filters % (kernels_.block_filters / 2) == 0 && problem_.y_column % 16 == 0;
    const int64_t tasks = tasks_ * splits_ * problem_.groups;
    parallel_for(threads_, tasks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + thread * one.bytes());
      const WinogradScratch s = carve_thread(own);
      // Since tasks take about equal time, the thread's next is most likely this one.
      const int64_t next = std::min(task + threads_, tasks - 1);
      run_task(x, packed, epilogue, y, s, streamed, task_at(task), task_at(next));
    });
  }

 private:
  int64_t point_size() const { return problem_.channels * kernels_.block_filters; }
  int64_t panel_size() const { return kWinogradPoints * point_size(); }
  int64_t group_size() const { return panels_ * panel_size(); }

  WinogradScratch carve_thread(Carver& carver) const {
    WinogradScratch s{};
    s.points = carver.take<float>(kWinogradPoints * point_pitch_);
    s.sums = carver.take<float>(kWinogradPoints * sum_pitch_);
    s.source = carver.take<WinogradPatch>(block_tiles_);
    s.result = carver.take<WinogradPatch>(block_tiles_);
    return s;
  }

  void pack_panel(const float* kernel, float* packed, int64_t group, int64_t panel, int64_t first_channel,
                  bool streamed) const {
    const int64_t first_filter = panel * kernels_.block_filters;
    WinogradKernel k{};
    k.kernel = kernel + group * problem_.kernel_group + plan_.h.first_tap * problem_.kernel_row +
               plan_.w.first_tap * problem_.kernel_column + first_channel * problem_.kernel_channel +
               first_filter * problem_.kernel_filter;
    k.row_stride = plan_.h.tap_stride * problem_.kernel_row;
    k.column_stride = plan_.w.tap_stride * problem_.kernel_column;
    k.channel_stride = problem_.kernel_channel;
    k.filter_stride = problem_.kernel_filter;
    k.rows = problem_.h.taps;
    k.columns = problem_.w.taps;
    k.channels = std::min(kPackChannels, problem_.channels - first_channel);
    k.filters = std::min<int64_t>(kernels_.block_filters, problem_.filters - first_filter);
    k.panel = packed + group * group_size() + panel * panel_size() + first_channel * kernels_.block_filters;
    k.point_pitch = point_size();
    k.streamed = streamed;
    transforms_.kernel(k);
  }

  // Units [first_unit, last_unit) and panels [first_panel, last_panel).
  struct Task {
    int64_t group, first_unit, last_unit, first_panel, last_panel;
  };

  Task task_at(int64_t index) const {
    const int64_t split = index % splits_, block = index / splits_ / problem_.groups;
    return {index / splits_ % problem_.groups, units_ * block / tasks_, units_ * (block + 1) / tasks_,
            panels_ * split / splits_, panels_ * (split + 1) / splits_};
  }

  void run_task(const float* x, const float* packed, Epilogue<float> epilogue, float* y,
                const WinogradScratch& s, bool streamed, const Task& task, const Task& next) const {
    const auto [group, first_unit, last_unit, first_panel, last_panel] = task;
    const int64_t B = kernels_.block_filters, steps = (last_panel - first_panel) * kWinogradPoints;
    y += group * problem_.filters;
    if (epilogue.bias) epilogue.bias += group * problem_.filters;
    if (epilogue.addend) epilogue.addend += group * problem_.filters;
    if (plan_.adjoint) {
      const int64_t first = first_panel * B, last = std::min(problem_.filters, last_panel * B);
      for (int64_t image = first_unit; image < last_unit; ++image)
        fill(epilogue.bias, y + image * problem_.y_image, first, last);
      epilogue.bias = nullptr;
    }
    const int64_t end = last_unit * unit_tiles_;
    for (int64_t first = first_unit * unit_tiles_, count; first < end; first += count) {
      // Blocks of equal size, give or take one.
      count = ceil_div(end - first, ceil_div(end - first, block_tiles_));
      fill_patches(s, first, count);
      const bool ends = first + count == end;
      const int64_t ahead = ends ? next.first_unit * unit_tiles_ : first + count,
                    ahead_count = std::min(count, problem_.images * plan_.tiles() - ahead);
      const float* ahead_x = x + (ends ? next.group : group) * problem_.channels;
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        for (int64_t c = 0; c < problem_.channels; c += kChannels) {
          const int64_t channels = std::min(kChannels, problem_.channels - c);
          if (panel == first_panel || problem_.channels > kChannels)
            transform_data(x + group * problem_.channels + c, channels, s, count);
          WinogradProducts p{};
          p.points = s.points;
          p.tile_pitch = points_pitch_;
          p.tiles = count;
          p.channels = channels;
          p.panel = packed + group * group_size() + panel * panel_size() + c * B;
          p.sums = s.sums;
          p.accumulate = c > 0;
          for (int64_t point = 0; point < kWinogradPoints; ++point) {
            kernels_.products(p);
            p.points += point_pitch_;
            p.panel += point_size();
            p.sums += sum_pitch_;
            if (c > 0 || plan_.adjoint) continue;
            const int64_t step = (panel - first_panel) * kWinogradPoints + point;
            for (int64_t t = ahead_count * step / steps; t < ahead_count * (step + 1) / steps; ++t)
              fetch_source(ahead_x, ahead + t);
            if (streamed) continue;
            for (int64_t t = count * point / kWinogradPoints; t < count * (point + 1) / kWinogradPoints; ++t)
              fetch_result(y + panel * B, s.result[t], std::min(B, problem_.filters - panel * B));
          }
        }
        WinogradResults r{};
        r.sums = s.sums;
        r.sums_pitch = sum_pitch_;
        r.patches = s.result;
        r.tiles = count;
        r.filters = std::min(B, problem_.filters - panel * B);
        r.accumulate = plan_.adjoint;
        r.bias = epilogue.bias ? epilogue.bias + panel * B : nullptr;
        r.addend = epilogue.addend ? epilogue.addend + panel * B : nullptr;
        r.relu = epilogue.relu;
        r.y = y + panel * B;
        r.row_stride = problem_.y_row;
        r.column_stride = problem_.y_column;
        r.rows = problem_.h.out;
        r.columns = problem_.w.out;
        r.streamed = streamed;
        plan_.adjoint ? transforms_.adjoint_results(r) : transforms_.results(r);
      }
    }
  }

  void transform_data(const float* x, int64_t channels, const WinogradScratch& s, int64_t count) const {
    WinogradData d{};
    d.x = x;
    d.row_stride = problem_.x_row;
    d.column_stride = problem_.x_column;
    d.rows = problem_.h.in;
    d.columns = problem_.w.in;
    d.patches = s.source;
    d.tiles = count;
    d.channels = channels;
    d.points = s.points;
    d.tile_pitch = points_pitch_;
    d.point_pitch = point_pitch_;
    plan_.adjoint ? transforms_.adjoint_data(d) : kernels_.data(d);
  }

  // The pixels of a tile that its left and upper neighbours don't have.
  void fetch_source(const float* x, int64_t tile) const {
    const int64_t shared = plan_.taps - 1;
    WinogradPatch patch = source_of(tile);
    patch.offset += shared * (problem_.x_row + problem_.x_column);
    patch.row += shared;
    patch.column += shared;
    kernels_.fetch({x, problem_.x_row, problem_.x_column, problem_.h.in, problem_.w.in, patch,
                    plan_.h.outputs, plan_.w.outputs, std::min(problem_.channels, kChannels)});
  }

  void fetch_result(const float* y, const WinogradPatch& patch, int64_t filters) const {
    kernels_.fetch({y, problem_.y_row, problem_.y_column, problem_.h.out, problem_.w.out, patch,
                    plan_.h.outputs, plan_.w.outputs, filters});
  }

  void fill_patches(const WinogradScratch& s, int64_t first, int64_t count) const {
    for (int64_t t = 0; t < count; ++t) {
      s.source[t] = source_of(first + t);
      s.result[t] = result_of(first + t);
    }
  }

  WinogradPatch source_of(int64_t tile) const {
    return patch_of(tile, plan_.h.source, plan_.w.source, problem_.x_image, problem_.x_row,
                    problem_.x_column);
  }

  WinogradPatch result_of(int64_t tile) const {
    return patch_of(tile, plan_.h.result, plan_.w.result, problem_.y_image, problem_.y_row,
                    problem_.y_column);
  }

  // Of tile [0, images * tiles of an image), whose first tile's patch begins at (row, column).
  WinogradPatch patch_of(int64_t tile, int64_t row, int64_t column, int64_t image_stride, int64_t row_stride,
                         int64_t column_stride) const {
    row += tile / plan_.w.tiles % plan_.h.tiles * plan_.h.outputs;
    column += tile % plan_.w.tiles * plan_.w.outputs;
    return {tile / plan_.tiles() * image_stride + row * row_stride + column * column_stride, row, column};
  }

  // What the adjoint adds its results to: filters [first, last) of an image.
  void fill(const float* bias, float* y, int64_t first, int64_t last) const {
    for (int64_t row = 0; row < problem_.h.out; ++row)
      for (int64_t column = 0; column < problem_.w.out; ++column) {
        float* pixel = y + row * problem_.y_row + column * problem_.y_column;
        for (int64_t k = first; k < last; ++k) pixel[k] = bias ? bias[k] : 0.0f;
      }
  }

  ConvProblem problem_;
  WinogradPlan plan_;
  const WinogradKernels& kernels_;
  const WinogradTransforms& transforms_;
  int64_t panels_;
  int threads_;
  int64_t units_, unit_tiles_;  // what tasks share out: tiles, or for the adjoint whole images
  int64_t tasks_, splits_;      // of the units; each for a share of the panels
  int64_t block_tiles_;         // at a time
  int64_t points_pitch_, point_pitch_, sum_pitch_;
};

}  // namespace

ForwardAlgorithm<float> winograd_forward() { return kForwardAlgorithm<WinogradRun, float>; }

Buffer winograd_input_gradient(const char* op, const Conv2dShape& s, const float* grad, const float* kernel,
                               const float* bias) {
  return run_input_gradient<WinogradRun>(op, s, grad, kernel, bias);
}

}  // namespace konv::cpu
