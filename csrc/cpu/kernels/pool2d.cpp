// Pooling over channels; contracts: pool2d.hpp. A few vectors of channels visit the whole grid of a pixel.
#include "cpu/kernels/pool2d.hpp"

#include "cpu/kernels/pool2d_gather.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

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

// Fetches what later rows read, in the order in which it lies: as pixels read it, from two or three rows at a
// time and far apart where there are many channels, the hardware would not see it coming.
template <class T>
class Fetcher {
 public:
  // All of it while so many elements of results are computed.
  Fetcher(const PoolRow<T>& r, int64_t results)
      : next_(r.ahead), end_(r.ahead + r.ahead_count), share_((r.ahead_count + results - 1) / results) {}

  [[gnu::always_inline]] void fetch_for(int64_t results) {
    for (owed_ += results * share_; owed_ >= kLine && next_ < end_; owed_ -= kLine, next_ += kLine)
      prefetch_to_l2(next_);
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(T);
  const T *next_, *end_;
  int64_t share_, owed_ = 0;
};

// The chunks of one pixel, which begins at these offsets.
template <class Op, int Columns>
struct Pixel {
  const Op& op;
  const Run& grid;
  Fetcher<typename Op::Element>& fetcher;
  int64_t from, to;
  template <int Lanes, int Vectors>
  [[gnu::always_inline]] void run(int64_t c) const {
    op.template gather<Lanes, Vectors, Columns>(grid, from + c, to + c);
    fetcher.fetch_for(Lanes * Vectors);
  }
};

// The pixels of a run from `first` on, with all their channels.
template <class Op, int Columns>
struct Pixels {
  const Op& op;
  const Run& grid;
  Fetcher<typename Op::Element>& fetcher;
  int64_t channels, first;
  template <int Lanes>
  [[gnu::always_inline]] void run() const {
    for (int64_t i = first; i < grid.pixels; ++i)
      for_each_chunk<typename Op::Element, Lanes>(
          channels, Pixel<Op, Columns>{op, grid, fetcher, grid.source + i * grid.source_step,
                                       grid.result + i * grid.result_step});
  }
};

// Pixels that gather nothing.
template <class Op>
struct EmptyPixels {
  const Op& op;
  const Run& grid;
  int64_t channels;
  template <int Lanes>
  void run() const {
    for (int64_t i = 0; i < grid.pixels; ++i)
      for (int64_t c = 0; c < channels; c += Lanes)
        op.template put_empty<Lanes>(grid.result + i * grid.result_step + minimum(c, channels - Lanes));
  }
};

template <int Lanes, int Columns, class Op>
KONV_INLINE void run_wide(const Op& op, const Run& grid, int64_t wide) {
  for (int64_t i = 0; i < wide; ++i)
    op.template gather<Lanes, 1, Columns>(grid, grid.source + i * grid.source_step,
                                          grid.result + i * grid.result_step);
}

// The op, the run and what is fetched come as copies, which stay in registers: no store can change them. A
// function of its own for each, or registers would be shared out among all of them.
template <int Columns, class Op>
__attribute__((noinline)) Fetcher<typename Op::Element> run_pixels(Op op, Run grid,
                                                                   Fetcher<typename Op::Element> fetcher,
                                                                   int64_t channels, int64_t wide) {
  constexpr int kLane = kLanes<typename Op::Element>;
  if (channels >= kLane)
    Pixels<Op, Columns>{op, grid, fetcher, channels, 0}.template run<kLane>();
  else if (channels > kLane / 2)
    run_wide<kLane, Columns>(op, grid, wide);
  else if (channels > kLane / 4)
    run_wide<(kLane + 1) / 2, Columns>(op, grid, wide);
  else
    run_wide<(kLane + 3) / 4, Columns>(op, grid, wide);
  return fetcher;
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
KONV_INLINE void run_columns(const Op& op, const Run& grid, Fetcher<typename Op::Element>& fetcher,
                             int64_t channels, int64_t wide) {
  using T = typename Op::Element;
  if (grid.rows == 0 || grid.columns == 0)
    return with_lanes<T>(channels, EmptyPixels<Op>{op, grid, channels});
  if constexpr (kUnrolls<Op>) {
    if (grid.columns == 1)
      fetcher = run_pixels<1>(op, grid, fetcher, channels, wide);
    else if (grid.columns == 2)
      fetcher = run_pixels<2>(op, grid, fetcher, channels, wide);
    else if (grid.columns == 3)
      fetcher = run_pixels<3>(op, grid, fetcher, channels, wide);
    else
      fetcher = run_pixels<0>(op, grid, fetcher, channels, wide);
  } else {
    fetcher = run_pixels<0>(op, grid, fetcher, channels, wide);
  }
  if (channels < kLanes<T> && wide < grid.pixels)
    with_lanes<T, kLanes<T> / 2>(channels, Pixels<Op, 0>{op, grid, fetcher, channels, wide});
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
  Fetcher<T> fetcher(r, r.pixels * r.channels);
  if (r.row.count == 0) {
    const Run grid = make_run(r, {0, 1, r.pixels, 0, 0, 0, 0, 1, false});
    return run_columns(gather, grid, fetcher, r.channels, 0);
  }
  for (int64_t i = 0; i < r.run_count; ++i) {
    const Run grid = make_run(r, r.runs[i]);
    const int64_t wide = wide_pixels(r, r.runs[i], grid);
    if (r.runs[i].spread)
      run_columns(spread, grid, fetcher, r.channels, wide);
    else
      run_columns(gather, grid, fetcher, r.channels, wide);
  }
}

template <class T>
void max(const PoolRow<T>& r) {
  const Max<T> op{r.source, target_of(r)};
  run_row(r, op, op);
}

// Windows of many rows and channels are summed row by row, a row with all channels, and the row behind it in
// memory is fetched meanwhile: the pixels of a whole window lie in more pages than the hardware follows. Only
// whole vectors: channels that two vectors share would be added twice.
template <class T>
KONV_INLINE bool sums_by_rows(const PoolRow<T>& r) {
  return !r.streamed && r.row.count > 3 && r.pixel_size * static_cast<int64_t>(sizeof(T)) >= 1024 &&
         r.channels % kLanes<T> == 0;
}

template <class T>
void sum(const PoolRow<T>& r) {
  const bool by_rows = sums_by_rows(r);
  const int64_t parts = by_rows ? r.row.count : 1;
  PoolRow<T> part;
  if (by_rows) part = r;
  for (int64_t i = 0; i < parts; ++i) {
    if (by_rows) {
      part.row.first = r.row.first + i * r.row_step.source;
      part.row.count = 1;
      const int64_t next = (part.row.first + 1) * r.source_row;
      part.ahead = r.source + next;
      part.ahead_count = r.channels == r.pixel_size ? minimum(r.source_row, r.source_left - next) : 0;
    }
    const Sum<T> op{r.source, target_of(r), i == 0, i == parts - 1};
    run_row(by_rows ? part : r, op, SumSpread<T>{op});
  }
}

template <class T, class Index>
void max_argmax(const PoolRow<T>& r, Index* argmax) {
  const bool whole_vectors = is_aligned(argmax) && r.pixel_size % KONV_VECTOR_BYTES == 0;
  const MaxAndArgmax<T, Index> op{r.source, target_of(r), argmax, r.streamed && whole_vectors};
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
