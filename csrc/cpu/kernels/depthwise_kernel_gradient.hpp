// The tiles of the gradient of a depthwise kernel; contract: conv2d_depthwise.hpp.
#pragma once

#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

#ifdef KONV_SANITIZE
constexpr int kGradientColumns = 2, kTileTaps = 3;  // as kTileColumns
#else
constexpr int kGradientColumns = 4;  // of a row, for 9 sums: with a pixel they fit 16 registers
constexpr int kTileTaps = 9;         // accumulators: a 3x3 kernel in one pass over the row
#endif

// Adds the lanes from `fresh` on: those before were added with the chunk before.
template <class T, int Lanes>
KONV_INLINE void add_chunk(T* sum, Chunk<T, Lanes> addend, int64_t fresh) {
  if (fresh == 0) return store_chunk(sum, load_chunk<Lanes>(sum) + addend);
  T lanes[Lanes];
  store_chunk(lanes, addend);
  for (int64_t i = fresh; i < Lanes; ++i) sum[i] += lanes[i];
}

// Source k of Lanes channels from c on, those before `fresh` were added with the chunk before.
template <class T, int Lanes, Reads How>
struct GradientChunk {
  using V = Chunk<T, Lanes>;

  const DepthwiseGradientRows<T>& rows;
  const DepthwiseColumns& run;
  LaneReader<T, Lanes, How> reader;
  int64_t c, fresh, k;

  const T* source() const { return rows.source + run.source + reader.offset(c); }
  const T* grad() const { return rows.grad + run.result + c; }
  __attribute__((always_inline)) V read(const T* p) const { return reader(p, k); }

  // Calls body(x, g) for every result: where its first tap reads, and its gradient.
  template <class Body>
  __attribute__((always_inline)) void for_each_result(const Body& body) const {
    const T *row = source(), *grad_row = grad();
    for (int64_t i = 0; i < rows.rows; ++i, row += rows.source_row, grad_row += rows.grad_row) {
      const T *x = row, *g = grad_row;
      for (int64_t j = 0; j < run.columns; ++j, x += run.source_step, g += run.result_step)
        body(x, load_chunk<Lanes>(g));
    }
  }

  __attribute__((always_inline)) T* sum(int64_t r, int64_t s) const {
    return rows.sums + run.weights + r * rows.sums_row + s * run.weights_step + k * rows.groups.next_weights +
           c;
  }
};

// Columns results of a row, from `first` on, for a whole 3x3 kernel: each pixel is loaded once for all taps
// of its row.
template <class T, int Lanes, Reads How, int Stride>
struct Gradient3x3 {
  using V = Chunk<T, Lanes>;

  const GradientChunk<T, Lanes, How>& chunk;
  const T *x, *grad;
  bool cut_first, cut_last;
  V (&acc)[3][3];

  template <int Columns>
  __attribute__((always_inline)) void run() const {
    const int64_t tap_step = chunk.run.tap_step, result_step = chunk.run.result_step;
    V grads[Columns];
    const T* g = grad;
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j, advance(g, result_step)) grads[j] = load_chunk<Lanes>(g);
    const T* source = x;
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r, advance(source, chunk.rows.row_step)) {
      const T* p = source;
      constexpr int kLast = (Columns - 1) * Stride + 2;
#pragma GCC unroll 32
      for (int i = 0; i <= kLast; ++i, advance(p, tap_step)) {
        if ((i == 0 && cut_first) || (i == kLast && cut_last)) continue;
        const V pixel = in_register(chunk.read(p));
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j)
          if (i >= j * Stride && i < j * Stride + 3) acc[r][i - j * Stride] += pixel * grads[j];
      }
    }
  }
};

