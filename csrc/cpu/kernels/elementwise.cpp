// Sums; contracts: elementwise.hpp.
#include "cpu/kernels/elementwise.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T>
void add(const T* a, const T* b, int64_t count, T* y, bool streamed) {
  map_vectors<T, kTogether>(y, streamed, count,
                            [&](int64_t i, auto access) { return access.load(a + i) + access.load(b + i); });
}

template <class T>
void add_relu(const T* a, const T* b, int64_t count, T* y, bool streamed) {
  map_vectors<T, kTogether>(y, streamed, count, [&](int64_t i, auto access) {
    return relu<T>(access.load(a + i) + access.load(b + i));
  });
}

template <class T>
constexpr ElementwiseKernels<T> kKernels = {add<T>, add_relu<T>};

}  // namespace

extern const ElementwiseKernels<float> kElementwiseFloat32 = kKernels<float>;
extern const ElementwiseKernels<double> kElementwiseFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
