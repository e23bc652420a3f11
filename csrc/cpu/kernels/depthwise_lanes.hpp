// What the depthwise kernels share: how lanes read a pixel, and runs of columns. Included by kernel files
// only.
#pragma once

#include "cpu/kernels/chunks.hpp"
#include "cpu/kernels/conv2d_depthwise.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// Steps a pointer in place: else the compiler keeps a pointer for every pixel of a tile, and spills most.
template <class T>
KONV_INLINE void advance(T*& pointer, int64_t step) {
  pointer += step;
  asm("" : "+r"(pointer));
}

// Calls body(run) for the parts of a run whose results have the same taps.
template <class Body>
KONV_INLINE void for_each_uncut(DepthwiseColumns run, const Body& body) {
  const auto one = [&run] {
    DepthwiseColumns part = run;
    part.columns = 1;
    part.taps -= 1;
    return part;
  };
  if (run.cut_first) {
    DepthwiseColumns first = one();
    first.source += run.tap_step;
    first.weights += run.weights_step;
    body(first);
    run.columns -= 1;
    run.source += run.source_step;
    run.result += run.result_step;
  }
  run.columns -= run.cut_last;
  body(run);
  if (run.cut_last) {
    DepthwiseColumns last = one();
    last.source += run.columns * run.source_step;
    last.result += run.columns * run.result_step;
    body(last);
  }
}

// Lane i is lane from[i] of v. The masks, of all lanes, spare GCC 12 a warning.
template <class T>
KONV_INLINE Vector<T> permute(Vector<T> v, Chunk<typename SignedOf<sizeof(T)>::Type, kLanes<T>> from) {
#if KONV_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Vector<T>>(
        _mm512_maskz_permutexvar_ps(-1, reinterpret_cast<__m512i>(from), reinterpret_cast<__m512>(v)));
  else
    return reinterpret_cast<Vector<T>>(
        _mm512_maskz_permutexvar_pd(-1, reinterpret_cast<__m512i>(from), reinterpret_cast<__m512d>(v)));
#elif KONV_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Vector<T>>(
        _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(v), reinterpret_cast<__m256i>(from)));
#endif
  Vector<T> lanes;
  for (int i = 0; i < kLanes<T>; ++i) lanes[i] = v[from[i]];
  return lanes;
}

// How Lanes channels of the result read source k of a pixel (DepthwiseGroups).
enum class Reads { kOwn, kPermuted, kShared };

template <class T, int Lanes, Reads How>
struct LaneReader {
  typedef typename SignedOf<sizeof(T)>::Type Index;

  explicit LaneReader(const DepthwiseGroups& groups_of) : groups(groups_of) {
    if constexpr (How == Reads::kPermuted)
      for (int i = 0; i < Lanes; ++i) group_lane[i] = static_cast<Index>(i / groups.size * groups.size);
  }

  // From channel 0 of the result to channel c, in the source.
  __attribute__((always_inline)) int64_t offset(int64_t c) const {
    return How == Reads::kShared ? c / groups.size * groups.sources : c;
  }

  __attribute__((always_inline)) Chunk<T, Lanes> operator()(const T* p, int64_t k) const {
    if constexpr (How == Reads::kOwn) return load_chunk<Lanes>(p + k * groups.next_source);
    if constexpr (How == Reads::kPermuted) return permute<T>(load(p), group_lane + static_cast<Index>(k));
    if constexpr (How == Reads::kShared) return broadcast(p[k]);
  }

  const DepthwiseGroups& groups;
  Chunk<Index, Lanes> group_lane;  // of each lane: the first of its group
};

// Calls body.template run<Lanes, How>() with what the channels (at least 1) and groups ask for.
template <class T, class Body>
struct WithReads {
  const DepthwiseGroups& groups;
  const Body& body;
  template <int Lanes>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (groups.size >= Lanes) return body.template run<Lanes, Reads::kShared>();
      if (groups.size > 1) return body.template run<Lanes, Reads::kPermuted>();
    }
    body.template run<Lanes, Reads::kOwn>();
  }
};

template <class T, class Body>
KONV_INLINE void with_reads(int64_t channels, const DepthwiseGroups& groups, const Body& body) {
  with_lanes<T>(channels, WithReads<T, Body>{groups, body});
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
