// Depthwise convolution with one filter a channel: gradient of the kernel.
//
// Every tap of every channel is a sum over all pixels. Images are cut into bands of rows, and the bands of
// all images into splits, by the shape alone; a split adds its bands in order, and the splits are added in
// order.
#include <algorithm>
#include <cmath>

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
constexpr int64_t kBandBytes = 256 << 10;  // of image and gradient: with those of the next, half of L2
constexpr int64_t kTasks = 8;              // with fewer splits, channels are shared out too

template <class T>
class DepthwiseKernelGradient {
 public:
  explicit DepthwiseKernelGradient(const Conv2dShape& shape)
      : shape_(shape),
        kernels_(*kernels<T>().conv2d_depthwise),
        group_(shape.group_filters()),
        x_row_(shape.w.size * shape.C),
        y_row_(shape.w.out * shape.C) {
    const GatherAxis h = forward_axis(forward_taps(shape.h)), w = forward_axis(forward_taps(shape.w));
    width_ = group_ == 1 ? merged_pixels(shape.C, w, kernels_.lanes) : 1;
    columns_ = spans_of(w, {0, w.results}, {shape.C, tap_size(), shape.C}, width_);
    const int64_t most_splits =
        std::clamp<int64_t>(shape.N * shape.h.out * shape.w.out / kSplitPixels, 1, kSplits);
    channels_ =
        width_ > 1 ? shape.C : channels_of_block(shape.C, group_, ceil_div(kTasks, most_splits), sizeof(T));
    channel_blocks_ = ceil_div(shape.C, channels_);
    const double image_bytes =
        static_cast<double>(shape.h.size * x_row_ + shape.h.out * y_row_) / shape.C * channels_ * sizeof(T);
    const int64_t bands =
        std::min<int64_t>(shape.h.out, static_cast<int64_t>(std::ceil(image_bytes / kBandBytes)));
    for (int64_t i = 0; i < bands; ++i)
      bands_.push_back(
          spans_of(h, {h.results * i / bands, h.results * (i + 1) / bands}, {x_row_, sums_row(), y_row_}));
    all_bands_ = shape.N * bands;
    splits_ = std::clamp<int64_t>(most_splits, 1, std::max<int64_t>(1, all_bands_));
    threads_ = threads_for(splits_ * channel_blocks_, shape.flops() / kFlopsPerNanosecond);
  }

  int64_t scratch_bytes() const {
    return in_place() ? 0 : splits_ * sums_size() * static_cast<int64_t>(sizeof(T));
  }

  void run(const T* x, const T* grad, T* grad_kernel, T* sums) const {
    if (in_place()) sums = grad_kernel;
    std::vector<int64_t> fetched(threads_, -1);  // the task whose first band a thread has fetched
    parallel_for_own(threads_, tasks(), Order::kUp, [&](int64_t task, int thread) {
      run_task(x, grad, sums, task, fetched[thread] == task);
      fetched[thread] = task + 1;
    });
    if (!in_place()) add_splits(grad_kernel, sums);
  }

 private:
  // A band of an image and a block of channels.
  struct Part {
    int64_t image, band, first, channels;
  };

  // (tap row, tap column, channel of a group): a row of the kernel holds all filters.
  int64_t kernel_rows() const { return shape_.h.window * shape_.w.window * group_; }
  int64_t tap_size() const { return group_ * width_ * shape_.C; }
  int64_t sums_row() const { return shape_.w.window * tap_size(); }
  int64_t sums_size() const { return shape_.h.window * sums_row(); }
  bool in_place() const { return splits_ == 1 && width_ == 1; }

  int64_t tasks() const { return splits_ * channel_blocks_; }
  int64_t first_band(int64_t split) const { return all_bands_ * split / splits_; }

  Part part_of(int64_t task, int64_t band) const {
    const int64_t first = task % channel_blocks_ * channels_, bands = bands_.size();
    return {band / bands, band % bands, first, std::min(channels_, shape_.C - first)};
  }

  void run_task(const T* x, const T* grad, T* sums, int64_t task, bool fetched) const {
    const int64_t split = task / channel_blocks_, begin = first_band(split), end = first_band(split + 1);
    sums += split * sums_size();
    const Part all = part_of(task, 0);
    for (int64_t row = 0; row < kernel_rows() * width_; ++row)
      std::fill_n(sums + row * shape_.C + all.first, all.channels, T{0});
    for (int64_t band = begin; band < end; ++band) {
      const Part part = part_of(task, band);
      const std::vector<DepthwiseSpan>& rows = bands_[part.band];
      DepthwiseGradientBlock<T> block{};
      block.source = x + part.image * shape_.h.size * x_row_ + part.first;
      block.grad = grad + part.image * shape_.h.out * y_row_ + part.first;
      block.sums = sums + part.first;
      block.spans = {rows.data(), columns_.data(), static_cast<int64_t>(rows.size()),
                     static_cast<int64_t>(columns_.size())};
      block.channels = part.channels;
      block.groups = {group_, group_, 0, shape_.C};
      if (band == begin && !fetched) block.before = source_of(x, part);
      if (band + 1 < end || task + 1 < tasks()) {
        const Part next = band + 1 < end ? part_of(task, band + 1)
                                         : part_of(task + 1, first_band((task + 1) / channel_blocks_));
        block.source_ahead = source_of(x, next);
        block.grad_ahead = grad_of(grad, next);
      }
      kernels_.kernel_gradient(block);
    }
  }

  // What a part reads.
  MemoryAhead<T> source_of(const T* x, const Part& part) const {
    const AxisRange sources = sources_of(bands_[part.band], x_row_);
    return channels_ahead(x + part.image * shape_.h.size * x_row_ + sources.first + part.first,
                          sources.last - sources.first, part.channels, shape_.C);
  }
  MemoryAhead<T> grad_of(const T* grad, const Part& part) const {
    const int64_t bands = bands_.size();
    const int64_t first = shape_.h.out * part.band / bands, last = shape_.h.out * (part.band + 1) / bands;
    return channels_ahead(grad + (part.image * shape_.h.out + first) * y_row_ + part.first,
                          (last - first) * y_row_, part.channels, shape_.C);
  }

  void add_splits(T* grad_kernel, const T* sums) const {
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

  Conv2dShape shape_;
  const Conv2dDepthwiseKernels<T>& kernels_;
  int64_t group_, x_row_, y_row_, width_;
  std::vector<DepthwiseSpan> columns_;
  int64_t channels_, channel_blocks_;
  std::vector<std::vector<DepthwiseSpan>> bands_;  // their rows
  int64_t all_bands_, splits_;
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
