// What one pixel of a pooled result gathers: maxima, sums and their gradients. Included by pool2d.cpp only.
#pragma once

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// Positions in a window, signed integers of the size of T; drivers make sure that they fit.
template <class T>
using Position = typename SignedOf<sizeof(T)>::Type;

// A run in one row; offsets and steps in elements.
struct Run {
  int64_t pixels, source, source_step, result, result_step;
  int64_t rows, row_step, columns, column_step;  // the grid
  int64_t position, row_position, column_position;
  double divisor;
};

// Calls body(offset, position) for neighbours [first, Columns) (0: run.columns) in a row that begins at
// these.
template <int Columns, class Body>
KONV_INLINE void for_each_column(const Run& run, int64_t offset, int64_t position, int64_t first,
                                 const Body& body) {
  const int64_t columns = Columns ? Columns : run.columns;
#pragma GCC unroll 4
  for (int64_t j = first; j < columns; ++j)
    body(offset + j * run.column_step, position + j * run.column_position);
}

// Calls body(offset, position) for the rows [first, run.rows) of the grid that begins at `offset`.
template <class Body>
KONV_INLINE void for_each_row(const Run& run, int64_t offset, int64_t first, const Body& body) {
  for (int64_t i = first; i < run.rows; ++i)
    body(offset + i * run.row_step, run.position + i * run.row_position);
}

// Calls body(offset, position) for all source pixels of the grid but the first, in row-major order.
template <int Columns, class Body>
KONV_INLINE void for_each_later_source(const Run& run, int64_t offset, const Body& body) {
  for_each_column<Columns>(run, offset, run.position, 1, body);
  for_each_row(run, offset, 1, [&](int64_t first, int64_t position) {
    for_each_column<Columns>(run, first, position, 0, body);
  });
}

// The maximum of no pixels.
template <class T, int Lanes>
KONV_INLINE Chunk<T, Lanes> least() {
  return Chunk<T, Lanes>{} - static_cast<T>(__builtin_inf());
}

// Where best keeps its place: value is not greater, or best is a NaN, the first.
template <class V>
KONV_INLINE auto keeps(V best, V value) {
  return (value <= best) | (best != best);
}

// Where a result goes: past the caches if `streamed`, for whole vectors only.
template <class T>
struct Target {
  T* data;
  bool streamed;
  template <int Lanes>
  [[gnu::always_inline]] void put(int64_t at, Chunk<T, Lanes> v) const {
    if constexpr (Lanes == kLanes<T>) {
      if (streamed) return stream(data + at, v);
    }
    store_chunk(data + at, v);
  }
};

// Of the following, gather<Lanes, Vectors, Columns>(run, from, to) computes the chunks of one pixel that
// begin `from` elements into the source and `to` into the result; its grid has rows and columns. put_empty is
// for grids that have none. kUnrolled: grids of up to 3 columns, those of nearly all networks, are known to
// the compiler.

template <class T>
struct Max {
  using Element = T;
  static constexpr bool kUnrolled = true;
  const T* source;
  Target<T> result;
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    using V = Chunk<T, Lanes>;
    V best[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) best[v] = load_chunk<Lanes>(source + from + v * Lanes);
    for_each_later_source<Columns>(run, from, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(source + at + v * Lanes);
        best[v] = keeps(best[v], value) ? best[v] : value;
      }
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) result.template put<Lanes>(to + v * Lanes, best[v]);
  }
  template <int Lanes>
  [[gnu::always_inline]] void put_empty(int64_t to) const {
    result.template put<Lanes>(to, least<T, Lanes>());
  }
};

#if KONV_VECTOR_BYTES == 64
// Four quarters of a vector, past the caches; p is aligned to the vector.
template <class Quarter>
KONV_INLINE void stream_joined(uint8_t* p, const Quarter* quarters) {
  __m512i all = _mm512_maskz_broadcast_i32x4(-1, reinterpret_cast<__m128i>(quarters[0]));
  all = _mm512_maskz_inserti32x4(-1, all, reinterpret_cast<__m128i>(quarters[1]), 1);
  all = _mm512_maskz_inserti32x4(-1, all, reinterpret_cast<__m128i>(quarters[2]), 2);
  all = _mm512_maskz_inserti32x4(-1, all, reinterpret_cast<__m128i>(quarters[3]), 3);
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), all);
}
#endif

template <class T, class Index>
struct MaxAndArgmax {
  using Element = T;
  static constexpr bool kUnrolled = sizeof(Index) == 1;
  const T* source;
  Target<T> result;
  Index* argmax;
  bool argmax_streamed;  // where four vectors of pixels have one of positions
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    using V = Chunk<T, Lanes>;
    using Positions = Chunk<Position<T>, Lanes>;
    V best[Vectors];
    Positions where[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      best[v] = load_chunk<Lanes>(source + from + v * Lanes);
      where[v] = Positions{} + static_cast<Position<T>>(run.position);
    }
    for_each_later_source<Columns>(run, from, [&](int64_t at, int64_t position) {
      const Positions here = Positions{} + static_cast<Position<T>>(position);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(source + at + v * Lanes);
        const auto stays = keeps(best[v], value);
        best[v] = stays ? best[v] : value;
        where[v] = stays ? where[v] : here;
      }
    });
    Chunk<Index, Lanes> positions[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      result.template put<Lanes>(to + v * Lanes, best[v]);
      positions[v] = convert_chunk<Index, Position<T>, Lanes>(where[v]);
    }
