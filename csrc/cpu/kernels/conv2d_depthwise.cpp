// Depthwise convolution: forward (also the gradient of x), the gradient of the kernel, and the pixels of
// grouped convolutions spread over lanes; contracts: conv2d_depthwise.hpp.
#include "cpu/kernels/conv2d_depthwise.hpp"

#include "cpu/kernels/depthwise_forward.hpp"
#include "cpu/kernels/depthwise_kernel_gradient.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// A vector of lanes comes from one vector of x where they lie that close; it must not reach behind the pixel.
template <class T>
void spread(const SpreadPixels<T>& s) {
  typedef typename SignedOf<sizeof(T)>::Type Index;
  for (int64_t lane = 0; lane < s.lanes; lane += kLanes<T>) {
    const int64_t count = minimum(kLanes<T>, s.lanes - lane);
    const int64_t* index = s.index + lane;
    const int64_t base = minimum(index[0], s.channels - kLanes<T>);
    const T* x = s.x;
    T* to = s.spread + lane;
    if (count == kLanes<T> && base >= 0 && index[count - 1] < base + kLanes<T>) {
      Chunk<Index, kLanes<T>> from;
      for (int i = 0; i < kLanes<T>; ++i) from[i] = static_cast<Index>(index[i] - base);
      for (int64_t p = 0; p < s.pixels; ++p, x += s.x_pitch, to += s.pitch)
        store(to, permute<T>(load(x + base), from));
    } else {
      for (int64_t p = 0; p < s.pixels; ++p, x += s.x_pitch, to += s.pitch)
        for (int64_t i = 0; i < count; ++i) to[i] = x[index[i]];
    }
  }
}

template <class T>
constexpr Conv2dDepthwiseKernels<T> kKernels = {kLanes<T>, forward<T>, kernel_gradient<T>, spread<T>};

}  // namespace

extern const Conv2dDepthwiseKernels<float> kConv2dDepthwiseFloat32 = kKernels<float>;
extern const Conv2dDepthwiseKernels<double> kConv2dDepthwiseFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
