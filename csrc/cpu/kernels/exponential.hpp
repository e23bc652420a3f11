// The exponential function over vectors. Included by kernel files only.
//
// x = n ln 2 + r with n whole and |r| <= ln 2 / 2 (Cody, Waite: Software Manual for the Elementary Functions,
// 1980, chapter 6): ln 2 is the sum of two constants, of which the first has so few digits that its product
// with n is exact. Then e^x = 2^n (1 + q), where q = r + r^2 / 2! + ... + r^d / d! leaves out less than u / 7
// of e^r, u = 2^-24 or 2^-53.
#pragma once

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T>
struct ExponentialOf;
template <>
struct ExponentialOf<float> {
  typedef uint32_t Bits __attribute__((vector_size(KONV_VECTOR_BYTES)));
  static constexpr float kLog2High = 0x1.62e4p-1f, kLog2Low = 0x1.7f7d1cp-20f, kPerLog2 = 0x1.715476p0f;
  static constexpr float kWhole = 0x1.8p23f;         // added, it leaves a whole number in the last bits
  static constexpr float kLeast = -104, kMost = 89;  // where e^x is 0, and infinite
  static constexpr float kLeastOfLessOne = -18;      // where e^x - 1 is -1
  static constexpr int kTerms = 7, kMantissa = 23, kBias = 127;
};
template <>
struct ExponentialOf<double> {
  typedef uint64_t Bits __attribute__((vector_size(KONV_VECTOR_BYTES)));
  static constexpr double kLog2High = 0x1.62e42feep-1, kLog2Low = 0x1.a39ef35793c76p-33,
                          kPerLog2 = 0x1.71547652b82fep0;
  static constexpr double kWhole = 0x1.8p52;
  static constexpr double kLeast = -746, kMost = 710;
  static constexpr double kLeastOfLessOne = -38;
  static constexpr int kTerms = 13, kMantissa = 52, kBias = 1023;
};

// v, but at least `least` and at most `most`; NaN stays NaN.
template <class T>
KONV_INLINE Vector<T> clamp(Vector<T> v, T least, T most) {
  v = v < least ? broadcast(least) : v;
  return v > most ? broadcast(most) : v;
}

// What e^x is made of: 2^n (1 + q).
template <class T>
struct Exponential {
  typename ExponentialOf<T>::Bits biased;  // n + twice the bias of an exponent
  Vector<T> q;
};

// Needs kLeast <= x <= kMost, or NaN.
template <class T>
KONV_INLINE Exponential<T> exponential_parts(Vector<T> x) {
  using Of = ExponentialOf<T>;
  using Bits = typename Of::Bits;
  constexpr T kReciprocals[] = {
      1,           1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,       1.0 / 5040,
      1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  const Vector<T> shifted = x * Of::kPerLog2 + Of::kWhole, n = shifted - Of::kWhole;
  const Vector<T> r = x - n * Of::kLog2High - n * Of::kLog2Low;
  Vector<T> q = broadcast(kReciprocals[Of::kTerms - 1]);
#pragma GCC unroll 12
  for (int i = Of::kTerms - 2; i >= 0; --i) q = q * r + kReciprocals[i];
  const Bits whole = reinterpret_cast<Bits>(broadcast(Of::kWhole));
  return {reinterpret_cast<Bits>(shifted) - whole + 2 * Of::kBias, q * r};
}

// e^x, to 3 u of itself; what lies below the smallest normal number is rounded once more.
template <class T>
KONV_INLINE Vector<T> exponential(Vector<T> x) {
  using Of = ExponentialOf<T>;
  const Exponential<T> e = exponential_parts<T>(clamp<T>(x, Of::kLeast, Of::kMost));
  const auto half = e.biased >> 1;  // 2^n in two factors: n may lie beyond the exponents of either
  const auto factor = [](auto biased) { return reinterpret_cast<Vector<T>>(biased << Of::kMantissa); };
  return (1 + e.q) * factor(half) * factor(e.biased - half);
}

// e^x - 1 for x <= 0, to 4 u of itself.
template <class T>
KONV_INLINE Vector<T> exponential_less_one(Vector<T> x) {
  using Of = ExponentialOf<T>;
  const Exponential<T> e = exponential_parts<T>(clamp<T>(x, Of::kLeastOfLessOne, 0));
  const Vector<T> scale = reinterpret_cast<Vector<T>>((e.biased - Of::kBias) << Of::kMantissa);
  return e.q * scale + (scale - 1);
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
