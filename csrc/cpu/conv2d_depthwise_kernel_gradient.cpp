// Depthwise convolution with one filter a channel: gradient of the kernel.
//
// Every tap of every channel is a sum over all pixels. The rows of all images are cut into splits by the
// shape alone; a split adds its rows in order, and the splits are added in order.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_depthwise_plan.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kSplits = 16;            // at most: enough tasks for as many threads
constexpr int64_t kSplitPixels = 256;      // at least: adding a split costs as much as one pixel of it
constexpr int64_t kRowsBytes = 256 << 10;  // of image and gradient that are summed together: they stay in L2
constexpr int64_t kTasks = 8;              // with fewer splits, channels are shared out too

template <class T>
class DepthwiseKernelGradient {
 public:
  explicit DepthwiseKernelGradient(const Conv2dShape& shape)
      : shape_(shape),
        kernels_(*kernels<T>().conv2d_depthwise),
        h_(forward_axis(forward_taps(shape.h))),
        w_(forward_axis(forward_taps(shape.w))),
        group_(shape.group_filters()),
        width_(group_ == 1 ? merged_pixels(shape.C, w_, kernels_.lanes) : 1),
        runs_(column_runs(w_, {shape.C, tap_size(), shape.C}, width_)),
        rows_(shape.N * shape.h.out),
        splits_(std::clamp<int64_t>(rows_ * shape.w.out / kSplitPixels, 1,
                                    std::clamp<int64_t>(rows_, 1, kSplits))),
        channels_(width_ > 1 ? shape.C
                             : channels_of_block(shape.C, group_, ceil_div(kTasks, splits_), sizeof(T))),
        channel_blocks_(ceil_div(shape.C, channels_)),
        threads_(threads_for(splits_ * channel_blocks_, shape.flops() / kFlopsPerNanosecond)) {}

  int64_t scratch_bytes() const { return splits_ * sums_size() * static_cast<int64_t>(sizeof(T)); }

  void run(const T* x, const T* grad, T* grad_kernel, T* sums) const {
    parallel_for(threads_, splits_ * channel_blocks_, [&](int64_t task, int) {
      const int64_t split = task / channel_blocks_, first = task % channel_blocks_ * channels_;
      run_split(x, grad, sums + split * sums_size(), split, first, std::min(channels_, shape_.C - first));
    });
    parallel_for(threads_, kernel_rows(), [&](int64_t row, int) {
      T* to = grad_kernel + row * shape_.C;
      std::fill(to, to + shape_.C, T{0});
      for (int64_t split = 0; split < splits_; ++split)
        for (int64_t pixel = 0; pixel < width_; ++pixel) {
          const T* from = sums + split * sums_size() + (row * width_ + pixel) * shape_.C;
          for (int64_t c = 0; c < shape_.C; ++c) to[c] += from[c];
        }
    });
  }

 private:
  // (tap row, tap column, channel of a group): a row of the kernel holds all filters.
  int64_t kernel_rows() const { return shape_.h.window * shape_.w.window * group_; }
  int64_t tap_size() const { return group_ * width_ * shape_.C; }
  int64_t sums_row() const { return shape_.w.window * tap_size(); }
  int64_t sums_size() const { return shape_.h.window * sums_row(); }

  void run_split(const T* x, const T* grad, T* sums, int64_t split, int64_t first, int64_t channels) const {
    const int64_t C = shape_.C, x_row = shape_.w.size * C, y_row = shape_.w.out * C;
    for (int64_t row = 0; row < kernel_rows() * width_; ++row)
      std::fill_n(sums + row * C + first, channels, T{0});
    const int64_t last = rows_ * (split + 1) / splits_;
    const int64_t most = std::max<int64_t>(1, kRowsBytes / ((x_row + y_row) / C * channels_ * sizeof(T)));
    for (int64_t i = rows_ * split / splits_, next; i < last; i = next) {
      const int64_t image = i / shape_.h.out, p = i % shape_.h.out;
      const int64_t end = std::min({last, (image + 1) * shape_.h.out, i + most});
      const LiveTaps taps = h_.taps_of(p);
      for (next = i + 1; next < end && h_.taps_of(next % shape_.h.out).same_taps(taps);) ++next;
      DepthwiseGradientRows<T> rows{};
      rows.source = x + (image * shape_.h.size + taps.source) * x_row + first;
      rows.rows = next - i;
      rows.source_row = shape_.h.stride * x_row;
      rows.grad_row = y_row;
      rows.tap_rows = taps.taps;
      rows.row_step = taps.source_step * x_row;
      rows.sums = sums + taps.tap * sums_row() + first;
      rows.sums_row = sums_row();
      rows.runs = runs_.data();
      rows.run_count = runs_.size();
      rows.channels = channels;
      rows.groups = {group_, group_, 0, C};
      rows.grad = grad + i * y_row + first;
      kernels_.kernel_gradient(rows);
    }
  }

  Conv2dShape shape_;
  const Conv2dDepthwiseKernels<T>& kernels_;
  GatherAxis h_, w_;
  int64_t group_, width_;
  std::vector<DepthwiseColumns> runs_;
  int64_t rows_, splits_, channels_, channel_blocks_;
  int threads_;
};

}  // namespace

template <class T>
Buffer depthwise_kernel_gradient(const char* op, const Conv2dShape& s, const T* x, const T* grad) {
  const DepthwiseKernelGradient<T> run(s);
  auto [result, scratch] =
      allocate(op, {checked_bytes(op, "the result", s.kernel_dims(), sizeof(T)), run.scratch_bytes()});
  run.run(x, grad, result.template as<T>(), scratch.template as<T>());
  return std::move(result);
}

template Buffer depthwise_kernel_gradient<float>(const char*, const Conv2dShape&, const float*, const float*);
template Buffer depthwise_kernel_gradient<double>(const char*, const Conv2dShape&, const double*,
                                                  const double*);

}  // namespace konv::cpu
