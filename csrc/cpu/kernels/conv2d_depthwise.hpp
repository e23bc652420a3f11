// Contracts of the depthwise convolution kernels: one filter a channel, vectors run over channels.
//
// Slab, pixels and taps are those of conv2d_direct.hpp; the pitch of the slab and of weights is a whole
// number of vectors, so that only x, y and gradients have tails. Lanes behind `channels` may hold anything.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// y[out[p] + c] = sum over taps t of slab[pixel[p] + tap[t] + c] * weights[t][c], then bias, then ReLU.
template <class T>
struct DepthwiseBlock {
  const T* slab;
  const int64_t* pixel;
  const int64_t* out;
  int64_t pixels;
  const int64_t* tap;
  int64_t taps;
  const T* weights;
  int64_t weights_pitch, channels;
  T* y;
  const T* bias;
  bool relu;
};

// sums[t][c] (+)= sum over pixels p of slab[pixel[p] + tap[t] + c] * grad[grad_pixel[p] + c]
template <class T>
struct DepthwiseGradientBlock {
  const T* slab;
  const int64_t* pixel;
  const T* grad;
  const int64_t* grad_pixel;
  int64_t pixels;
  const int64_t* tap;
  int64_t taps, channels;
  T* sums;
  int64_t sums_pitch;
  bool accumulate;
};

template <class T>
struct Conv2dDepthwiseKernels {
  int lanes;
  void (*forward)(const DepthwiseBlock<T>&);
  void (*kernel_gradient)(const DepthwiseGradientBlock<T>&);
};

}  // namespace konv::cpu
