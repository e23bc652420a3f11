// ReLU, its gradient, sums and the error function, over `count` elements of any shape.
#pragma once

#include <cstdint>

#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

template <class T>
Buffer relu(const char* op, const T* x, int64_t count);

// y is the result of the forward pass.
template <class T>
Buffer relu_backward(const char* op, const T* grad, const T* y, int64_t count);

// a + b, then ReLU if asked for.
template <class T>
Buffer add(const char* op, const T* a, const T* b, int64_t count, bool relu);

// The C library's erf: the same bits on every ISA.
template <class T>
Buffer erf(const char* op, const T* x, int64_t count);

}  // namespace konv::cpu
