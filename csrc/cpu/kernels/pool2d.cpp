// Pooling over channels; contracts: pool2d.hpp. A few vectors of channels visit the whole grid of a pixel.
#include "cpu/kernels/pool2d.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// Calls body(offset, j) for the source pixels (i, j) of the grid's row i.
template <class T, class Body>
KONV_INLINE void for_each_source_of_row(const PoolRow<T>& r, const PoolSpan& column, int64_t i,
                                        const Body& body) {
  const int64_t row_offset = (r.row.first + i * r.row_step.source) * r.source_row;
  for (int64_t j = 0; j < column.count; ++j)
    body(row_offset + (column.first + j * r.column_step.source) * r.source_column, j);
}

// Calls body(offset, i, j) for source pixel (i, j) of the grid, in row-major order.
template <class T, class Body>
KONV_INLINE void for_each_source(const PoolRow<T>& r, const PoolSpan& column, const Body& body) {
  for (int64_t i = 0; i < r.row.count; ++i)
    for_each_source_of_row(r, column, i, [&](int64_t offset, int64_t j) { body(offset, i, j); });
}

// Positions in a window, signed integers of the size of T; drivers make sure that they fit.
template <class T>
using Position = typename SignedOf<sizeof(T)>::Type;

template <class T>
KONV_INLINE Position<T> position(const PoolRow<T>& r, const PoolSpan& column, int64_t i, int64_t j) {
  return static_cast<Position<T>>((r.row.tap + i * r.row_step.tap) * r.window_columns + column.tap +
                                  j * r.column_step.tap);
}

// Where value takes the place of best: it is greater, or the first NaN.
template <class V>
KONV_INLINE auto beats(V value, V best) {
  return (!(value <= best)) & (best == best);
}

template <class T>
struct MaxPixel {
  const PoolRow<T>& r;
  int64_t pixel;
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    using V = Chunk<T, Lanes>;
    V best[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) best[v] = V{} - static_cast<T>(__builtin_inf());
    for_each_source(r, r.columns[pixel], [&](int64_t offset, int64_t, int64_t) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(r.source + offset + c + v * Lanes);
        best[v] = beats(value, best[v]) ? value : best[v];
      }
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      store_chunk(r.result + pixel * r.result_column + c + v * Lanes, best[v]);
  }
};

template <class T, class Index>
struct ArgmaxPixel {
  const PoolRow<T>& r;
  Index* argmax;
  int64_t pixel;
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    using V = Chunk<T, Lanes>;
    using Positions = Chunk<Position<T>, Lanes>;
    const PoolSpan& column = r.columns[pixel];
    V best[Vectors];
    Positions where[Vectors];
    const bool empty = r.row.count == 0 || column.count == 0;
    const Position<T> start = empty ? 0 : position(r, column, 0, 0);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      best[v] = V{} - static_cast<T>(__builtin_inf());
      where[v] = Positions{} + start;
    }
    for_each_source(r, column, [&](int64_t offset, int64_t i, int64_t j) {
      const Positions here = Positions{} + position(r, column, i, j);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V value = load_chunk<Lanes>(r.source + offset + c + v * Lanes);
        const auto wins = beats(value, best[v]);
        best[v] = wins ? value : best[v];
        where[v] = wins ? here : where[v];
      }
    });
    const int64_t at = pixel * r.result_column + c;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      store_chunk(r.result + at + v * Lanes, best[v]);
      store_chunk(argmax + at + v * Lanes, convert_chunk<Index, Position<T>, Lanes>(where[v]));
    }
  }
};

template <class T>
struct SumPixel {
  const PoolRow<T>& r;
  int64_t pixel;
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    const PoolSpan& column = r.columns[pixel];
    // The rows of a window are summed apart: one chain over a large window would lose most of its digits.
    Chunk<T, Lanes> sum[Vectors] = {};
    for (int64_t i = 0; i < r.row.count; ++i) {
      Chunk<T, Lanes> row_sum[Vectors] = {};
      for_each_source_of_row(r, column, i, [&](int64_t offset, int64_t) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) row_sum[v] += load_chunk<Lanes>(r.source + offset + c + v * Lanes);
      });
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[v] += row_sum[v];
    }
    const T divisor = static_cast<T>(r.row.divisor * column.divisor);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      store_chunk(r.result + pixel * r.result_column + c + v * Lanes,
                  divisor == 1 ? sum[v] : sum[v] / divisor);
  }
};

template <class T, class Index>
struct MaxGradientPixel {
  const PoolRow<T>& r;
  const Index* argmax;
  int64_t pixel;
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    using V = Chunk<T, Lanes>;
    using Positions = Chunk<Position<T>, Lanes>;
    const PoolSpan& column = r.columns[pixel];
    V sum[Vectors] = {};
    for_each_source(r, column, [&](int64_t offset, int64_t i, int64_t j) {
      const Positions here = Positions{} + position(r, column, i, j);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const int64_t at = offset + c + v * Lanes;
        const Positions where = convert_chunk<Position<T>, Index, Lanes>(load_chunk<Lanes>(argmax + at));
        sum[v] += where == here ? load_chunk<Lanes>(r.source + at) : V{};
      }
    });
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store_chunk(r.result + pixel * r.result_column + c + v * Lanes, sum[v]);
  }
};

// Runs Pixel{arguments..., pixel} on every pixel and chunk of a row.
template <class T, class MakePixel>
struct RowRun {
  const PoolRow<T>& r;
  const MakePixel& make;
  template <int Lanes>
  void run() const {
    for (int64_t pixel = 0; pixel < r.pixels; ++pixel) for_each_chunk<T, Lanes>(r.channels, make(pixel));
  }
};

template <class T, class MakePixel>
KONV_INLINE void run_row(const PoolRow<T>& r, const MakePixel& make) {
  with_lanes<T>(r.channels, RowRun<T, MakePixel>{r, make});
}

template <class T>
void max(const PoolRow<T>& r) {
  run_row(r, [&](int64_t pixel) { return MaxPixel<T>{r, pixel}; });
}

template <class T>
void sum(const PoolRow<T>& r) {
  run_row(r, [&](int64_t pixel) { return SumPixel<T>{r, pixel}; });
}

template <class T, class Index>
void max_argmax(const PoolRow<T>& r, Index* argmax) {
  run_row(r, [&](int64_t pixel) { return ArgmaxPixel<T, Index>{r, argmax, pixel}; });
}

template <class T, class Index>
void max_gradient(const PoolRow<T>& r, const Index* argmax) {
  run_row(r, [&](int64_t pixel) { return MaxGradientPixel<T, Index>{r, argmax, pixel}; });
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
