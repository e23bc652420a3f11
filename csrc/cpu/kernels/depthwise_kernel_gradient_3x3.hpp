// The tile of 3x3 taps of the gradient of a depthwise kernel, stride 1 or 2.
//
// As forward (depthwise_forward_3x3.hpp), a tile goes down some columns, but what it holds is the nine sums
// and the gradients of all results that the row of pixels just read belongs to.
#pragma once

#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T, Reads How, int Stride>
struct Gradient3x3 {
  using V = Vector<T>;
  static constexpr int kL = kLanes<T>;

  const DepthwiseGradientBlock<T>& block;
  const DepthwiseSpan &rows, &columns;
  const LaneReader<T, kL, How>& read;
  GradientFetcher<T>& fetcher;

  // Columns results, from the first on, of all rows, channels and sources.
  template <int Columns>
  __attribute__((always_inline)) void run(int64_t first) const {
    for (int64_t i = 0; i < block.channels; i += kL) {
      const int64_t c = minimum(i, block.channels - kL);
      for (int64_t k = 0; k < block.groups.sources; ++k) run_vector<Columns>(first, c, i - c, k);
    }
  }

  // Source k of channels from c on, those before `fresh` were added with the vector before.
  template <int Columns>
  __attribute__((always_inline)) void run_vector(int64_t first, int64_t c, int64_t fresh, int64_t k) const {
    const T* g = block.grad + rows.result + columns.result + first * columns.result_step + c;
    Tile<Columns> tile{
        block.source + rows.source + columns.source + first * columns.source_step + read.offset(c), k,
        columns.cut_first && first == 0, columns.cut_last && first + Columns == columns.count};
    V acc[3][3] = {};
    V grads[3][Columns] = {};  // of the results whose tap row r the row of pixels is
    const int64_t last = rows.count + (Stride == 1 ? 1 : 0);
    for (int64_t i = 0; i <= last; ++i, tile.x += rows.tap_step) {
      if (i < rows.count) {
        if (k == 0) fetcher.fetch_for(Columns * kL);
        const T* p = g + i * rows.result_step;
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j, advance(p, columns.result_step)) grads[0][j] = load(p);
      }
      if (!(i == 0 && rows.cut_first) && !(i == last && rows.cut_last)) {
        if (Stride == 1 && i >= 2 && i < rows.count) {
          add_row<7>(tile, grads, acc);
        } else if (Stride == 2 && i > 0 && i < last) {
          add_row<5>(tile, grads, acc);
        } else {  // only tap rows whose results exist: others would turn infinite pixels into NaN
          if (i < rows.count) add_row<1>(tile, grads, acc);
          if (Stride == 1 && i >= 1 && i <= rows.count) add_row<2>(tile, grads, acc);
          if (i >= 3 - Stride) add_row<4>(tile, grads, acc);
        }
      }
      if (Stride == 2 && i < last) {
        tile.x += rows.tap_step;
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) grads[1][j] = grads[0][j];
        add_row<2>(tile, grads, acc);
      }
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) {
        grads[2][j] = grads[1][j];
        if (Stride == 1) grads[1][j] = grads[0][j];
      }
    }
    T* sums = block.sums + rows.weights + columns.weights + k * block.groups.next_weights + c;
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r)
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s)
        add_chunk<T, kL>(sums + r * rows.weights_step + s * columns.weights_step, acc[r][s], fresh);
  }

 private:
  // Columns results of a row of pixels.
  template <int Columns>
  struct Tile {
    const T* x;
    int64_t k;
    bool cut_first, cut_last;
  };

  // A row of pixels, for the tap rows whose bits are set.
  template <int TapRows, int Columns>
  __attribute__((always_inline)) void add_row(const Tile<Columns>& tile, const V (&grads)[3][Columns],
                                              V (&acc)[3][3]) const {
    constexpr int kLast = (Columns - 1) * Stride + 2;
    const T* p = tile.x;
#pragma GCC unroll 32
    for (int i = 0; i <= kLast; ++i, advance(p, columns.tap_step)) {
      if ((i == 0 && tile.cut_first) || (i == kLast && tile.cut_last)) continue;
      const V pixel = in_register(read(p, tile.k));
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j)
          if ((TapRows >> r & 1) && i >= j * Stride && i < j * Stride + 3)
            acc[r][i - j * Stride] += pixel * grads[r][j];
    }
  }
};

// By value: what is stored could else change the arguments, as far as the compiler knows.
template <class T, Reads How, int Stride>
KONV_INLINE void gradient_3x3(DepthwiseGradientBlock<T> block, DepthwiseSpan rows, DepthwiseSpan columns,
                              GradientFetcher<T>& fetcher) {
  const LaneReader<T, kLanes<T>, How> read(block.groups);
  for_each_tile(columns.count, Gradient3x3<T, How, Stride>{block, rows, columns, read, fetcher});
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
