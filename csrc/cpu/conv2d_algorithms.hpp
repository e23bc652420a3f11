// The algorithms behind conv2d.hpp: the rows of the tables in conv2d_algorithms.cpp; arguments as in
// conv2d.hpp.
#pragma once

#include "core/conv2d_shape.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

// What becomes of the sums of a convolution: the bias (a value a filter) and then the addend (of the shape of
// y) are added, each if it isn't null, then ReLU. The bits are those of three passes.
template <class T>
struct Epilogue {
  const T* bias;
  const T* addend;
  bool relu;
};

// A forward pass, whole or in its two steps. The packed kernel is in the algorithm's own form, for one shape
// but any number of images.
template <class T>
struct ForwardAlgorithm {
  Buffer (*forward)(const char* op, const Conv2dShape&, const T* x, const T* kernel, const Epilogue<T>&);
  Buffer (*pack)(const char* op, const Conv2dShape&, const T* kernel);
  Buffer (*packed_forward)(const char* op, const Conv2dShape&, const T* x, const T* packed,
                           const Epilogue<T>&);
  bool adds;  // else an epilogue has no addend
};

template <class T>
ForwardAlgorithm<T> direct_forward();
template <class T>
Buffer direct_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                             const T* bias);
template <class T>
Buffer direct_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

template <class T>
Buffer few_channels_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                   const T* bias);

ForwardAlgorithm<float> winograd_forward();
Buffer winograd_input_gradient(const char* op, const Conv2dShape&, const float* grad, const float* kernel,
                               const float* bias);

// 3x3 with stride 2 along both axes.
ForwardAlgorithm<float> winograd_strided_forward();
Buffer winograd_strided_input_gradient(const char* op, const Conv2dShape&, const float* grad,
                                       const float* kernel, const float* bias);

// With a stride, ceil(R / stride) = ceil(S / stride) of 3 to 5 along both axes, groups 1, no dilation.
ForwardAlgorithm<float> winograd_space_to_depth_forward();
Buffer winograd_space_to_depth_input_gradient(const char* op, const Conv2dShape&, const float* grad,
                                              const float* kernel, const float* bias);
Buffer winograd_space_to_depth_kernel_gradient(const char* op, const Conv2dShape&, const float* x,
                                               const float* grad);

template <class T>
ForwardAlgorithm<T> depthwise_forward();
template <class T>
Buffer depthwise_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                const T* bias);
template <class T>
Buffer depthwise_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

// Float32 with a 3x3, 4x4 or 5x5 kernel, without stride and dilation.
Buffer winograd_kernel_gradient(const char* op, const Conv2dShape&, const float* x, const float* grad);

// 3x3 with stride 2 along both axes.
Buffer winograd_strided_kernel_gradient(const char* op, const Conv2dShape&, const float* x,
                                        const float* grad);

template <class T>
ForwardAlgorithm<T> grouped_forward();
template <class T>
Buffer grouped_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                              const T* bias);
template <class T>
Buffer grouped_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

template <class T>
ForwardAlgorithm<T> reference_forward();
template <class T>
Buffer reference_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                const T* bias);
template <class T>
Buffer reference_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

}  // namespace konv::cpu
