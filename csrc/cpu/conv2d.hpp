// Convolutions on the CPU: forward, gradient of x, of the kernel and of the bias. Layouts:
// core/conv2d_shape.hpp.
//
// Each call plans (first row of the algorithm table that can do the shape), packs, and shares independent
// outputs out over threads. The plan is a function of the shape alone, and forward and gradient of x not of
// N.
#pragma once

#include <string>

#include "core/conv2d_shape.hpp"
#include "cpu/buffer_pool.hpp"
#include "cpu/conv2d_algorithms.hpp"

namespace konv::cpu {

enum class Algorithm { kAuto, kDirect, kWinograd, kReference };

// An "auto" that the environment variable KONV_ALGORITHM has steered falls back where it can't do a shape;
// an algorithm that the caller names does not.
struct AlgorithmChoice {
  Algorithm algorithm;
  bool may_fall_back;
};

// std::invalid_argument for an unknown name, be it the caller's or the environment's.
AlgorithmChoice choose_algorithm(const char* op, const std::string& name);

// y = x * kernel + bias, then ReLU; bias may be null.
template <class T>
Buffer conv2d_forward(const char* op, const Conv2dShape& shape, const T* x, const T* kernel, const T* bias,
                      bool relu, AlgorithmChoice choice);

// A kernel in the form of the algorithm that was planned for the shape, for forward passes over any number of
// images of that shape. It is a copy: the array it came from may change.
template <class T>
class PreparedConv2d {
 public:
  using Element = T;

  PreparedConv2d(const char* op, const Conv2dShape& shape, const T* kernel, AlgorithmChoice choice);

  // As conv2d_forward of shape(images), with any epilogue.
  Buffer forward(const char* op, int64_t images, const T* x, const Epilogue<T>& epilogue) const;

  Conv2dShape shape(int64_t images) const {
    Conv2dShape shape = shape_;
    shape.N = images;
    return shape;
  }
  size_t bytes() const { return packed_.bytes(); }

 private:
  Conv2dShape shape_;
  ForwardAlgorithm<T> algorithm_;
  Buffer packed_;
};

// Gradient of x from that of y; with a bias (of C values, or null) also the transposed convolution.
template <class T>
Buffer conv2d_input_gradient(const char* op, const Conv2dShape& shape, const T* grad, const T* kernel,
                             const T* bias, AlgorithmChoice choice);

template <class T>
Buffer conv2d_kernel_gradient(const char* op, const Conv2dShape& shape, const T* x, const T* grad,
                              AlgorithmChoice choice);

}  // namespace konv::cpu
