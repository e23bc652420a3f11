// What the depthwise kernels share: how lanes read a pixel, spans of results, fetching, and writing. Included
// by kernel files only.
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

// The parts of a span whose results have the same taps: writes them, returns how many.
KONV_INLINE int uncut_parts(DepthwiseSpan span, DepthwiseSpan (&parts)[3]) {
  int count = 0;
  DepthwiseSpan one = span;
  one.count = 1;
  one.taps -= 1;
  if (span.cut_first) {
    parts[count] = one;
    parts[count].source += span.tap_step;
    parts[count++].weights += span.weights_step;
    span.count -= 1;
    span.source += span.source_step;
    span.result += span.result_step;
  }
  span.count -= span.cut_last;
  parts[count++] = span;
  if (span.cut_last) {
    parts[count] = one;
    parts[count].source = span.source + span.count * span.source_step;
    parts[count++].result = span.result + span.count * span.result_step;
  }
  return count;
}

// Calls body(rows, columns) for all pairs of such parts.
template <class Body>
KONV_INLINE void for_each_uncut(const DepthwiseSpan& rows, const DepthwiseSpan& columns, const Body& body) {
  DepthwiseSpan row_parts[3], column_parts[3];
  const int row_count = uncut_parts(rows, row_parts), column_count = uncut_parts(columns, column_parts);
  for (int i = 0; i < row_count; ++i)
    for (int j = 0; j < column_count; ++j) body(row_parts[i], column_parts[j]);
}

// Three taps along the axis, its results `stride` of them apart.
KONV_INLINE bool is_3_taps(const DepthwiseSpan& span, int64_t stride) {
  return span.taps == 3 && span.width == 1 && span.source_step == stride * span.tap_step;
}

// Fetches memory piece by piece, in the order in which it lies: as a tile reads its pixels, far apart, the
// hardware would not see them coming.
template <class T>
class Fetcher {
 public:
  // All of it while so many elements of results are computed.
  Fetcher(const MemoryAhead<T>& ahead, int64_t results)
      : ahead_(ahead), share_(results ? (ahead.stretches * ahead.length + results - 1) / results : 0) {}

  __attribute__((always_inline)) void fetch_for(int64_t results) {
    for (owed_ += results * share_; owed_ >= kLine && ahead_.stretches > 0; owed_ -= kLine) {
      prefetch_to_l2(ahead_.first + element_);
      element_ += kLine;
      if (element_ < ahead_.length) continue;
      element_ = 0;
      ahead_.first += ahead_.pitch;
      --ahead_.stretches;
    }
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(T);
  MemoryAhead<T> ahead_;
  int64_t share_, element_ = 0, owed_ = 0;
};

// Fetches what the next block reads of source and gradients.
template <class T>
struct GradientFetcher {
  Fetcher<T> source, grad;

  __attribute__((always_inline)) void fetch_for(int64_t results) {
    source.fetch_for(results);
    grad.fetch_for(results);
  }
};

// Results of a block, elements.
KONV_INLINE int64_t count_results(const DepthwiseSpans& spans, int64_t channels) {
  int64_t rows = 0, columns = 0;
  for (int64_t i = 0; i < spans.row_spans; ++i) rows += spans.rows[i].count;
  for (int64_t i = 0; i < spans.column_spans; ++i) columns += spans.columns[i].count * spans.columns[i].width;
  return rows * columns * channels;
}

// ReLU, and Columns results of a row written, streamed if they should and may be.
template <int Lanes, bool MayStream, class T, int Columns>
KONV_INLINE void store_results(const DepthwiseBlock<T>& block, T* y, int64_t step,
                               Chunk<T, Lanes> (&sums)[Columns]) {
  using V = Chunk<T, Lanes>;
  if (block.relu)
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) sums[j] = sums[j] <= 0 ? V{} : sums[j];
  if constexpr (MayStream && Lanes == kLanes<T>) {
    if (block.streamed) {
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j, advance(y, step)) stream(y, sums[j]);
      return;
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < Columns; ++j, advance(y, step)) store_chunk(y, sums[j]);
}

// Adds the lanes from `fresh` on: those before were added with the chunk before. Not inlined: it is rare.
template <class T>
__attribute__((noinline)) void add_lanes(T* sum, const T* addend, int64_t fresh, int64_t lanes) {
  for (int64_t i = fresh; i < lanes; ++i) sum[i] += addend[i];
}

template <class T, int Lanes>
KONV_INLINE void add_chunk(T* sum, Chunk<T, Lanes> addend, int64_t fresh) {
  if (fresh == 0) return store_chunk(sum, load_chunk<Lanes>(sum) + addend);
  T lanes[Lanes];
  store_chunk(lanes, addend);
  add_lanes(sum, lanes, fresh, Lanes);
}

#ifdef KONV_SANITIZE
constexpr int kColumns3x3 = 2;  // unrolled further, sanitized code takes minutes to compile
#elif KONV_TILE_ROWS > 6
constexpr int kColumns3x3 = 7;  // of three rows: with nine weights and a pixel they take 31 registers
#else
constexpr int kColumns3x3 = 4;  // with a pixel they fit 16 registers; weights stay in L1
#endif

// Calls body.template run<Columns>(first) for tiles of 3x3 taps that cover `count` columns.
template <class Body>
KONV_INLINE void for_each_tile(int64_t count, const Body& body) {
  int64_t first = 0;
  for (; first + kColumns3x3 <= count; first += kColumns3x3) body.template run<kColumns3x3>(first);
  for (; first < count; ++first) body.template run<1>(first);
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
