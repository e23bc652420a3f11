// Pooling on the CPU, forward and backward. Layouts: core/pool2d_shape.hpp.
#pragma once

#include "core/pool2d_shape.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

template <class T>
Buffer max_pool2d(const char* op, const Pool2dShape& shape, const T* x);

struct MaxAndArgmax {
  Buffer y, argmax;
};

// Index: uint8_t or int32_t, large enough for every position of the window.
template <class T, class Index>
MaxAndArgmax max_pool2d_with_argmax(const char* op, const Pool2dShape& shape, const T* x);

// argmax may hold anything: a position outside the window or on padding gives no gradient.
template <class T, class Index>
Buffer max_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad, const Index* argmax);

template <class T>
Buffer sum_pool2d(const char* op, const Pool2dShape& shape, const T* x);
template <class T>
Buffer sum_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad);

template <class T>
Buffer avg_pool2d(const char* op, const Pool2dShape& shape, const T* x, bool count_include_pad);
template <class T>
Buffer avg_pool2d_backward(const char* op, const Pool2dShape& shape, const T* grad, bool count_include_pad);

}  // namespace konv::cpu
