// Contracts of the activations: functions of elements one by one, and their gradients.
//
// `kept` is the function's result y; of SiLU its input x. No result overlaps another array. `streamed`
// results are written past the caches, where they are aligned to the vector. At infinities results and
// slopes are the limits; NaN stays NaN.
#pragma once

#include <stdint.h>

namespace konv::cpu {

enum class Activation {
  kRelu,         // max(x, +0.0); its gradient passes where not (y <= 0)
  kRelu6,        // min(max(x, +0.0), 6)
  kLeakyRelu,    // x, but 0.2 x below 0
  kElu,          // x, but e^x - 1 below 0
  kSigmoid,      // 1 / (1 + e^-x)
  kHardSigmoid,  // min(max(x + 3, 0), 6) / 6
  kTanh,
  kSilu,  // x / (1 + e^-x)
};
constexpr int kActivations = 8;

template <class T>
struct ActivationKernels {
  // y = f(x)
  void (*forward)(const T* x, int64_t count, T* y, bool streamed);
  // grad_x = grad * f'(x)
  void (*backward)(const T* grad, const T* kept, int64_t count, T* grad_x, bool streamed);
};

}  // namespace konv::cpu
