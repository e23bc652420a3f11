// The tile of 3x3 taps of the depthwise forward pass (also of the gradient of x), stride 1 or 2.
//
// A tile goes down some columns of results, a vector of channels at a time. It holds the sums of all results
// that the row of pixels just read belongs to, so that each pixel is loaded once for its nine taps: pixels
// of many channels lie 4 KiB apart, in a few sets of L1, and each load is one from L2.
#pragma once

#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T, Reads How, int Stride>
struct Forward3x3 {
  static constexpr int kL = kLanes<T>;
  using V = Chunk<T, kL>;
  // The rest of a line would be streamed only when the tile has come down.
  static constexpr bool kWholeLines = KONV_VECTOR_BYTES == 64;

  const DepthwiseBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  const LaneReader<T, kL, How>& read;
  Fetcher<T>& fetcher;

  // Columns results, from the first on, of all rows and channels.
  template <int Columns>
  __attribute__((always_inline)) void run(int64_t first) const {
    for (int64_t i = 0; i < block.channels; i += kL)
      run_vector<Columns>(first, minimum(i, block.channels - kL));
  }

  template <int Columns>
  __attribute__((always_inline)) void run_vector(int64_t first, int64_t c) const {
    const bool cut_first = columns.cut_first && first == 0;
    const bool cut_last = columns.cut_last && first + Columns == columns.count;
    const T* x = block.source + rows.source + columns.source + first * columns.source_step + read.offset(c);
    T* y = block.result + rows.result + columns.result + first * columns.result_step + c;
    V weights[3][3];
    load_weights(0, c, weights);
    // Of the results whose tap row r the row of pixels is. With stride 2 a row is tap rows 0 and 2, or 1.
    V sums[3][Columns] = {};
    const int64_t last = rows.count + (Stride == 1 ? 1 : 0);
    for (int64_t i = 0; i <= last; ++i, x += rows.tap_step) {
      const V bias = block.bias ? load(block.bias + c) : V{};
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sums[0][j] = bias;
      if (!(i == 0 && rows.cut_first) && !(i == last && rows.cut_last))
        add_row<Stride == 1 ? 7 : 5>(x, c, weights, sums, cut_first, cut_last);
      if (i >= 3 - Stride) {
        fetcher.fetch_for(Columns * kL);
        store_results<kL, kWholeLines>(block, y, columns.result_step, sums[2]);
        y += rows.result_step;
      }
      if (Stride == 2 && i < last) {
        x += rows.tap_step;
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) sums[1][j] = sums[0][j];
        add_row<2>(x, c, weights, sums, cut_first, cut_last);
      }
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) {
        sums[2][j] = sums[1][j];
        if (Stride == 1) sums[1][j] = sums[0][j];
      }
    }
  }

  __attribute__((always_inline)) void load_weights(int64_t k, int64_t c, V (&weights)[3][3]) const {
    const T* w = block.weights + rows.weights + columns.weights + k * block.groups.next_weights + c;
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r)
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) weights[r][s] = load(w + r * rows.weights_step + s * columns.weights_step);
  }

  // A row of pixels, for the tap rows whose bits are set.
  template <int TapRows, int Columns>
  __attribute__((always_inline)) void add_row(const T* x, int64_t c, V (&weights)[3][3],
                                              V (&sums)[3][Columns], bool cut_first, bool cut_last) const {
    constexpr int kLast = (Columns - 1) * Stride + 2;
    for (int64_t k = 0; k < block.groups.sources; ++k) {
      if (block.groups.sources > 1) load_weights(k, c, weights);
      const T* p = x;
#pragma GCC unroll 32
      for (int i = 0; i <= kLast; ++i, advance(p, columns.tap_step)) {
        if ((i == 0 && cut_first) || (i == kLast && cut_last)) continue;
        const V pixel = in_register(read(p, k));
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r)
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j)
            if ((TapRows >> r & 1) && i >= j * Stride && i < j * Stride + 3)
              sums[r][j] += pixel * weights[r][i - j * Stride];
      }
    }
  }
};

// By value: what is stored could else change the arguments, as far as the compiler knows.
template <class T, Reads How, int Stride>
KONV_INLINE void forward_3x3(DepthwiseBlock<T> block, DepthwiseSpan rows, DepthwiseSpan columns,
                             Fetcher<T>& fetcher) {
  const LaneReader<T, kLanes<T>, How> read(block.groups);
  for_each_tile(columns.count, Forward3x3<T, How, Stride>{block, rows, columns, read, fetcher});
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
