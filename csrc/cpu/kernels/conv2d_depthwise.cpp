// Depthwise convolution: forward (also the gradient of x) and the gradient of the kernel; contracts:
// conv2d_depthwise.hpp.
#include "cpu/kernels/conv2d_depthwise.hpp"

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTilePixels = 4;  // independent sums hide the latency of a multiply-add
constexpr int kTileTaps = 9;    // accumulators of the gradient: a 3x3 kernel in one pass over the pixels

template <class T>
struct ForwardTile {
  const DepthwiseBlock<T>& b;
  int64_t first_pixel, c;
  template <int Pixels>
  void run() const {
    Vector<T> acc[Pixels] = {};
    for (int64_t t = 0; t < b.taps; ++t) {
      const Vector<T> w = load(b.weights + t * b.weights_pitch + c);
      const T* a = b.slab + b.tap[t] + c;
#pragma GCC unroll 4
      for (int i = 0; i < Pixels; ++i) acc[i] += load(a + b.pixel[first_pixel + i]) * w;
    }
    const int64_t count = b.channels - c;
    const bool whole = count >= kLanes<T>;
#pragma GCC unroll 4
    for (int i = 0; i < Pixels; ++i) {
      Vector<T> sum = acc[i];
      if (b.bias) sum += whole ? load(b.bias + c) : load_partial(b.bias + c, count);
      if (b.relu) sum = relu<T>(sum);
      T* y = b.y + b.out[first_pixel + i] + c;
      if (whole)
        store(y, sum);
      else
        store_partial(y, sum, count);
    }
  }
};

template <class T>
void forward(const DepthwiseBlock<T>& b) {
  for (int64_t p = 0; p < b.pixels; p += kTilePixels)
    for (int64_t c = 0; c < b.channels; c += kLanes<T>)
      with_rows<kTilePixels>(minimum(kTilePixels, b.pixels - p), ForwardTile<T>{b, p, c});
}

template <class T>
struct GradientTile {
  const DepthwiseGradientBlock<T>& b;
  int64_t first_tap, c;
  template <int Taps>
  void run() const {
    Vector<T> acc[Taps] = {};
    const int64_t count = b.channels - c;
    const bool whole = count >= kLanes<T>;
    for (int64_t p = 0; p < b.pixels; ++p) {
      const T* grad = b.grad + b.grad_pixel[p] + c;
      const Vector<T> g = whole ? load(grad) : load_partial(grad, count);
      const T* a = b.slab + b.pixel[p] + c;
#pragma GCC unroll 9
      for (int i = 0; i < Taps; ++i) acc[i] += load(a + b.tap[first_tap + i]) * g;
    }
#pragma GCC unroll 9
    for (int i = 0; i < Taps; ++i) {
      T* sum = b.sums + (first_tap + i) * b.sums_pitch + c;
      store(sum, b.accumulate ? load(sum) + acc[i] : acc[i]);
    }
  }
};

template <class T>
void kernel_gradient(const DepthwiseGradientBlock<T>& b) {
  for (int64_t c = 0; c < b.channels; c += kLanes<T>)
    for (int64_t t = 0; t < b.taps; t += kTileTaps)
      with_rows<kTileTaps>(minimum(kTileTaps, b.taps - t), GradientTile<T>{b, t, c});
}

template <class T>
constexpr Conv2dDepthwiseKernels<T> kKernels = {kLanes<T>, forward<T>, kernel_gradient<T>};

}  // namespace

extern const Conv2dDepthwiseKernels<float> kConv2dDepthwiseFloat32 = kKernels<float>;
extern const Conv2dDepthwiseKernels<double> kConv2dDepthwiseFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
