// Peak of multiply-adds, and of reading and writing; contracts: peak.hpp.
#include "cpu/kernels/peak.hpp"

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kChains =
    12;  // independent, which hides latencies of up to 6 cycles at two a cycle; fit 16 registers

template <class T>
T multiply_add(int64_t rounds, T value) {
  const Vector<T> factor = broadcast(value);
  Vector<T> chains[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) chains[i] = broadcast(static_cast<T>(i));
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + factor;
  Vector<T> sum{};
  for (int i = 0; i < kChains; ++i) sum += chains[i];
  return sum[0];
}

template <class T>
void transfer(const T* x, int64_t x_count, T* y, int64_t y_count) {
  Vector<T> sum{};   // depends on all that is read, or it need not be
  int64_t lead = 0;  // of reading over writing: after all steps, none
  for (int64_t step = 0; step < (x_count + y_count) / kLanes<T>; ++step) {
    if (lead <= 0) {
      sum += load(x);
      x += kLanes<T>;
      lead += y_count;
    } else {
      stream(y, sum);
      y += kLanes<T>;
      lead -= x_count;
    }
  }
  stream_fence();
}

template <class T>
constexpr PeakKernels<T> kKernels = {multiply_add<T>, int64_t{2} * kChains * kLanes<T>, transfer<T>};

}  // namespace

extern const PeakKernels<float> kPeakFloat32 = kKernels<float>;
extern const PeakKernels<double> kPeakFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