#if KONV_VECTOR_BYTES == 64
    if constexpr (Lanes == 16 && Vectors == 4 && sizeof(Index) == 1) {
      if (argmax_streamed) return stream_joined(argmax + to, positions);
    }
#endif
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store_chunk(argmax + to + v * Lanes, positions[v]);
  }
  template <int Lanes>
  [[gnu::always_inline]] void put_empty(int64_t to) const {
    result.template put<Lanes>(to, least<T, Lanes>());
    store_chunk(argmax + to, Chunk<Index, Lanes>{});
  }
};

template <class T>
struct Sum {
  using Element = T;
  static constexpr bool kUnrolled = true;
  const T* source;
  Target<T> result;
  bool begins = true, ends = true;  // else the result holds the sum of earlier rows, or later ones follow
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    // The rows of a window are summed apart: one chain over a large window would lose most of its digits.
    Chunk<T, Lanes> sum[Vectors];
    const auto row_sum = [&](int64_t first, Chunk<T, Lanes>* into) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) into[v] = load_chunk<Lanes>(source + first + v * Lanes);
      for_each_column<Columns>(run, first, 0, 1, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) into[v] += load_chunk<Lanes>(source + at + v * Lanes);
      });
    };
    row_sum(from, sum);
    for_each_row(run, from, 1, [&](int64_t first, int64_t) {
      Chunk<T, Lanes> addend[Vectors];
      row_sum(first, addend);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[v] += addend[v];
    });
    if (!begins) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[v] = load_chunk<Lanes>(result.data + to + v * Lanes) + sum[v];
    }
    const T divisor = ends ? static_cast<T>(run.divisor) : 1;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      result.template put<Lanes>(to + v * Lanes, divisor == 1 ? sum[v] : sum[v] / divisor);
  }
  template <int Lanes>
  [[gnu::always_inline]] void put_empty(int64_t to) const {
    result.template put<Lanes>(to, Chunk<T, Lanes>{});
  }
};

template <class T, class Index>
struct MaxGradient {
  using Element = T;
  static constexpr bool kUnrolled = sizeof(Index) == 1;
  const T* source;
  Target<T> result;
  const Index* argmax;
  template <int Lanes>
  [[gnu::always_inline]] Chunk<Position<T>, Lanes> positions(int64_t at) const {
    return convert_chunk<Position<T>, Index, Lanes>(load_chunk<Lanes>(argmax + at));
  }
  template <int Lanes>
  [[gnu::always_inline]] Chunk<T, Lanes> share(int64_t at, int64_t position) const {
    const auto here = Chunk<Position<T>, Lanes>{} + static_cast<Position<T>>(position);
    return positions<Lanes>(at) == here ? load_chunk<Lanes>(source + at) : Chunk<T, Lanes>{};
  }
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    Chunk<T, Lanes> sum[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[v] = share<Lanes>(from + v * Lanes, run.position);
    for_each_later_source<Columns>(run, from, [&](int64_t at, int64_t position) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[v] += share<Lanes>(at + v * Lanes, position);
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) result.template put<Lanes>(to + v * Lanes, sum[v]);
  }
  template <int Lanes>
  [[gnu::always_inline]] void put_empty(int64_t to) const {
    result.template put<Lanes>(to, Chunk<T, Lanes>{});
  }
};

// The same over spread runs: from one source pixel to `columns` pixels of the result.
template <class T, class Index>
struct MaxSpread : MaxGradient<T, Index> {
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    using V = Chunk<T, Lanes>;
    V gradient[Vectors];
    Chunk<Position<T>, Lanes> where[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      gradient[v] = load_chunk<Lanes>(this->source + from + v * Lanes);
      where[v] = this->template positions<Lanes>(from + v * Lanes);
    }
    for_each_column<Columns>(run, to, run.position, 0, [&](int64_t at, int64_t position) {
      const auto here = Chunk<Position<T>, Lanes>{} + static_cast<Position<T>>(position);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v)
        this->result.template put<Lanes>(at + v * Lanes, where[v] == here ? gradient[v] : V{});
    });
  }
};

template <class T>
struct SumSpread : Sum<T> {
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    const T divisor = static_cast<T>(run.divisor);
    Chunk<T, Lanes> share[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      share[v] = load_chunk<Lanes>(this->source + from + v * Lanes);
      if (divisor != 1) share[v] /= divisor;
    }
    for_each_column<Columns>(run, to, 0, 0, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) this->result.template put<Lanes>(at + v * Lanes, share[v]);
    });
  }
};

}  // namespace
}  // namespace konv::cpu::KONV_ISA
