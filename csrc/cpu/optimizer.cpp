// Driver of the optimizers' steps; see optimizer.hpp.
#include "cpu/optimizer.hpp"

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kSgdNanoseconds = 1, kAdamNanoseconds = 2;  // by the arrays that they read and write

}  // namespace

template <class T>
void sgd_step(const SgdStep<T>& step) {
  const OptimizerKernels<T>& k = *kernels<T>().optimizer;
  for_each_block(step.count, kSgdNanoseconds, [&](int64_t first, int64_t size) {
    SgdStep<T> part = step;
    part.count = size;
    part.value += first;
    part.gradient += first;
    if (part.velocity) part.velocity += first;
    k.sgd(part);
  });
}

template <class T>
void adam_step(const AdamStep<T>& step) {
  const OptimizerKernels<T>& k = *kernels<T>().optimizer;
  for_each_block(step.count, kAdamNanoseconds, [&](int64_t first, int64_t size) {
    AdamStep<T> part = step;
    part.count = size;
    part.value += first;
    part.gradient += first;
    part.momentum += first;
    part.velocity += first;
    if (part.velocity_hat) part.velocity_hat += first;
    k.adam(part);
  });
}

template void sgd_step<float>(const SgdStep<float>&);
template void sgd_step<double>(const SgdStep<double>&);
template void adam_step<float>(const AdamStep<float>&);
template void adam_step<double>(const AdamStep<double>&);

}  // namespace konv::cpu
