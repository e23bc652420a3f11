// Contracts of the optimizers' kernels: one step over `count` elements, in one pass, in place.
//
// No array overlaps another. Every element goes through the same instructions, whatever stands beside it, so
// that the work may be cut anywhere. Nothing is assumed of the numbers: NaN and inf go where the formulas
// take them.
#pragma once

#include <stdint.h>

namespace konv::cpu {

// value -= value * decay, if decay isn't 0; then value -= rate * gradient; or, with a velocity (not null),
//   velocity = momentum * velocity - rate * gradient
//   value += nesterov ? momentum * velocity - rate * gradient : velocity
template <class T>
struct SgdStep {
  int64_t count;
  T* value;
  const T* gradient;
  T* velocity;
  T rate, momentum, decay;
  bool nesterov;
};

// value -= value * decay, if decay isn't 0; then
//   momentum += (gradient - momentum) * rate_1
//   velocity += (gradient * gradient - velocity) * rate_2
//   value -= momentum * rate / (sqrt(v) + epsilon)
// where rate_1 = 1 - beta_1, rate_2 = 1 - beta_2, and v is velocity; or, with velocity_hat (not null), v is
// velocity_hat = max(velocity_hat, velocity).
template <class T>
struct AdamStep {
  int64_t count;
  T* value;
  const T* gradient;
  T *momentum, *velocity, *velocity_hat;
  T rate, rate_1, rate_2, epsilon, decay;
};

template <class T>
struct OptimizerKernels {
  void (*sgd)(const SgdStep<T>&);
  void (*adam)(const AdamStep<T>&);
};

}  // namespace konv::cpu
