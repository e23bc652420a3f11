// Softmax; contracts: softmax.hpp. Vectors run along a row, whose second pass finds it in cache.
#include "cpu/kernels/softmax.hpp"

#include "cpu/kernels/chunks.hpp"
#include "cpu/kernels/exponential.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// The lanes as one number, halves onto halves.
template <class T, int Lanes, class Combine>
KONV_INLINE T reduce(Chunk<T, Lanes> v, const Combine& combine) {
  if constexpr (Lanes == 1) {
    return v;
  } else {
    T lanes[Lanes];
    store_chunk(lanes, v);
    return reduce<T, Lanes / 2>(
        combine(load_chunk<Lanes / 2>(lanes), load_chunk<Lanes / 2>(lanes + Lanes / 2)), combine);
  }
}

template <class T>
KONV_INLINE T sum_of_lanes(Vector<T> v) {
  return reduce<T, kLanes<T>>(v, [](auto a, auto b) { return a + b; });
}

// v in the first `count` lanes, `other` in the rest.
template <class T>
KONV_INLINE Vector<T> only_first(Vector<T> v, int64_t count, T other) {
  Vector<T> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = static_cast<T>(i);
  return lane < static_cast<T>(count) ? v : broadcast(other);
}

// Calls body(c, access, count) for vectors that begin at c and cover [0, columns) without overlap, of which
// `count` lanes count.
template <class T, class Body>
KONV_INLINE void for_each_part(int64_t columns, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes<T> <= columns; c += kLanes<T>) body(c, WholeVector<T>{}, int64_t{kLanes<T>});
  if (c < columns) body(c, PartialVector<T>{columns - c}, columns - c);
}

template <class T>
KONV_INLINE T largest_of(const T* z, int64_t columns) {
  constexpr T kLeast = -__builtin_inff();
  Vector<T> largest = broadcast(kLeast);
  for_each_part<T>(columns, [&](int64_t c, auto access, int64_t count) {
    Vector<T> v = access.load(z + c);
    if (count < kLanes<T>) v = only_first<T>(v, count, kLeast);
    largest = v > largest ? v : largest;
  });
  return reduce<T, kLanes<T>>(largest, [](auto a, auto b) { return a > b ? a : b; });
}

template <class T, bool Target>
void sums_of(const SoftmaxSums<T>& b) {
  for (int64_t row = 0; row < b.rows; ++row) {
    const T *z = b.z + row * b.columns, *target = Target ? b.target + row * b.columns : nullptr;
    const T largest = largest_of(z, b.columns);
    Vector<T> total{}, target_sum{}, labelled{};
    for_each_part<T>(b.columns, [&](int64_t c, auto access, int64_t count) {
      const Vector<T> distance = access.load(z + c) - largest;
      Vector<T> e = exponential<T>(distance);
      if (count < kLanes<T>) e = only_first<T>(e, count, T{0});
      total += e;
      if (Target) {
        const Vector<T> t = access.load(target + c);
        target_sum += t;
        Vector<T> part = t * distance;
        if (count < kLanes<T>) part = only_first<T>(part, count, T{0});
        labelled += part;
      }
    });
    b.largest[row] = largest;
    b.total[row] = sum_of_lanes<T>(total);
    if (Target) {
      b.target_sum[row] = sum_of_lanes<T>(target_sum);
      b.labelled[row] = sum_of_lanes<T>(labelled);
    }
  }
}

template <class T>
void sums(const SoftmaxSums<T>& b) {
  b.target ? sums_of<T, true>(b) : sums_of<T, false>(b);
}

template <class T, bool Target, class Access>
void products_of(const SoftmaxProducts<T>& b) {
  for (int64_t row = 0; row < b.rows; ++row) {
    const int64_t first = row * b.columns;
    const T largest = b.largest[row], factor = b.factor[row], scale = Target ? b.scale[row] : T{0};
    for_each_vector<T, Access>(b.columns, [&](int64_t c, auto access) {
      Vector<T> y = exponential<T>(access.load(b.z + first + c) - largest) * factor;
      // The product is rounded, as where labels are subtracted afterwards: 0 and 1 then give the same bits.
      if (Target) y = in_register(y) - access.load(b.target + first + c) * scale;
      access.store(b.y + first + c, y);
    });
  }
}

template <class T, bool Target>
void products_to(const SoftmaxProducts<T>& b) {
  if (!b.streamed || !is_aligned(b.y) || b.columns % kLanes<T> != 0)
    return products_of<T, Target, WholeVector<T>>(b);
  products_of<T, Target, StreamedVector<T>>(b);
  stream_fence();
}

template <class T>
void products(const SoftmaxProducts<T>& b) {
  b.target ? products_to<T, true>(b) : products_to<T, false>(b);
}

template <class T>
constexpr SoftmaxKernels<T> kKernels = {sums<T>, products<T>};

}  // namespace

extern const SoftmaxKernels<float> kSoftmaxFloat32 = kKernels<float>;
extern const SoftmaxKernels<double> kSoftmaxFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
