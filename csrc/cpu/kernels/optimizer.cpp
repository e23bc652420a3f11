// Steps of the optimizers; contracts: optimizer.hpp.
#include "cpu/kernels/optimizer.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// value - value * decay; without decay the value as it is, even if it is inf.
template <bool Decay, class T>
KONV_INLINE Vector<T> decayed(Vector<T> value, T decay) {
  return Decay ? value - value * decay : value;
}

template <class T, bool Decay>
void sgd_plain(const SgdStep<T>& s) {
  for_each_vector_once<T>(s.count, [&](int64_t i, auto access) {
    const Vector<T> value = decayed<Decay>(access.load(s.value + i), s.decay);
    access.store(s.value + i, value - s.rate * access.load(s.gradient + i));
  });
}

template <class T, bool Decay, bool Nesterov>
void sgd_momentum(const SgdStep<T>& s) {
  for_each_vector_once<T>(s.count, [&](int64_t i, auto access) {
    const Vector<T> step = s.rate * access.load(s.gradient + i);
    const Vector<T> velocity = s.momentum * access.load(s.velocity + i) - step;
    const Vector<T> value = decayed<Decay>(access.load(s.value + i), s.decay);
    access.store(s.velocity + i, velocity);
    access.store(s.value + i, value + (Nesterov ? s.momentum * velocity - step : velocity));
  });
}

template <class T, bool Decay>
void sgd_decay(const SgdStep<T>& s) {
  if (!s.velocity)
    sgd_plain<T, Decay>(s);
  else
    s.nesterov ? sgd_momentum<T, Decay, true>(s) : sgd_momentum<T, Decay, false>(s);
}

template <class T>
void sgd(const SgdStep<T>& s) {
  s.decay == 0 ? sgd_decay<T, false>(s) : sgd_decay<T, true>(s);
}

template <class T, bool Decay, bool Max>
void adam_vectors(const AdamStep<T>& s) {
  for_each_vector_once<T>(s.count, [&](int64_t i, auto access) {
    const Vector<T> gradient = access.load(s.gradient + i);
    Vector<T> momentum = access.load(s.momentum + i), velocity = access.load(s.velocity + i);
    momentum += (gradient - momentum) * s.rate_1;
    velocity += (gradient * gradient - velocity) * s.rate_2;
    access.store(s.momentum + i, momentum);
    access.store(s.velocity + i, velocity);
    if (Max) {
      const Vector<T> largest = access.load(s.velocity_hat + i);
      velocity = largest > velocity ? largest : velocity;  // NaN, if velocity is
      access.store(s.velocity_hat + i, velocity);
    }
    const Vector<T> value = decayed<Decay>(access.load(s.value + i), s.decay);
    access.store(s.value + i, value - momentum * s.rate / (square_root<T>(velocity) + s.epsilon));
  });
}

template <class T, bool Decay>
void adam_decay(const AdamStep<T>& s) {
  s.velocity_hat ? adam_vectors<T, Decay, true>(s) : adam_vectors<T, Decay, false>(s);
}

template <class T>
void adam(const AdamStep<T>& s) {
  s.decay == 0 ? adam_decay<T, false>(s) : adam_decay<T, true>(s);
}

template <class T>
constexpr OptimizerKernels<T> kKernels = {sgd<T>, adam<T>};

}  // namespace

extern const OptimizerKernels<float> kOptimizerFloat32 = kKernels<float>;
extern const OptimizerKernels<double> kOptimizerFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
