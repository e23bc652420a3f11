// Steps of the optimizers, in place: see kernels/optimizer.hpp for the formulas.
#pragma once

#include "cpu/kernels/optimizer.hpp"

namespace konv::cpu {

template <class T>
void sgd_step(const SgdStep<T>& step);

template <class T>
void adam_step(const AdamStep<T>& step);

}  // namespace konv::cpu
