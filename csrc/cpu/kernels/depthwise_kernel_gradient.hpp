// The tiles of the gradient of a depthwise kernel; contract: conv2d_depthwise.hpp.
#pragma once

#include "cpu/kernels/depthwise_kernel_gradient_3x3.hpp"
#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

#ifdef KONV_SANITIZE
constexpr int kTileTaps = 3;
#else
constexpr int kTileTaps = 9;  // accumulators
#endif

// Source k of Lanes channels from c on, those before `fresh` were added with the chunk before.
template <class T, int Lanes, Reads How>
struct GradientChunk {
  using V = Chunk<T, Lanes>;

  const DepthwiseGradientBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  LaneReader<T, Lanes, How> reader;
  int64_t c, fresh, k;

  __attribute__((always_inline)) V read(const T* p) const { return reader(p, k); }

  // Calls body(x, g) for every result: where its first tap reads, and its gradient.
  template <class Body>
  __attribute__((always_inline)) void for_each_result(const Body& body) const {
    const T* row = block.source + rows.source + columns.source + reader.offset(c);
    const T* grad_row = block.grad + rows.result + columns.result + c;
    for (int64_t i = 0; i < rows.count; ++i, row += rows.source_step, grad_row += rows.result_step) {
      const T *x = row, *g = grad_row;
      for (int64_t j = 0; j < columns.count; ++j, x += columns.source_step, g += columns.result_step)
        body(x, load_chunk<Lanes>(g));
    }
  }

  __attribute__((always_inline)) T* sum(int64_t r, int64_t s) const {
    return block.sums + rows.weights + columns.weights + r * rows.weights_step + s * columns.weights_step +
           k * block.groups.next_weights + c;
  }
};

// Taps taps, counted from `first` over rows and columns of taps.
template <class T, int Lanes, Reads How>
struct GradientTile {
  const GradientChunk<T, Lanes, How>& chunk;
  int64_t first;

  template <int Taps>
  void run() const {
    int64_t tap[Taps];
    T* sum[Taps];
    int64_t r = first / chunk.columns.taps, s = first % chunk.columns.taps;
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) {
      tap[t] = r * chunk.rows.tap_step + s * chunk.columns.tap_step;
      sum[t] = chunk.sum(r, s);
      if (++s == chunk.columns.taps) s = 0, ++r;
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

// By value: what is stored could else change the arguments, as far as the compiler knows.
template <class T, int Lanes, Reads How>
KONV_INLINE void gradient_any(DepthwiseGradientBlock<T> block, DepthwiseSpan rows, DepthwiseSpan columns,
                              GradientFetcher<T>& fetcher) {
  const int64_t channels = block.channels * columns.width, taps = rows.taps * columns.taps;
  const LaneReader<T, Lanes, How> reader(block.groups);
  for (int64_t i = 0; i < channels; i += Lanes) {
    const int64_t c = minimum(i, channels - Lanes);
    fetcher.fetch_for(rows.count * columns.count * Lanes);
    for (int64_t k = 0; k < block.groups.sources; ++k) {
      const GradientChunk<T, Lanes, How> chunk{block, rows, columns, reader, c, i - c, k};
      for (int64_t t = 0; t < taps; t += kTileTaps)
        with_rows<kTileTaps>(minimum(kTileTaps, taps - t), GradientTile<T, Lanes, How>{chunk, t});
    }
  }
}

template <class T>
struct GradientSpans {
  const DepthwiseGradientBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  GradientFetcher<T>& fetcher;

  template <int Lanes, Reads How>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (is_3_taps(rows, 1) && is_3_taps(columns, 1))
        return gradient_3x3<T, How, 1>(block, rows, columns, fetcher);
      if (is_3_taps(rows, 2) && is_3_taps(columns, 2))
        return gradient_3x3<T, How, 2>(block, rows, columns, fetcher);
    }
    for_each_uncut(rows, columns, [&](const DepthwiseSpan& row_part, const DepthwiseSpan& column_part) {
      gradient_any<T, Lanes, How>(block, row_part, column_part, fetcher);
    });
  }
};

template <class T>
void kernel_gradient(const DepthwiseGradientBlock<T>& block) {
  Fetcher<T>(block.before, 1).fetch_for(1);
  const int64_t results = count_results(block.spans, block.channels);
  GradientFetcher<T> fetcher{Fetcher<T>(block.source_ahead, results), Fetcher<T>(block.grad_ahead, results)};
  for (int64_t i = 0; i < block.spans.row_spans; ++i)
    for (int64_t j = 0; j < block.spans.column_spans; ++j) {
      const DepthwiseSpan& columns = block.spans.columns[j];
      with_reads<T>(block.channels * columns.width, block.groups,
                    GradientSpans<T>{block, block.spans.rows[i], columns, fetcher});
    }
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
