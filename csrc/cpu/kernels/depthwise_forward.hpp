// The tiles of the depthwise forward pass (also the gradient of x); contract: conv2d_depthwise.hpp.
#pragma once

#include "cpu/kernels/depthwise_lanes.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

#ifdef KONV_SANITIZE
constexpr int kTileColumns = 2;  // unrolled further, sanitized code takes minutes to compile
#else
constexpr int kTileColumns = 8;  // with the weights of a row of taps and a pixel they fit 16 registers
#endif

// Fetches memory piece by piece, in the order in which it lies: as a tile reads its pixels, far apart, the
// hardware would not see them coming.
template <class T>
class Fetcher {
 public:
  // All of it while so many elements of results are computed.
  Fetcher(const MemoryAhead<T>& ahead, int64_t results)
      : ahead_(ahead), share_((ahead.stretches * ahead.length + results - 1) / results) {}

  __attribute__((always_inline)) void fetch_for(int64_t results) {
    for (owed_ += results * share_; owed_ >= kLine && ahead_.stretches > 0; owed_ -= kLine) {
      __builtin_prefetch(ahead_.first + element_, 0, 2);
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

// Columns results by all channels, Lanes at a time. With Taps and Stride known, a row of taps keeps its
// weights in registers and loads each pixel once for all results that read it; Taps = 0 takes any run that
// isn't cut.
template <class T, int Lanes, Reads How, int Taps, int Stride>
struct ForwardTile {
  using V = Chunk<T, Lanes>;

  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  int64_t first, channels;
  bool cut_first, cut_last;
  Fetcher<T>& fetcher;

  template <int Columns>
  void run() const {
    const LaneReader<T, Lanes, How> read(row.groups);
    const T* x = row.source + run_.source + first * run_.source_step;
    T* y = row.result + run_.result + first * run_.result_step;
    for (int64_t i = 0; i < channels; i += Lanes) {
      const int64_t c = minimum(i, channels - Lanes);
      fetcher.fetch_for(Columns * Lanes);
      V sums[Columns];
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sums[j] = row.bias ? load_chunk<Lanes>(row.bias + c) : V{};
      const T *source = x + read.offset(c), *weights = row.weights + run_.weights + c;
      for (int64_t r = 0; r < row.tap_rows; ++r, source += row.row_step, weights += row.weights_row_step)
        for (int64_t k = 0; k < row.groups.sources; ++k)
          add_taps<Columns>(read, k, source, weights + k * row.groups.next_weights, sums);
      if (row.relu)
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) sums[j] = sums[j] <= 0 ? V{} : sums[j];
      store_sums<Columns>(y + c, sums);
    }
  }

  // Source k of a row of taps.
  template <int Columns>
  __attribute__((always_inline)) void add_taps(const LaneReader<T, Lanes, How>& read, int64_t k, const T* x,
                                               const T* w, V* sums) const {
    if constexpr (Taps > 0) {
      V weights[Taps];
#pragma GCC unroll 8
      for (int s = 0; s < Taps; ++s) weights[s] = load_chunk<Lanes>(w + s * run_.weights_step);
      constexpr int kLast = (Columns - 1) * Stride + Taps - 1;
#pragma GCC unroll 32
      for (int i = 0; i <= kLast; ++i, advance(x, run_.tap_step)) {
        if ((i == 0 && cut_first) || (i == kLast && cut_last)) continue;
        // Not an operand of each multiply-add: a load that crosses cache lines, as most do, takes as long as
        // two of those.
        const V pixel = in_register(read(x, k));
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j)
          if (i >= j * Stride && i < j * Stride + Taps) sums[j] += pixel * weights[i - j * Stride];
      }
    } else {
      for (int64_t s = 0; s < run_.taps; ++s) {
        const V weight = load_chunk<Lanes>(w + s * run_.weights_step);
        const T* p = x + s * run_.tap_step;
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j, advance(p, run_.source_step)) sums[j] += read(p, k) * weight;
      }
    }
  }

  template <int Columns>
  __attribute__((always_inline)) void store_sums(T* y, const V* sums) const {
    if constexpr (Lanes == kLanes<T>) {
      if (row.streamed) {
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j, advance(y, run_.result_step)) stream(y, sums[j]);
        return;
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j, advance(y, run_.result_step)) store_chunk(y, sums[j]);
  }
};

// By value: what is stored could else change the arguments, as far as the compiler knows.
template <class T, int Lanes, Reads How, int Taps, int Stride>
KONV_INLINE void forward_run(DepthwiseRow<T> row, DepthwiseColumns run, Fetcher<T>& fetcher) {
  const int64_t channels = row.channels * run.width;
  const int64_t tiles = (run.columns + kTileColumns - 1) / kTileColumns;  // of equal width, give or take one
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = run.columns * tile / tiles, end = run.columns * (tile + 1) / tiles;
    const bool cut_first = run.cut_first && tile == 0, cut_last = run.cut_last && tile == tiles - 1;
    with_rows<kTileColumns>(end - begin, ForwardTile<T, Lanes, How, Taps, Stride>{
                                             row, run, begin, channels, cut_first, cut_last, fetcher});
  }
}

template <class T>
struct ForwardRun {
  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  Fetcher<T>& fetcher;
  template <int Lanes, Reads How>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (run_.taps == 3 && run_.source_step == run_.tap_step)
        return forward_run<T, Lanes, How, 3, 1>(row, run_, fetcher);
      if (run_.taps == 3 && run_.source_step == 2 * run_.tap_step)
        return forward_run<T, Lanes, How, 3, 2>(row, run_, fetcher);
    }
    for_each_uncut(
        run_, [&](const DepthwiseColumns& part) { forward_run<T, Lanes, How, 0, 0>(row, part, fetcher); });
  }
};

template <class T>
void forward(const DepthwiseRow<T>& row) {
  int64_t results = 0;
  for (int64_t i = 0; i < row.run_count; ++i) results += row.runs[i].columns * row.runs[i].width;
  Fetcher<T>(row.before, 1).fetch_for(1);
  Fetcher<T> fetcher(row.ahead, results * row.channels);
  for (int64_t i = 0; i < row.run_count; ++i)
    with_reads<T>(row.channels * row.runs[i].width, row.groups, ForwardRun<T>{row, row.runs[i], fetcher});
  if (row.streamed) stream_fence();
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
