// Depthwise convolution with one filter a channel: forward, gradient of x, gradient of the kernel.
//
// There is no reduction over channels, so vectors run over channels and every pass is bound by memory. Slabs
// and blocks are those of the direct algorithm.
#include <algorithm>

#include "cpu/carver.hpp"
#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/isa.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockPixels = 112;
constexpr int64_t kChannels = 64;       // of a slab: with a 3x3 halo about 64 KiB of float32
constexpr int64_t kGradientTasks = 16;  // splits of the gradient of the kernel fill up to about as many

template <class T>
struct DepthwiseScratch {
  T* slab;
  int64_t* pixel;
  int64_t* out;
  BlockTables tables;
};

// What both passes share: the plan, the tables and the slab of a block.
template <class T>
class DepthwiseBlocks {
 public:
  explicit DepthwiseBlocks(const ConvProblem& problem)
      : problem_(problem),
        direct_(*kernels<T>().conv2d_direct),
        depthwise_(*kernels<T>().conv2d_depthwise),
        channels_(problem.groups),
        padded_channels_(ceil_div(channels_, depthwise_.lanes) * depthwise_.lanes),
        plan_(make_slab_plan(problem.h, problem.w, padded_channels_, false, kBlockPixels, kChannels, 0,
                             sizeof(T))),
        taps_(plan_.tap_offsets()),
        channel_blocks_(ceil_div(padded_channels_, plan_.channels)) {}

  int64_t image_blocks() const { return plan_.block_rows * plan_.block_columns; }

  DepthwiseScratch<T> carve_thread(Carver& carver) const {
    DepthwiseScratch<T> s{};
    s.slab = carver.take<T>(plan_.elements());
    s.pixel = carver.take<int64_t>(plan_.pixels());
    s.out = carver.take<int64_t>(plan_.pixels());
    s.tables.row_index = carver.take<int64_t>(plan_.slab_h.positions);
    s.tables.runs = carver.take<ColumnRun>(plan_.slab_w.positions);
    return s;
  }

  // Fills slab and tables; returns the number of pixels. `out` are offsets of y within an image.
  int64_t prepare(const T* x, int64_t image, int64_t block, int64_t channel_block,
                  DepthwiseScratch<T>& s) const {
    fill_block_tables(plan_, block, s.tables);
    pack_block(plan_, s.tables, direct_, x + image * problem_.x_image + channel_block * plan_.channels,
               problem_.x_row, problem_.x_column, channels_of(channel_block), s.slab);
    return fill_pixels(plan_, s.tables, problem_.y_row, problem_.y_column, s.pixel, s.out);
  }

  int64_t channels_of(int64_t channel_block) const {
    return std::min(plan_.channels, channels_ - channel_block * plan_.channels);
  }

 protected:
  ConvProblem problem_;
  const Conv2dDirectKernels<T>& direct_;
  const Conv2dDepthwiseKernels<T>& depthwise_;
  int64_t channels_, padded_channels_;
  SlabPlan plan_;
  std::vector<int64_t> taps_;
  int64_t channel_blocks_;
};

template <class T>
class DepthwiseRun : DepthwiseBlocks<T> {
  using Base = DepthwiseBlocks<T>;
  using Base::channel_blocks_, Base::channels_, Base::padded_channels_, Base::plan_, Base::problem_,
      Base::taps_;

 public:
  explicit DepthwiseRun(const ConvProblem& problem)
      : Base(problem), threads_(threads_for(kMaxThreads, problem.nanoseconds())) {}

  int64_t packed_bytes() const { return plan_.taps * padded_channels_ * sizeof(T); }

  // packed[tap][channel], taps in the order of the plan
  void pack(const T* kernel, T* packed) const {
    for (int64_t r = 0; r < problem_.h.taps; ++r)
      for (int64_t s = 0; s < problem_.w.taps; ++s, packed += padded_channels_) {
        const T* from = kernel + (problem_.h.first_tap + r * problem_.h.tap_stride) * problem_.kernel_row +
                        (problem_.w.first_tap + s * problem_.w.tap_stride) * problem_.kernel_column;
        std::copy(from, from + channels_, packed);
      }
  }

  int64_t scratch_bytes() const {
    Carver one;
    Base::carve_thread(one);
    return threads_ * one.bytes();
  }

