// The algorithms behind conv2d.hpp: one row each in the table of conv2d_algorithms.cpp.
#pragma once

#include "cpu/conv2d.hpp"

namespace konv::cpu {

// The three passes of one algorithm; arguments as in conv2d.hpp.
template <class T>
struct Conv2dPasses {
  Buffer (*forward)(const char* op, const Conv2dShape&, const T* x, const T* kernel, const T* bias,
                    bool relu);
  Buffer (*input_gradient)(const char* op, const Conv2dShape&, const T* grad, const T* kernel, const T* bias);
  Buffer (*kernel_gradient)(const char* op, const Conv2dShape&, const T* x, const T* grad);
};

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
