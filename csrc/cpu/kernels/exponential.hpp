// exp of numbers that are not positive, in vectors. Included by kernel files only.
//
// exp(x) = 2^n * exp(r), n the integer nearest to x / ln 2 and |r| <= ln 2 / 2 (Cody and Waite, Software
// Manual for the Elementary Functions, 1980, chapter 6), exp(r) by its Taylor series, 1 + r (1 + r (1/2 +
// ...)). With u the unit roundoff, also without fused multiply-adds, the result is off by less than 3 u of
// itself: 0.1 u is what the series leaves out (0.35^8 / 8!, in float64 0.35^14 / 14!); 0.4 u come from r (a
// rounding of at most 0.35, and that of ln 2); the sum in brackets is off by 1.4 u, 0.35 of which count, its
// product with r by 0.3 u, the whole by 1 u, and all that is divided by at least 0.7. Below the least normal
// number it is 0. NaN gives NaN.
#pragma once

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T>
struct Exponential;

template <>
struct Exponential<float> {
  typedef uint32_t Integer __attribute__((vector_size(KONV_VECTOR_BYTES)));
  static constexpr int kTerms = 8, kMantissaBits = 23;
  // Its sum with a number below 2^22 ends in that number, rounded.
  static constexpr float kRounder = 12582912;  // 1.5 * 2^23
  static constexpr float kLeast = -87.33654f;  // ln of the least normal number
  // ln 2 as a sum: the first part has so few bits that its products with n are exact.
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
};

template <>
struct Exponential<double> {
  typedef uint64_t Integer __attribute__((vector_size(KONV_VECTOR_BYTES)));
  static constexpr int kTerms = 14, kMantissaBits = 52;
  static constexpr double kRounder = 6755399441055744;  // 1.5 * 2^52
  static constexpr double kLeast = -708.3964185322641;
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
};

// 1 / k!
constexpr double inverse_factorial(int k) { return k < 2 ? 1.0 : inverse_factorial(k - 1) / k; }

template <class T, int Term, class V>
KONV_INLINE V exponential_series(V r, V sum) {
  sum = sum * r + static_cast<T>(inverse_factorial(Term));
  if constexpr (Term > 0)
    return exponential_series<T, Term - 1>(r, sum);
  else
    return sum;
}

// x <= 0 or NaN
template <class T>
KONV_INLINE Vector<T> exp_of_nonpositive(Vector<T> x) {
  typedef Exponential<T> E;
  typedef typename E::Integer Integer;
  const Vector<T> sum = x * static_cast<T>(1.4426950408889634) + E::kRounder;
  const Vector<T> n = sum - E::kRounder;
  const Vector<T> r = x - n * E::kLn2High - n * E::kLn2Low;
  const Vector<T> first = broadcast<T>(static_cast<T>(inverse_factorial(E::kTerms - 1)));
  const Vector<T> exp_r = exponential_series<T, E::kTerms - 2>(r, first);
  // 2^n: the last bits of `sum` are n, which go to where the exponent is.
  const Vector<T> one = broadcast<T>(1);
  const Integer power = (reinterpret_cast<Integer>(sum) << E::kMantissaBits) + reinterpret_cast<Integer>(one);
  const Vector<T> y = exp_r * reinterpret_cast<Vector<T>>(power);
  return x < E::kLeast ? Vector<T>{} : y;
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
