// The tiles of the depthwise forward pass (also the gradient of x); contract: conv2d_depthwise.hpp.
#pragma once

#include "cpu/kernels/depthwise_forward_3x3.hpp"
#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

#ifdef KONV_SANITIZE
constexpr int kTileColumns = 2;
#else
constexpr int kTileColumns = 8;  // with a weight and a pixel they fit 16 registers
#endif

// Columns results of a row by all channels, Lanes at a time, with any taps, none of them cut.
template <class T, int Lanes, Reads How>
struct ForwardTile {
  using V = Chunk<T, Lanes>;

  const DepthwiseBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  int64_t row, first, channels;
  Fetcher<T>& fetcher;

  template <int Columns>
  void run() const {
    const LaneReader<T, Lanes, How> read(block.groups);
    const T* x =
        block.source + rows.source + row * rows.source_step + columns.source + first * columns.source_step;
    T* y = block.result + rows.result + row * rows.result_step + columns.result + first * columns.result_step;
    for (int64_t i = 0; i < channels; i += Lanes) {
      const int64_t c = minimum(i, channels - Lanes);
      fetcher.fetch_for(Columns * Lanes);
      V sums[Columns];
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sums[j] = block.bias ? load_chunk<Lanes>(block.bias + c) : V{};
      const T *source = x + read.offset(c), *weights = block.weights + rows.weights + columns.weights + c;
      for (int64_t r = 0; r < rows.taps; ++r, source += rows.tap_step, weights += rows.weights_step)
        for (int64_t k = 0; k < block.groups.sources; ++k)
          add_taps<Columns>(read, k, source, weights + k * block.groups.next_weights, sums);
      store_results<Lanes, true>(block, y + c, columns.result_step, sums);
    }
  }

  // Source k of a row of taps.
  template <int Columns>
  __attribute__((always_inline)) void add_taps(const LaneReader<T, Lanes, How>& read, int64_t k, const T* x,
                                               const T* w, V* sums) const {
    for (int64_t s = 0; s < columns.taps; ++s) {
      const V weight = load_chunk<Lanes>(w + s * columns.weights_step);
      const T* p = x + s * columns.tap_step;
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j, advance(p, columns.source_step)) sums[j] += read(p, k) * weight;
    }
  }
};

// By value: what is stored could else change the arguments, as far as the compiler knows.
template <class T, int Lanes, Reads How>
KONV_INLINE void forward_any(DepthwiseBlock<T> block, DepthwiseSpan rows, DepthwiseSpan columns,
                             Fetcher<T>& fetcher) {
  const int64_t channels = block.channels * columns.width;
  const int64_t tiles =
      (columns.count + kTileColumns - 1) / kTileColumns;  // of equal width, give or take one
  for (int64_t row = 0; row < rows.count; ++row)
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = columns.count * tile / tiles, end = columns.count * (tile + 1) / tiles;
      with_rows<kTileColumns>(
          end - begin, ForwardTile<T, Lanes, How>{block, rows, columns, row, begin, channels, fetcher});
    }
}

template <class T>
struct ForwardSpans {
  const DepthwiseBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  Fetcher<T>& fetcher;

  template <int Lanes, Reads How>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (is_3_taps(rows, 1) && is_3_taps(columns, 1))
        return forward_3x3<T, How, 1>(block, rows, columns, fetcher);
      if (is_3_taps(rows, 2) && is_3_taps(columns, 2))
        return forward_3x3<T, How, 2>(block, rows, columns, fetcher);
    }
    for_each_uncut(rows, columns, [&](const DepthwiseSpan& row_part, const DepthwiseSpan& column_part) {
      forward_any<T, Lanes, How>(block, row_part, column_part, fetcher);
    });
  }
};

template <class T>
void forward(const DepthwiseBlock<T>& block) {
  Fetcher<T>(block.before, 1).fetch_for(1);
  Fetcher<T> fetcher(block.ahead, count_results(block.spans, block.channels));
  for (int64_t i = 0; i < block.spans.row_spans; ++i)
    for (int64_t j = 0; j < block.spans.column_spans; ++j) {
      const DepthwiseSpan& columns = block.spans.columns[j];
      with_reads<T>(block.channels * columns.width, block.groups,
                    ForwardSpans<T>{block, block.spans.rows[i], columns, fetcher});
    }
  if (block.streamed) stream_fence();
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