template <class T, int Lanes, Reads How, int Stride>
KONV_INLINE void gradient_3x3(const GradientChunk<T, Lanes, How>& chunk) {
  Chunk<T, Lanes> acc[3][3] = {};
  const DepthwiseColumns& run = chunk.run;
  const T *source = chunk.source(), *grad = chunk.grad();
  for (int64_t i = 0; i < chunk.rows.rows; ++i, source += chunk.rows.source_row, grad += chunk.rows.grad_row)
    for (int64_t j = 0, next; j < run.columns; j = next) {
      next = minimum(run.columns, j + kGradientColumns);
      with_rows<kGradientColumns>(
          next - j, Gradient3x3<T, Lanes, How, Stride>{chunk, source + j * run.source_step,
                                                       grad + j * run.result_step, run.cut_first && j == 0,
                                                       run.cut_last && next == run.columns, acc});
    }
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r)
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) add_chunk<T, Lanes>(chunk.sum(r, s), acc[r][s], chunk.fresh);
}

// Taps taps, counted from `first` over rows and columns of taps.
template <class T, int Lanes, Reads How>
struct GradientTile {
  const GradientChunk<T, Lanes, How>& chunk;
  int64_t first;

  template <int Taps>
  void run() const {
    int64_t tap[Taps];
    T* sum[Taps];
    int64_t r = first / chunk.run.taps, s = first % chunk.run.taps;
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) {
      tap[t] = r * chunk.rows.row_step + s * chunk.run.tap_step;
      sum[t] = chunk.sum(r, s);
      if (++s == chunk.run.taps) s = 0, ++r;
    }
    Chunk<T, Lanes> acc[Taps] = {};
    chunk.for_each_result([&](const T* x, Chunk<T, Lanes> g) {
#pragma GCC unroll 9
      for (int t = 0; t < Taps; ++t) acc[t] += chunk.read(x + tap[t]) * g;
    });
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) add_chunk<T, Lanes>(sum[t], acc[t], chunk.fresh);
  }
};

// Rows and run by value: what is stored could else change them, as far as the compiler knows.
template <class T, int Lanes, Reads How, class Body>
KONV_INLINE void for_each_gradient_chunk(DepthwiseGradientRows<T> rows, DepthwiseColumns run,
                                         const Body& body) {
  const int64_t channels = rows.channels * run.width;
  const LaneReader<T, Lanes, How> reader(rows.groups);
  for (int64_t i = 0; i < channels; i += Lanes) {
    const int64_t c = minimum(i, channels - Lanes);
    for (int64_t k = 0; k < rows.groups.sources; ++k)
      body(GradientChunk<T, Lanes, How>{rows, run, reader, c, i - c, k});
  }
}

template <class T, int Lanes, Reads How>
KONV_INLINE void gradient_run(const DepthwiseGradientRows<T>& all_rows, const DepthwiseColumns& part) {
  for_each_gradient_chunk<T, Lanes, How>(all_rows, part, [](const GradientChunk<T, Lanes, How>& chunk) {
    const int64_t taps = chunk.rows.tap_rows * chunk.run.taps;
    for (int64_t t = 0; t < taps; t += kTileTaps)
      with_rows<kTileTaps>(minimum(kTileTaps, taps - t), GradientTile<T, Lanes, How>{chunk, t});
  });
}

template <class T>
struct GradientRun {
  const DepthwiseGradientRows<T>& rows;
  const DepthwiseColumns& run_;
  template <int Lanes, Reads How>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      const bool is_3x3 = rows.tap_rows == 3 && run_.taps == 3;
      if (is_3x3 && run_.source_step == run_.tap_step) return run_3x3<Lanes, How, 1>();
      if (is_3x3 && run_.source_step == 2 * run_.tap_step) return run_3x3<Lanes, How, 2>();
    }
    for_each_uncut(run_, [&](const DepthwiseColumns& part) { gradient_run<T, Lanes, How>(rows, part); });
  }

  template <int Lanes, Reads How, int Stride>
  void run_3x3() const {
    for_each_gradient_chunk<T, Lanes, How>(rows, run_, [](const GradientChunk<T, Lanes, How>& chunk) {
      gradient_3x3<T, Lanes, How, Stride>(chunk);
    });
  }
};

template <class T>
void kernel_gradient(const DepthwiseGradientRows<T>& rows) {
  for (int64_t i = 0; i < rows.run_count; ++i)
    with_reads<T>(rows.channels * rows.runs[i].width, rows.groups, GradientRun<T>{rows, rows.runs[i]});
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
