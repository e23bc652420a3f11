// Depthwise convolution: forward (also the gradient of x) and the gradient of the kernel; contracts:
// conv2d_depthwise.hpp.
#include "cpu/kernels/conv2d_depthwise.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTileColumns = 4;  // independent sums hide the latency of a multiply-add
constexpr int kTileTaps = 9;     // accumulators of the gradient: a 3x3 kernel in one pass over the row

// ---- forward ----

// Columns results by Lanes channels. With Taps and Stride known, a row of taps keeps its weights in registers
// and loads each pixel once for all results that read it; Taps = 0 takes any run.
template <class T, int Lanes, int Taps, int Stride>
struct ForwardTile {
  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  int64_t first, c;

  template <int Columns>
  void run() const {
    using V = Chunk<T, Lanes>;
    V acc[Columns] = {};
    const T* x = row.source + run_.source + first * run_.source_step + c;
    const T* w = row.weights + run_.weights + c;
    for (int64_t r = 0; r < row.tap_rows; ++r, x += row.row_step, w += row.weights_row_step) {
      if constexpr (Taps > 0) {
        V weights[Taps];
#pragma GCC unroll 8
        for (int s = 0; s < Taps; ++s) weights[s] = load_chunk<Lanes>(w + s * run_.weights_step);
#pragma GCC unroll 32
        for (int i = 0; i < (Columns - 1) * Stride + Taps; ++i) {
          const V pixel = load_chunk<Lanes>(x + i * run_.tap_step);
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j)
            if (i >= j * Stride && i < j * Stride + Taps) acc[j] += pixel * weights[i - j * Stride];
        }
      } else {
        for (int64_t s = 0; s < run_.taps; ++s) {
          const V weight = load_chunk<Lanes>(w + s * run_.weights_step);
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j)
            acc[j] += load_chunk<Lanes>(x + s * run_.tap_step + j * run_.source_step) * weight;
        }
      }
    }
    T* y = row.result + run_.result + first * run_.result_step + c;
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j, y += run_.result_step) {
      V sum = acc[j];
      if (row.bias) sum += load_chunk<Lanes>(row.bias + c);
      if (row.relu) sum = sum <= 0 ? V{} : sum;
      if constexpr (Lanes == kLanes<T>) {
        if (row.streamed) {
          stream(y, sum);
          continue;
        }
      }
      store_chunk(y, sum);
    }
  }
};

template <class T, int Lanes, int Taps, int Stride>
KONV_INLINE void forward_run(const DepthwiseRow<T>& row, const DepthwiseColumns& run) {
  const int64_t channels = row.channels * run.width;
  for (int64_t i = 0; i < run.columns; i += kTileColumns)
    for (int64_t c = 0; c < channels; c += Lanes)
      with_rows<kTileColumns>(minimum(kTileColumns, run.columns - i),
                              ForwardTile<T, Lanes, Taps, Stride>{row, run, i, minimum(c, channels - Lanes)});
}

template <class T>
struct ForwardRun {
  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  template <int Lanes>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (run_.taps == 3 && run_.source_step == run_.tap_step) return forward_run<T, Lanes, 3, 1>(row, run_);
      if (run_.taps == 3 && run_.source_step == 2 * run_.tap_step)
        return forward_run<T, Lanes, 3, 2>(row, run_);
    }
    forward_run<T, Lanes, 0, 0>(row, run_);
  }
};

template <class T>
void forward(const DepthwiseRow<T>& row) {
  for (int64_t i = 0; i < row.run_count; ++i)
    with_lanes<T>(row.channels * row.runs[i].width, ForwardRun<T>{row, row.runs[i]});
  if (row.streamed) stream_fence();
}

// ---- gradient of the kernel ----

// Adds the lanes from `fresh` on: those before were added with the chunk before.
template <class T, int Lanes>
KONV_INLINE void add_chunk(T* sum, Chunk<T, Lanes> addend, int64_t fresh) {
  if (fresh == 0) return store_chunk(sum, load_chunk<Lanes>(sum) + addend);
  T lanes[Lanes];
  store_chunk(lanes, addend);
  for (int64_t i = fresh; i < Lanes; ++i) sum[i] += lanes[i];
}

// Taps taps, counted from `first` over rows and columns of taps, by Lanes channels.
template <class T, int Lanes>
struct GradientTile {
  const DepthwiseGradientRow<T>& row;
  const DepthwiseColumns& run_;
  int64_t first, c, fresh;

  template <int Taps>
  void run() const {
    using V = Chunk<T, Lanes>;
    const T* x[Taps];
    T* sum[Taps];
    int64_t r = first / run_.taps, s = first % run_.taps;
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) {
      x[t] = row.source + run_.source + r * row.row_step + s * run_.tap_step + c;
      sum[t] = row.sums + run_.weights + r * row.sums_row_step + s * run_.weights_step + c;
      if (++s == run_.taps) s = 0, ++r;
    }
    const T* grad = row.grad + run_.result + c;
    V acc[Taps] = {};
    for (int64_t i = 0; i < run_.columns; ++i) {
      const V g = load_chunk<Lanes>(grad + i * run_.result_step);
      const int64_t at = i * run_.source_step;
#pragma GCC unroll 9
      for (int t = 0; t < Taps; ++t) acc[t] += load_chunk<Lanes>(x[t] + at) * g;
    }
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) add_chunk<T, Lanes>(sum[t], acc[t], fresh);
  }
};

template <class T>
struct GradientRun {
  const DepthwiseGradientRow<T>& row;
  const DepthwiseColumns& run_;
  template <int Lanes>
  void run() const {
    const int64_t taps = row.tap_rows * run_.taps, channels = row.channels * run_.width;
    for (int64_t c = 0; c < channels; c += Lanes) {
      const int64_t begin = minimum(c, channels - Lanes);
      for (int64_t t = 0; t < taps; t += kTileTaps)
        with_rows<kTileTaps>(minimum(kTileTaps, taps - t),
                             GradientTile<T, Lanes>{row, run_, t, begin, c - begin});
    }
  }
};

template <class T>
void kernel_gradient(const DepthwiseGradientRow<T>& row) {
  for (int64_t i = 0; i < row.run_count; ++i)
    with_lanes<T>(row.channels * row.runs[i].width, GradientRun<T>{row, row.runs[i]});
}

template <class T>
constexpr Conv2dDepthwiseKernels<T> kKernels = {kLanes<T>, forward<T>, kernel_gradient<T>};

}  // namespace

extern const Conv2dDepthwiseKernels<float> kConv2dDepthwiseFloat32 = kKernels<float>;
extern const Conv2dDepthwiseKernels<double> kConv2dDepthwiseFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
