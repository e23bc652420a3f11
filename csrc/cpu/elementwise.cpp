// Driver of the elementwise operations; see elementwise.hpp.
#include "cpu/elementwise.hpp"

#include <cmath>

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kErfNanoseconds = 8;  // measured, in either dtype

template <class T>
Buffer allocate_like(const char* op, int64_t count) {
  return allocate(op, checked_multiply(op, "the result", count, sizeof(T)));
}

// Calls run(first, size, result, streamed) on blocks of the elements; all begin at multiples of 64 bytes.
template <class T, class Run>
Buffer map_elements(const char* op, int64_t count, const Run& run) {
  Buffer result = allocate_like<T>(op, count);
  T* y = result.as<T>();
  const bool streamed = worth_streaming(count * static_cast<int64_t>(sizeof(T)));
  for_each_block(count, 1, [&](int64_t first, int64_t size) { run(first, size, y + first, streamed); });
  return result;
}

template <class T>
const ActivationKernels<T>& kernels_of(Activation function) {
  return kernels<T>().activations[static_cast<int>(function)];
}

}  // namespace

template <class T>
Buffer activate(const char* op, Activation function, const T* x, int64_t count) {
  const auto kernel = kernels_of<T>(function).forward;
  return map_elements<T>(op, count, [&](int64_t first, int64_t size, T* y, bool streamed) {
    kernel(x + first, size, y, streamed);
  });
}

template <class T>
Buffer activate_backward(const char* op, Activation function, const T* grad, const T* kept, int64_t count) {
  const auto kernel = kernels_of<T>(function).backward;
  return map_elements<T>(op, count, [&](int64_t first, int64_t size, T* grad_x, bool streamed) {
    kernel(grad + first, kept + first, size, grad_x, streamed);
  });
}

template <class T>
Buffer add(const char* op, const T* a, const T* b, int64_t count, bool relu) {
  const ElementwiseKernels<T>& k = *kernels<T>().elementwise;
  const auto kernel = relu ? k.add_relu : k.add;
  return map_elements<T>(op, count, [&](int64_t first, int64_t size, T* y, bool streamed) {
    kernel(a + first, b + first, size, y, streamed);
  });
}

template <class T>
Buffer erf(const char* op, const T* x, int64_t count) {
  Buffer result = allocate_like<T>(op, count);
  T* y = result.as<T>();
  for_each_block(count, kErfNanoseconds, [&](int64_t first, int64_t size) {
    for (int64_t i = first; i < first + size; ++i) y[i] = std::erf(x[i]);
  });
  return result;
}

#define KONV_INSTANTIATE(T)                                                                   \
  template Buffer activate<T>(const char*, Activation, const T*, int64_t);                    \
  template Buffer activate_backward<T>(const char*, Activation, const T*, const T*, int64_t); \
  template Buffer add<T>(const char*, const T*, const T*, int64_t, bool);                     \
  template Buffer erf<T>(const char*, const T*, int64_t);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
