// Depthwise convolution with one filter a channel, or a few in groups: forward and gradient of x.
//
// There is no reduction over channels, so vectors run over channels, and the pass is bound by memory: bands
// of the result are computed straight from the image, which is fetched a band ahead and read once from
// memory. Images, rows and channels are independent, so no result depends on how they are shared out.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_depthwise_plan.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/isa.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

template <class T>
class DepthwiseRun {
 public:
  explicit DepthwiseRun(const ConvProblem& p) : DepthwiseRun(p, forward_axis(p.h), forward_axis(p.w)) {}

  // The problem says how many images, groups and channels there are, and how the kernel lies.
  DepthwiseRun(const ConvProblem& problem, const GatherAxis& h, const GatherAxis& w)
      : kernels_(*kernels<T>().conv2d_depthwise),
        problem_(problem),
        channels_(problem.groups * problem.filters),
        h_(h),
        w_(w),
        width_(problem.filters == 1 ? merged_pixels(channels_, w_, kernels_.lanes) : 1),
        tap_pitch_(width_ * problem.channels * channels_),
        row_pitch_(problem.kernel_row / problem.kernel_column * tap_pitch_),
        columns_(spans_of(w_, {0, w_.results}, {channels_, tap_pitch_, channels_}, width_)),
        tasks_(problem.images, channels_, problem.filters, h_, w_, width_, sizeof(T)) {
    const SpanPitch pitch{w_.sources * channels_, row_pitch_, w_.results * channels_};
    for (int64_t band = 0; band < tasks_.bands; ++band)
      rows_.push_back(spans_of(h_, tasks_.rows_of(band), pitch));
  }

  int64_t packed_bytes() const { return h_.last_tap() * row_pitch_ * sizeof(T); }

  // packed[tap row][tap column][source][merged pixel][channel]
  void pack(const T* kernel, T* packed) const {
    const int64_t taps = h_.last_tap() * row_pitch_ / tap_pitch_;
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t k = 0; k < problem_.channels; ++k, packed += width_ * channels_) {
        const T* from = kernel + tap * problem_.kernel_column + k * problem_.kernel_channel;
        T* to = packed;
        for (int64_t g = 0; g < problem_.groups; ++g)
          for (int64_t f = 0; f < problem_.filters; ++f)
            *to++ = from[g * problem_.kernel_group + f * problem_.kernel_filter];
        for (int64_t i = 1; i < width_; ++i, to += channels_) std::copy(packed, packed + channels_, to);
      }
  }

  // Unless pixels are merged, or channels and filters of groups exchanged, the kernel has that form already.
  bool packs_late() const { return width_ == 1 && (problem_.filters == 1 || problem_.kernel_filter == 1); }
  void run_late(const T* x, const T* kernel, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    run(x, kernel, epilogue, y, scratch);
  }

  int64_t scratch_bytes() const { return width_ * channels_ * sizeof(T); }

  static constexpr bool kAdds = false;

  void run(const T* x, const T* packed, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    const T* biases = epilogue.bias;
    if (biases && width_ > 1) biases = repeat(biases, static_cast<T*>(scratch));
    const int64_t x_image = h_.sources * w_.sources * channels_,
                  y_image = h_.results * w_.results * channels_;
    const bool streamed =
        worth_streaming(problem_.images * (x_image + y_image) * static_cast<int64_t>(sizeof(T))) &&
        channels_ % kernels_.lanes == 0;
    std::vector<int64_t> fetched(tasks_.threads, -1);  // the task whose sources a thread has fetched
    parallel_for_own(tasks_.threads, tasks_.count(), Order::kUp, [&](int64_t task, int thread) {
      const Task t = task_of(task);
      DepthwiseBlock<T> block{};
      block.source = x + t.image * x_image + t.first;
      block.weights = packed + t.first;
      block.result = y + t.image * y_image + t.first;
      block.spans = {rows_[t.band].data(), columns_.data(), static_cast<int64_t>(rows_[t.band].size()),
                     static_cast<int64_t>(columns_.size())};
      block.channels = t.channels;
      block.groups = {problem_.filters, problem_.channels, 0, channels_};
      block.bias = biases ? biases + t.first : nullptr;
      block.relu = epilogue.relu;
      block.streamed = streamed;
      if (fetched[thread] != task) block.before = read_by(x, t);
      if (task + 1 < tasks_.count()) block.ahead = read_by(x, task_of(task + 1));
      fetched[thread] = task + 1;
      kernels_.forward(block);
    });
  }

 private:
  struct Task {
    int64_t image, band, first, channels;
  };

  Task task_of(int64_t task) const {
    const int64_t first = task % tasks_.channel_blocks * tasks_.channels;
    const int64_t band = task / tasks_.channel_blocks;
    return {band / tasks_.bands, band % tasks_.bands, first, std::min(tasks_.channels, channels_ - first)};
  }

  MemoryAhead<T> read_by(const T* x, const Task& t) const {
    const AxisRange sources = sources_of(rows_[t.band], w_.sources * channels_);
    x += t.image * h_.sources * w_.sources * channels_ + sources.first + t.first;
    return channels_ahead(x, sources.last - sources.first, t.channels, channels_);
  }

  // A vector over channels, once for each merged pixel.
  const T* repeat(const T* from, T* to) const {
    for (int64_t i = 0; i < width_; ++i) std::copy(from, from + channels_, to + i * channels_);
    return to;
  }

  const Conv2dDepthwiseKernels<T>& kernels_;
  ConvProblem problem_;
  int64_t channels_;
  GatherAxis h_, w_;
  int64_t width_, tap_pitch_, row_pitch_;
  std::vector<DepthwiseSpan> columns_;
  DepthwiseTasks tasks_;
  std::vector<std::vector<DepthwiseSpan>> rows_;  // of each band
};

}  // namespace

template <class T>
ForwardAlgorithm<T> depthwise_forward() {
  return kForwardAlgorithm<DepthwiseRun<T>, T>;
}

template <class T>
Buffer depthwise_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                                const T* bias) {
  const DepthwiseRun<T> run(input_gradient_problem(s), input_gradient_axis(s.h), input_gradient_axis(s.w));
  return run_alone(op, run, s.x_dims(), grad, kernel, {bias, nullptr, false});
}

#define KONV_INSTANTIATE(T)                            \
  template ForwardAlgorithm<T> depthwise_forward<T>(); \
  template Buffer depthwise_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, const T*);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
