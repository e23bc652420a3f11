// The algorithms behind conv2d.hpp: the rows of the tables in conv2d_algorithms.cpp; arguments as in
// conv2d.hpp.
#pragma once

#include "cpu/conv2d.hpp"

namespace konv::cpu {

template <class T>
Buffer direct_forward(const char* op, const Conv2dShape&, const T* x, const T* kernel, const T* bias,
                      bool relu);
template <class T>
Buffer direct_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                             const T* bias);
template <class T>
Buffer direct_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

template <class T>
Buffer few_channels_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                   const T* bias);

template <class T>
Buffer depthwise_forward(const char* op, const Conv2dShape&, const T* x, const T* kernel, const T* bias,
                         bool relu);
template <class T>
Buffer depthwise_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                const T* bias);
template <class T>
Buffer depthwise_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

template <class T>
Buffer reference_forward(const char* op, const Conv2dShape&, const T* x, const T* kernel, const T* bias,
                         bool relu);
template <class T>
Buffer reference_input_gradient(const char* op, const Conv2dShape&, const T* grad, const T* kernel,
                                const T* bias);
template <class T>
Buffer reference_kernel_gradient(const char* op, const Conv2dShape&, const T* x, const T* grad);

}  // namespace konv::cpu
