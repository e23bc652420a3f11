// Pooling over channels; contracts: pool2d.hpp. A few vectors of channels visit the whole grid of a pixel.
#include "cpu/kernels/pool2d.hpp"

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

template <class T>
KONV_INLINE Run make_run(const PoolRow<T>& r, const PoolRun& run) {
  return {run.pixels,
          r.row.first * r.source_row + run.source * r.pixel_size,
          run.source_step * r.pixel_size,
          run.pixel * r.pixel_size,
          run.pixel_step * r.pixel_size,
          r.row.count,
          r.row_step.source * r.source_row,
          run.columns,
          (run.spread ? 1 : r.column_step.source) * r.pixel_size,
          r.row.tap * r.window_columns + run.tap,
          r.row_step.tap * r.window_columns,
          run.spread ? 1 : r.column_step.tap,
          r.row.divisor * run.divisor};
}

// Calls body(offset, position) for `Columns` (0: run.columns) neighbours in a row that begins at these.
template <int Columns, class Body>
KONV_INLINE void for_each_column(const Run& run, int64_t offset, int64_t position, const Body& body) {
  const int64_t columns = Columns ? Columns : run.columns;
#pragma GCC unroll 4
  for (int64_t j = 0; j < columns; ++j)
    body(offset + j * run.column_step, position + j * run.column_position);
}

// Calls body(offset, position) for the rows of the grid that begins at `offset`.
template <class Body>
KONV_INLINE void for_each_row(const Run& run, int64_t offset, const Body& body) {
  int64_t position = run.position;
  for (int64_t i = 0; i < run.rows; ++i, offset += run.row_step, position += run.row_position)
    body(offset, position);
}

// Calls body(offset, position) for all source pixels of the grid, in row-major order.
template <int Columns, class Body>
KONV_INLINE void for_each_source(const Run& run, int64_t offset, const Body& body) {
  for_each_row(run, offset, [&](int64_t first, int64_t position) {
    for_each_column<Columns>(run, first, position, body);
  });
}

// Where value takes the place of best: it is greater, or the first NaN.
template <class V>
KONV_INLINE auto beats(V value, V best) {
  return (!(value <= best)) & (best == best);
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
// begin `from` elements into the source and `to` into the result. kUnrolled: grids of up to 3 columns, those
// of nearly all networks, are known to the compiler.

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
    for (int v = 0; v < Vectors; ++v) best[v] = V{} - static_cast<T>(__builtin_inf());
    for_each_source<Columns>(run, from, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(source + at + v * Lanes);
        best[v] = beats(value, best[v]) ? value : best[v];
      }
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) result.template put<Lanes>(to + v * Lanes, best[v]);
  }
};

template <class T, class Index>
struct MaxAndArgmax {
  using Element = T;
  static constexpr bool kUnrolled = sizeof(Index) == 1;
  const T* source;
  Target<T> result;
  Index* argmax;
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    using V = Chunk<T, Lanes>;
    using Positions = Chunk<Position<T>, Lanes>;
    V best[Vectors];
    Positions where[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      best[v] = V{} - static_cast<T>(__builtin_inf());
      where[v] = Positions{} + static_cast<Position<T>>(run.rows && run.columns ? run.position : 0);
    }
    for_each_source<Columns>(run, from, [&](int64_t at, int64_t position) {
      const Positions here = Positions{} + static_cast<Position<T>>(position);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(source + at + v * Lanes);
        const auto wins = beats(value, best[v]);
        best[v] = wins ? value : best[v];
        where[v] = wins ? here : where[v];
      }
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      result.template put<Lanes>(to + v * Lanes, best[v]);
      store_chunk(argmax + to + v * Lanes, convert_chunk<Index, Position<T>, Lanes>(where[v]));
    }
  }
};

template <class T>
struct Sum {
  using Element = T;
  static constexpr bool kUnrolled = true;
  const T* source;
  Target<T> result;
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    // The rows of a window are summed apart: one chain over a large window would lose most of its digits.
    Chunk<T, Lanes> sum[Vectors] = {};
    for_each_row(run, from, [&](int64_t first, int64_t position) {
      Chunk<T, Lanes> row_sum[Vectors] = {};
      for_each_column<Columns>(run, first, position, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) row_sum[v] += load_chunk<Lanes>(source + at + v * Lanes);
      });
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[v] += row_sum[v];
    });
    const T divisor = static_cast<T>(run.divisor);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      result.template put<Lanes>(to + v * Lanes, divisor == 1 ? sum[v] : sum[v] / divisor);
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
  template <int Lanes, int Vectors, int Columns>
  [[gnu::always_inline]] void gather(const Run& run, int64_t from, int64_t to) const {
    using V = Chunk<T, Lanes>;
    V sum[Vectors] = {};
    for_each_source<Columns>(run, from, [&](int64_t at, int64_t position) {
      const auto here = Chunk<Position<T>, Lanes>{} + static_cast<Position<T>>(position);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v)
        sum[v] += positions<Lanes>(at + v * Lanes) == here ? load_chunk<Lanes>(source + at + v * Lanes) : V{};
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) result.template put<Lanes>(to + v * Lanes, sum[v]);
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
    for_each_column<Columns>(run, to, run.position, [&](int64_t at, int64_t position) {
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
    for_each_column<Columns>(run, to, 0, [&](int64_t at, int64_t) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) this->result.template put<Lanes>(at + v * Lanes, share[v]);
    });
  }
};

// The chunks of one pixel, which begins at these offsets.
template <class Op, int Columns>
struct Pixel {
  const Op& op;
  const Run& grid;
  int64_t from, to;
  template <int Lanes, int Vectors>
  [[gnu::always_inline]] void run(int64_t c) const {
    op.template gather<Lanes, Vectors, Columns>(grid, from + c, to + c);
  }
};

