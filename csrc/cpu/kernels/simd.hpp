// Vectors of one ISA's width, through the compilers' vector extensions. Included by kernel files only.
//
// A kernel file is compiled once per ISA, so everything here and there has internal linkage: an inline
// function shared by two ISAs would be merged by the linker into one of them and crash CPUs that lack it. For
// the same reason kernel files include no C++ library headers. CMake defines KONV_ISA (avx512, avx2,
// baseline, neon), KONV_VECTOR_BYTES and KONV_TILE_ROWS.
#pragma once

#include <stdint.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define KONV_INLINE static inline __attribute__((always_inline))

namespace konv::cpu::KONV_ISA {
namespace {

// Elements need their own alignment only, and alias their scalars.
template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float Type __attribute__((vector_size(KONV_VECTOR_BYTES), aligned(4), may_alias));
};
template <>
struct VectorOf<double> {
  typedef double Type __attribute__((vector_size(KONV_VECTOR_BYTES), aligned(8), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::Type;

template <class T>
constexpr int kLanes = KONV_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
KONV_INLINE Vector<T> load(const T* p) {
  return *reinterpret_cast<const Vector<T>*>(p);
}

template <class T>
KONV_INLINE void store(T* p, Vector<T> v) {
  *reinterpret_cast<Vector<T>*>(p) = v;
}

// A vector as it stands, in a register: the compiler can't load it again for each use, nor contract the
// product that it is with a sum that follows.
template <class V>
KONV_INLINE V in_register(V v) {
#ifdef __x86_64__
  asm("" : "+v"(v));
#else
  asm("" : "+w"(v));
#endif
  return v;
}

// A number as it stands: the compiler can't compute its multiples before a loop, where there are more of them
// than registers.
KONV_INLINE int64_t in_register(int64_t stride) {
  asm("" : "+r"(stride));
  return stride;
}

// Writes past the caches, for results that no cache could hold; p is aligned to the vector. Whoever streams
// calls stream_fence() before its task ends, so that other threads see what was written.
template <class T>
KONV_INLINE void stream(T* p, Vector<T> v) {
#if KONV_VECTOR_BYTES == 64
  _mm512_stream_ps(reinterpret_cast<float*>(p), reinterpret_cast<__m512>(v));
#elif KONV_VECTOR_BYTES == 32
  _mm256_stream_ps(reinterpret_cast<float*>(p), reinterpret_cast<__m256>(v));
#elif defined(__x86_64__)
  _mm_stream_ps(reinterpret_cast<float*>(p), reinterpret_cast<__m128>(v));
#else
  store(p, v);
#endif
}

KONV_INLINE void stream_fence() {
#ifdef __x86_64__
  _mm_sfence();
#endif
}

// The first `count` lanes, 0 < count <= kLanes<T>; the others are zero, and their memory is not touched. (A
// memcpy of `count` elements is a call, which makes layers of few filters twice as slow.)
#if KONV_VECTOR_BYTES == 64
KONV_INLINE Vector<float> load_partial(const float* p, int64_t count) {
  return reinterpret_cast<Vector<float>>(_mm512_maskz_loadu_ps((1u << count) - 1, p));
}
KONV_INLINE Vector<double> load_partial(const double* p, int64_t count) {
  return reinterpret_cast<Vector<double>>(_mm512_maskz_loadu_pd((1u << count) - 1, p));
}
KONV_INLINE void store_partial(float* p, Vector<float> v, int64_t count) {
  _mm512_mask_storeu_ps(p, (1u << count) - 1, reinterpret_cast<__m512>(v));
}
KONV_INLINE void store_partial(double* p, Vector<double> v, int64_t count) {
  _mm512_mask_storeu_pd(p, (1u << count) - 1, reinterpret_cast<__m512d>(v));
}
#elif KONV_VECTOR_BYTES == 32
KONV_INLINE __m256i first_floats(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
KONV_INLINE __m256i first_doubles(int64_t count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
KONV_INLINE Vector<float> load_partial(const float* p, int64_t count) {
  return reinterpret_cast<Vector<float>>(_mm256_maskload_ps(p, first_floats(count)));
}
KONV_INLINE Vector<double> load_partial(const double* p, int64_t count) {
  return reinterpret_cast<Vector<double>>(_mm256_maskload_pd(p, first_doubles(count)));
}
KONV_INLINE void store_partial(float* p, Vector<float> v, int64_t count) {
  _mm256_maskstore_ps(p, first_floats(count), reinterpret_cast<__m256>(v));
}
KONV_INLINE void store_partial(double* p, Vector<double> v, int64_t count) {
  _mm256_maskstore_pd(p, first_doubles(count), reinterpret_cast<__m256d>(v));
}
#else
template <class T>
KONV_INLINE Vector<T> load_partial(const T* p, int64_t count) {
  Vector<T> v{};
  __builtin_memcpy(&v, p, count * sizeof(T));
  return v;
}

template <class T>
KONV_INLINE void store_partial(T* p, Vector<T> v, int64_t count) {
  __builtin_memcpy(p, &v, count * sizeof(T));
}
#endif

// A line that will be read some microseconds later.
KONV_INLINE void prefetch_to_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

// A line that will be written. Compilers fetch it for reading, unless told that the CPU knows the
// instruction; those that don't know it ignore it.
KONV_INLINE void prefetch_to_write(const void* p) {
#ifdef __x86_64__
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 1);
#endif
}

// value in every lane; subtracting zero keeps the sign of -0.0, which adding it would not.
template <class T>
KONV_INLINE Vector<T> broadcast(T value) {
  return value - Vector<T>{};
}

// max(v, +0.0) with NaN for NaN and +0.0 for -0.0.
template <class T>
KONV_INLINE Vector<T> relu(Vector<T> v) {
  return v <= 0 ? Vector<T>{} : v;
}

// Lane by lane for the compiler's vectorizer: vector extensions have no square root.
template <class T>
KONV_INLINE Vector<T> square_root(Vector<T> v) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (T& lane : lanes) lane = sizeof(T) == 4 ? __builtin_sqrtf(lane) : __builtin_sqrt(lane);
  return load(lanes);
}

template <class T>
KONV_INLINE void copy_elements(T* to, const T* from, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) store(to + i, load(from + i));
  if (i < count) store_partial(to + i, load_partial(from + i, count - i), count - i);
}

KONV_INLINE int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }

// Calls body.template run<rows>() for 1 <= rows <= Most, so that a tile's height is a constant.
template <int Most, class Body>
KONV_INLINE void with_rows(int64_t rows, const Body& body) {
  if constexpr (Most > 1) {
    if (rows < Most) return with_rows<Most - 1>(rows, body);
  }
  body.template run<Most>();
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
