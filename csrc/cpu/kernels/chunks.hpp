// Loops over contiguous channels without a slow tail. Included by kernel files only.
//
// The last vector begins early enough to end with the channels: what it shares with the one before is
// computed twice, to the same bits. Fewer channels than a vector are covered by narrower vectors or, where
// all elements must go through the same instructions, by a partial one.
#pragma once

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// A vector of any power of two of lanes; one lane is a scalar, which compilers handle better.
template <class T, int Lanes>
struct ChunkOf {
  typedef T Type __attribute__((vector_size(Lanes * sizeof(T))));
};
template <class T>
struct ChunkOf<T, 1> {
  typedef T Type;
};
template <class T, int Lanes>
using Chunk = typename ChunkOf<T, Lanes>::Type;

template <int Lanes, class T>
KONV_INLINE Chunk<T, Lanes> load_chunk(const T* p) {
  Chunk<T, Lanes> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class T, class Vector>
KONV_INLINE void store_chunk(T* p, Vector v) {
  __builtin_memcpy(p, &v, sizeof v);
}

template <int Bytes>
struct SignedOf;
template <>
struct SignedOf<2> {
  typedef int16_t Type;
};
template <>
struct SignedOf<4> {
  typedef int32_t Type;
};
template <>
struct SignedOf<8> {
  typedef int64_t Type;
};

// Elements of type From as elements of type To. GCC 12 takes a conversion apart, element by element, that
// does more than halve or double their size, so that such ones go in steps.
template <class To, class From, int Lanes>
KONV_INLINE Chunk<To, Lanes> convert_chunk(Chunk<From, Lanes> v) {
  if constexpr (Lanes == 1) {
    return static_cast<To>(v);
#if KONV_VECTOR_BYTES == 64
  } else if constexpr (Lanes == 16 && sizeof(To) == 1 && sizeof(From) == 4) {
    return reinterpret_cast<Chunk<To, Lanes>>(_mm512_maskz_cvtepi32_epi8(-1, reinterpret_cast<__m512i>(v)));
  } else if constexpr (Lanes == 16 && sizeof(To) == 4 && sizeof(From) == 1) {
    return reinterpret_cast<Chunk<To, Lanes>>(_mm512_maskz_cvtepu8_epi32(-1, reinterpret_cast<__m128i>(v)));
#endif
  } else if constexpr (sizeof(To) > 2 * sizeof(From)) {
    typedef typename SignedOf<2 * sizeof(From)>::Type Middle;
    return convert_chunk<To, Middle, Lanes>(__builtin_convertvector(v, Chunk<Middle, Lanes>));
  } else if constexpr (2 * sizeof(To) < sizeof(From)) {
    typedef typename SignedOf<sizeof(From) / 2>::Type Middle;
    return convert_chunk<To, Middle, Lanes>(__builtin_convertvector(v, Chunk<Middle, Lanes>));
  } else {
    return __builtin_convertvector(v, Chunk<To, Lanes>);
  }
}

// Calls body.template run<Lanes>() with the widest vector that the channels (at least 1) fill.
template <class T, int Lanes = kLanes<T>, class Body>
KONV_INLINE void with_lanes(int64_t channels, const Body& body) {
  if constexpr (Lanes > 1) {
    if (channels < Lanes) return with_lanes<T, Lanes / 2>(channels, body);
  }
  body.template run<Lanes>();
}

// Calls body.template run<Lanes, Vectors>(c) until vectors [c, c + Lanes * Vectors) have covered [0,
// channels); needs channels >= Lanes.
template <class T, int Lanes, class Body>
KONV_INLINE void for_each_chunk(int64_t channels, const Body& body) {
  int64_t c = 0;
  if constexpr (Lanes == kLanes<T>) {
    for (; c + 4 * Lanes <= channels; c += 4 * Lanes) body.template run<Lanes, 4>(c);
    for (; c + 2 * Lanes <= channels; c += 2 * Lanes) body.template run<Lanes, 2>(c);
  }
  for (; c + Lanes <= channels; c += Lanes) body.template run<Lanes, 1>(c);
  if (c < channels) body.template run<Lanes, 1>(channels - Lanes);
}

template <class T>
struct WholeVector {
  Vector<T> load(const T* p) const { return KONV_ISA::load(p); }
  void store(T* p, Vector<T> v) const { KONV_ISA::store(p, v); }
};

// Writes past the caches; only for vectors at aligned addresses.
template <class T>
struct StreamedVector {
  Vector<T> load(const T* p) const { return KONV_ISA::load(p); }
  void store(T* p, Vector<T> v) const { stream(p, v); }
};

template <class T>
struct PartialVector {
  int64_t count;
  Vector<T> load(const T* p) const { return load_partial(p, count); }
  void store(T* p, Vector<T> v) const { store_partial(p, v, count); }
};

// Calls body(i, access) until the vectors that begin at i have covered [0, count); access loads and stores
// them.
template <class T, class Access = WholeVector<T>, class Body>
KONV_INLINE void for_each_vector(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) body(i, Access{});
  if (i == count) return;
  if (count >= kLanes<T>)
    body(count - kLanes<T>, WholeVector<T>{});
  else
    body(int64_t{0}, PartialVector<T>{count});
}

// Calls body(i, access) for vectors that begin at i and cover [0, count) without overlap, the last one
// partial: an element that is changed in place must not be visited twice.
template <class T, class Body>
KONV_INLINE void for_each_vector_once(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) body(i, WholeVector<T>{});
  if (i < count) body(i, PartialVector<T>{count - i});
}

template <class T>
KONV_INLINE bool is_aligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % KONV_VECTOR_BYTES == 0;
}

// Vectors of a result that are computed before the first of them is stored, where that takes few registers.
// A load waits for a store just before it whose address has the same last 12 bits, as that of the vector
// behind the one just computed may: ReLU of 1.6 MB in cache took 23 us in place of 20.
constexpr int kTogether = 4;

// result[i] = compute(i, access) for whole groups of vectors from element 0 on; returns where they end.
template <class T, int Together, class Access, class Compute>
KONV_INLINE int64_t map_groups(T* result, int64_t count, const Compute& compute) {
  constexpr int64_t kStep = Together * kLanes<T>;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    Vector<T> vectors[Together];
#pragma GCC unroll 4
    for (int j = 0; j < Together; ++j) vectors[j] = compute(i + j * kLanes<T>, Access{});
#pragma GCC unroll 4
    for (int j = 0; j < Together; ++j) Access{}.store(result + i + j * kLanes<T>, vectors[j]);
  }
  return i;
}

// The same for all of [0, count). The result, which overlaps nothing that is read, may be streamed.
template <class T, int Together, class Compute>
KONV_INLINE void map_vectors(T* result, bool streamed, int64_t count, const Compute& compute) {
  int64_t i;
  if (streamed && is_aligned(result)) {
    i = map_groups<T, Together, StreamedVector<T>>(result, count, compute);
    stream_fence();
  } else {
    i = map_groups<T, Together, WholeVector<T>>(result, count, compute);
  }
  for_each_vector<T>(count - i, [&](int64_t rest, auto access) {
    access.store(result + i + rest, compute(i + rest, access));
  });
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