// The pixels of a run from `first` on, with all their channels.
template <class Op, int Columns>
struct Pixels {
  const Op& op;
  const Run& grid;
  int64_t channels, first;
  template <int Lanes>
  [[gnu::always_inline]] void run() const {
    for (int64_t i = first; i < grid.pixels; ++i)
      for_each_chunk<typename Op::Element, Lanes>(
          channels, Pixel<Op, Columns>{op, grid, grid.source + i * grid.source_step,
                                       grid.result + i * grid.result_step});
  }
};

template <int Lanes, int Columns, class Op>
KONV_INLINE void run_wide(const Op& op, const Run& grid, int64_t wide) {
  for (int64_t i = 0; i < wide; ++i)
    op.template gather<Lanes, 1, Columns>(grid, grid.source + i * grid.source_step,
                                          grid.result + i * grid.result_step);
}

// The op and the run come as copies, which stay in registers: no store can change them.
template <int Columns, class Op>
KONV_INLINE void run_pixels(Op op, Run grid, int64_t channels, int64_t wide) {
  constexpr int kLane = kLanes<typename Op::Element>;
  if (channels >= kLane) return Pixels<Op, Columns>{op, grid, channels, 0}.template run<kLane>();
  if (channels > kLane / 2) return run_wide<kLane, Columns>(op, grid, wide);
  if (channels > kLane / 4) return run_wide<(kLane + 1) / 2, Columns>(op, grid, wide);
  run_wide<(kLane + 3) / 4, Columns>(op, grid, wide);
}

// With sanitizers the unrolled grids take minutes to compile, and the general one reads and writes the same.
#ifdef KONV_SANITIZE
template <class Op>
constexpr bool kUnrolls = false;
#else
template <class Op>
constexpr bool kUnrolls = Op::kUnrolled;
#endif

// Of channels that do not fill a vector, the first `wide` pixels are read and written as one vector each, of
// a whole or half or quarter size: what is written too much, the next pixels put right.
template <class Op>
KONV_INLINE void run_columns(const Op& op, const Run& grid, int64_t channels, int64_t wide) {
  using T = typename Op::Element;
  if constexpr (kUnrolls<Op>) {
    if (grid.columns == 1)
      run_pixels<1>(op, grid, channels, wide);
    else if (grid.columns == 2)
      run_pixels<2>(op, grid, channels, wide);
    else if (grid.columns == 3)
      run_pixels<3>(op, grid, channels, wide);
    else
      run_pixels<0>(op, grid, channels, wide);
  } else {
    run_pixels<0>(op, grid, channels, wide);
  }
  if (channels < kLanes<T> && wide < grid.pixels)
    with_lanes<T, kLanes<T> / 2>(channels, Pixels<Op, 0>{op, grid, channels, wide});
}

// How many pixels of a run whose channels do not fill a vector may be wide.
template <class T>
KONV_INLINE int64_t wide_pixels(const PoolRow<T>& r, const PoolRun& run, const Run& grid) {
  const int64_t last_row = r.row.first + (r.row.count - 1) * r.row_step.source;
  if (r.channels >= kLanes<T> || (last_row + 1) * r.source_row + kLanes<T> > r.source_left) return 0;
  const int64_t last_column = run.spread ? (run.columns - 1) * r.pixel_size : 0;
  const int64_t left = r.result_left - grid.result - last_column - kLanes<T>;
  return left < 0 ? 0 : minimum(run.pixels, left / grid.result_step + 1);
}

template <class T>
KONV_INLINE Target<T> target_of(const PoolRow<T>& r) {
  const bool aligned = is_aligned(r.result) && r.channels % kLanes<T> == 0 && r.pixel_size % kLanes<T> == 0;
  return {r.result, r.streamed && aligned};
}

// `spread` is what runs on spread runs.
template <class T, class Gather, class Spread>
KONV_INLINE void run_row(const PoolRow<T>& r, const Gather& gather, const Spread& spread) {
  if (r.row.count == 0) {
    const Run grid = make_run(r, {0, 1, r.pixels, 0, 0, 0, 0, 1, false});
    return run_columns(gather, grid, r.channels, 0);
  }
  for (int64_t i = 0; i < r.run_count; ++i) {
    const Run grid = make_run(r, r.runs[i]);
    const int64_t wide = wide_pixels(r, r.runs[i], grid);
    if (r.runs[i].spread)
      run_columns(spread, grid, r.channels, wide);
    else
      run_columns(gather, grid, r.channels, wide);
  }
}

template <class T>
void max(const PoolRow<T>& r) {
  const Max<T> op{r.source, target_of(r)};
  run_row(r, op, op);
}

template <class T>
void sum(const PoolRow<T>& r) {
  const Sum<T> op{r.source, target_of(r)};
  run_row(r, op, SumSpread<T>{op});
}

template <class T, class Index>
void max_argmax(const PoolRow<T>& r, Index* argmax) {
  const MaxAndArgmax<T, Index> op{r.source, target_of(r), argmax};
  run_row(r, op, op);
}

template <class T, class Index>
void max_gradient(const PoolRow<T>& r, const Index* argmax) {
  const MaxGradient<T, Index> op{r.source, target_of(r), argmax};
  run_row(r, op, MaxSpread<T, Index>{op});
}

template <class T>
constexpr Pool2dKernels<T> kKernels = {max<T>,
                                       sum<T>,
                                       {max_argmax<T, uint8_t>, max_gradient<T, uint8_t>},
                                       {max_argmax<T, int32_t>, max_gradient<T, int32_t>}};

}  // namespace

extern const Pool2dKernels<float> kPool2dFloat32 = kKernels<float>;
extern const Pool2dKernels<double> kPool2dFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