  void run(const T* x, const T* packed, const T* bias, bool relu, T* y, void* scratch) const {
    Carver one;
    Base::carve_thread(one);
    const int64_t blocks = Base::image_blocks();
    parallel_for(threads_, problem_.images * blocks * channel_blocks_, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + thread * one.bytes());
      DepthwiseScratch<T> s = Base::carve_thread(own);
      const int64_t channel_block = task % channel_blocks_, block = task / channel_blocks_ % blocks,
                    image = task / channel_blocks_ / blocks;
      const int64_t first = channel_block * plan_.channels;
      DepthwiseBlock<T> b{};
      b.pixels = Base::prepare(x, image, block, channel_block, s);
      b.slab = s.slab;
      b.pixel = s.pixel;
      b.out = s.out;
      b.tap = taps_.data();
      b.taps = plan_.taps;
      b.weights = packed + first;
      b.weights_pitch = padded_channels_;
      b.channels = Base::channels_of(channel_block);
      b.y = y + image * problem_.y_image + first;
      b.bias = bias ? bias + first : nullptr;
      b.relu = relu;
      Base::depthwise_.forward(b);
    });
  }

 private:
  int threads_;
};

template <class T>
class DepthwiseGradientRun : DepthwiseBlocks<T> {
  using Base = DepthwiseBlocks<T>;
  using Base::channel_blocks_, Base::channels_, Base::padded_channels_, Base::plan_, Base::problem_,
      Base::taps_;

 public:
  explicit DepthwiseGradientRun(const ConvProblem& problem)
      : Base(problem),
        blocks_(problem.images * Base::image_blocks()),
        splits_(std::clamp<int64_t>(kGradientTasks / channel_blocks_, 1, std::max<int64_t>(1, blocks_))),
        threads_(threads_for(channel_blocks_ * splits_, problem.nanoseconds())) {}

  int64_t scratch_bytes() const {
    Carver sums, one;
    sums.take<T>(splits_ * sums_size());
    Base::carve_thread(one);
    return sums.bytes() + threads_ * one.bytes();
  }

  void run(const T* x, const T* grad, const Conv2dShape& shape, T* grad_kernel, void* scratch) const {
    Carver shared(scratch), one;
    T* sums = shared.take<T>(splits_ * sums_size());
    std::fill(sums, sums + splits_ * sums_size(), T{0});
    Base::carve_thread(one);
    parallel_for(threads_, channel_blocks_ * splits_, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + shared.bytes() + thread * one.bytes());
      DepthwiseScratch<T> s = Base::carve_thread(own);
      const int64_t channel_block = task % channel_blocks_, split = task / channel_blocks_;
      const int64_t first = channel_block * plan_.channels;
      for (int64_t block = blocks_ * split / splits_; block < blocks_ * (split + 1) / splits_; ++block) {
        const int64_t image = block / Base::image_blocks();
        DepthwiseGradientBlock<T> b{};
        b.pixels = Base::prepare(x, image, block % Base::image_blocks(), channel_block, s);
        b.slab = s.slab;
        b.pixel = s.pixel;
        b.grad = grad + image * problem_.y_image + first;
        b.grad_pixel = s.out;
        b.tap = taps_.data();
        b.taps = plan_.taps;
        b.channels = Base::channels_of(channel_block);
        b.sums = sums + split * sums_size() + first;
        b.sums_pitch = padded_channels_;
        b.accumulate = true;
        Base::depthwise_.kernel_gradient(b);
      }
    });
    // Taps that only meet padding keep a gradient of zero; the splits are added in order.
    std::fill(grad_kernel, grad_kernel + shape.kernel_size(), T{0});
    for (int64_t split = 0; split < splits_; ++split)
      for (int64_t r = 0; r < problem_.h.taps; ++r)
        for (int64_t t = 0; t < problem_.w.taps; ++t) {
          const T* from = sums + split * sums_size() + (r * problem_.w.taps + t) * padded_channels_;
          T* to = grad_kernel +
                  ((problem_.h.first_tap + r) * shape.w.window + problem_.w.first_tap + t) * channels_;
          for (int64_t c = 0; c < channels_; ++c) to[c] += from[c];
        }
  }

 private:
  int64_t sums_size() const { return plan_.taps * padded_channels_; }

  int64_t blocks_, splits_;
  int threads_;
};

}  // namespace

template <class T>
ForwardAlgorithm<T> depthwise_forward() {
  return kForwardAlgorithm<DepthwiseRun<T>, T>;
}

template <class T>
Buffer depthwise_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                                const T* bias) {
  return run_input_gradient<DepthwiseRun<T>>(op, s, grad, kernel, bias);
}

template <class T>
Buffer depthwise_kernel_gradient(const char* op, const Conv2dShape& s, const T* x, const T* grad) {
  const DepthwiseGradientRun<T> run(forward_problem(s));
  auto [result, scratch] =
      allocate(op, {checked_bytes(op, "the result", s.kernel_dims(), sizeof(T)), run.scratch_bytes()});
  run.run(x, grad, s, result.template as<T>(), scratch.data());
  return std::move(result);
}

#define KONV_INSTANTIATE(T)                                                                        \
  template ForwardAlgorithm<T> depthwise_forward<T>();                                             \
  template Buffer depthwise_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, \
                                              const T*);                                           \
  template Buffer depthwise_kernel_gradient<T>(const char*, const Conv2dShape&, const T*, const T*);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
