// Driver of the elementwise operations; see elementwise.hpp.
#include "cpu/elementwise.hpp"

#include <cmath>

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kErfNanoseconds = 8;  // measured, in either dtype

template <class T>
Buffer allocate_like(const char* op, int64_t count) {
  return allocate(op, checked_multiply(op, "the result", count, sizeof(T)));
}

}  // namespace

template <class T>
Buffer relu(const char* op, const T* x, int64_t count) {
  Buffer result = allocate_like<T>(op, count);
  T* y = result.as<T>();
  const ElementwiseKernels<T>& k = *kernels<T>().elementwise;
  for_each_block(count, 1, [&](int64_t first, int64_t size) { k.relu(x + first, size, y + first); });
  return result;
}

template <class T>
Buffer relu_backward(const char* op, const T* grad, const T* y, int64_t count) {
  Buffer result = allocate_like<T>(op, count);
  T* grad_x = result.as<T>();
  const ElementwiseKernels<T>& k = *kernels<T>().elementwise;
  for_each_block(count, 1, [&](int64_t first, int64_t size) {
    k.relu_backward(grad + first, y + first, size, grad_x + first);
  });
  return result;
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

template Buffer relu<float>(const char*, const float*, int64_t);
template Buffer relu<double>(const char*, const double*, int64_t);
template Buffer relu_backward<float>(const char*, const float*, const float*, int64_t);
template Buffer relu_backward<double>(const char*, const double*, const double*, int64_t);
template Buffer erf<float>(const char*, const float*, int64_t);
template Buffer erf<double>(const char*, const double*, int64_t);

}  // namespace konv::cpu
