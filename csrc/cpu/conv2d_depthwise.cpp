// Depthwise convolution with one filter a channel, or a few in groups: forward and gradient of x.
//
// There is no reduction over channels, so vectors run over channels, and the pass is bound by memory: rows of
// the result are computed straight from the image, which is read once, since the rows that a window spans
// stay in cache. Images, rows and channels are independent, so no result depends on how they are shared out.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_depthwise_plan.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/isa.hpp"
#include "cpu/streaming.hpp"

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
        runs_(column_runs(w_, {channels_, tap_pitch_, channels_}, width_)),
        tasks_(problem.images, channels_, problem.filters, h_, w_, width_, sizeof(T)) {}

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
    const int64_t x_row = w_.sources * channels_, y_row = w_.results * channels_;
    const int64_t rows = problem_.images * h_.results;
    const bool streamed = worth_streaming(problem_.images * (h_.sources * x_row + h_.results * y_row) *
                                          static_cast<int64_t>(sizeof(T))) &&
                          channels_ % kernels_.lanes == 0;
    parallel_for(tasks_.threads, tasks_.count(), [&](int64_t task, int) {
      const int64_t first = task % tasks_.channel_blocks * tasks_.channels;
      const int64_t band = task / tasks_.channel_blocks;
      const int64_t begin = rows * band / tasks_.bands;
      for (int64_t i = begin; i < rows * (band + 1) / tasks_.bands; ++i) {
        const LiveTaps taps = h_.taps_of(i % h_.results);
        DepthwiseRow<T> row{};
        row.source = x + (i / h_.results * h_.sources + taps.source) * x_row + first;
        row.tap_rows = taps.taps;
        row.row_step = taps.source_step * x_row;
        row.weights = packed + taps.tap * row_pitch_ + first;
        row.weights_row_step = taps.tap_step * row_pitch_;
        row.runs = runs_.data();
        row.run_count = runs_.size();
        row.channels = std::min(tasks_.channels, channels_ - first);
        row.result = y + i * y_row + first;
        row.groups = {problem_.filters, problem_.channels, 0, channels_};
        row.bias = biases ? biases + first : nullptr;
        row.relu = epilogue.relu;
        row.streamed = streamed;
        if (i == begin)
          row.before = rows_ahead(x + first, first_source(i), last_source(std::min(i + 1, rows - 1)) + 1,
                                  row.channels);
        if (i + 2 < rows)
          row.ahead = rows_ahead(x + first, last_source(i + 1) + 1, last_source(i + 2) + 1, row.channels);
        kernels_.forward(row);
      }
    });
  }

 private:
  // The first and the last of all images' rows that a row of results reads.
  int64_t first_source(int64_t i) const {
    return i / h_.results * h_.sources + h_.taps_of(i % h_.results).source;
  }
  int64_t last_source(int64_t i) const {
    const LiveTaps taps = h_.taps_of(i % h_.results);
    return i / h_.results * h_.sources + taps.source + std::max<int64_t>(0, taps.taps - 1) * taps.source_step;
  }

  // Rows [begin, end) of a block of channels.
  MemoryAhead<T> rows_ahead(const T* x, int64_t begin, int64_t end, int64_t channels) const {
    const int64_t pixels = std::max<int64_t>(0, end - begin) * w_.sources;
    x += begin * w_.sources * channels_;
    if (channels == channels_) return {x, 1, pixels * channels, 0};
    return {x, pixels, channels, channels_};
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
  std::vector<DepthwiseColumns> runs_;
  DepthwiseTasks tasks_;
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
