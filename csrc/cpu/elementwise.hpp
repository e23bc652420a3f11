// Activations, their gradients, sums and the error function, over `count` elements of any shape.
#pragma once

#include <cstdint>

#include "cpu/buffer_pool.hpp"
#include "cpu/kernels/activations.hpp"

namespace konv::cpu {

template <class T>
Buffer activate(const char* op, Activation function, const T* x, int64_t count);

template <class T>
Buffer activate_backward(const char* op, Activation function, const T* grad, const T* kept, int64_t count);

// a + b, then ReLU if asked for.
template <class T>
Buffer add(const char* op, const T* a, const T* b, int64_t count, bool relu);

// The C library's erf: the same bits on every ISA.
template <class T>
Buffer erf(const char* op, const T* x, int64_t count);

}  // namespace konv::cpu
