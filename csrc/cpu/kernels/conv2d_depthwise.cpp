// Depthwise convolution: forward (also the gradient of x) and the gradient of the kernel; contracts:
// conv2d_depthwise.hpp.
#include "cpu/kernels/conv2d_depthwise.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTileColumns = 8;      // with the weights of a row of taps and a pixel they fit 16 registers
constexpr int kGradientColumns = 4;  // of a row, for 9 sums: with a pixel they fit 16 registers
constexpr int kTileTaps = 9;         // accumulators of the gradient: a 3x3 kernel in one pass over the row

// ---- forward ----

// Steps a pointer in place: else the compiler keeps a pointer for every pixel of a tile, and spills most.
template <class T>
KONV_INLINE void advance(T*& pointer, int64_t step) {
  pointer += step;
  asm("" : "+r"(pointer));
}

// Calls body(run) for the parts of a run whose results have the same taps.
template <class Body>
KONV_INLINE void for_each_uncut(DepthwiseColumns run, const Body& body) {
  const auto one = [&run] {
    DepthwiseColumns part = run;
    part.columns = 1;
    part.taps -= 1;
    return part;
  };
  if (run.cut_first) {
    DepthwiseColumns first = one();
    first.source += run.tap_step;
    first.weights += run.weights_step;
    body(first);
    run.columns -= 1;
    run.source += run.source_step;
    run.result += run.result_step;
  }
  run.columns -= run.cut_last;
  body(run);
  if (run.cut_last) {
    DepthwiseColumns last = one();
    last.source += run.columns * run.source_step;
    last.result += run.columns * run.result_step;
    body(last);
  }
}

// Columns results by all channels, Lanes at a time. With Taps and Stride known, a row of taps keeps its
// weights in registers and loads each pixel once for all results that read it; Taps = 0 takes any run that
// isn't cut.
template <class T, int Lanes, int Taps, int Stride>
struct ForwardTile {
  using V = Chunk<T, Lanes>;

  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  int64_t first, channels;
  bool cut_first, cut_last;

  template <int Columns>
  void run() const {
    const T* x = row.source + run_.source + first * run_.source_step;
    T* y = row.result + run_.result + first * run_.result_step;
    for (int64_t i = 0; i < channels; i += Lanes) {
      const int64_t c = minimum(i, channels - Lanes);
      V sums[Columns];
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sums[j] = row.bias ? load_chunk<Lanes>(row.bias + c) : V{};
      const T *source = x + c, *weights = row.weights + run_.weights + c;
      for (int64_t k = 0; k < row.sources; ++k, source += row.next_source, weights += row.next_weights)
        add_taps<Columns>(source, weights, sums);
      if (row.relu)
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) sums[j] = sums[j] <= 0 ? V{} : sums[j];
      store_sums<Columns>(y + c, sums);
    }
  }

  template <int Columns>
  __attribute__((always_inline)) void add_taps(const T* x, const T* w, V* sums) const {
    for (int64_t r = 0; r < row.tap_rows; ++r, x += row.row_step, w += row.weights_row_step) {
      const T* p = x;
      if constexpr (Taps > 0) {
        V weights[Taps];
#pragma GCC unroll 8
        for (int s = 0; s < Taps; ++s) weights[s] = load_chunk<Lanes>(w + s * run_.weights_step);
        constexpr int kLast = (Columns - 1) * Stride + Taps - 1;
#pragma GCC unroll 32
        for (int i = 0; i <= kLast; ++i, advance(p, run_.tap_step)) {
          if ((i == 0 && cut_first) || (i == kLast && cut_last)) continue;
          const V pixel = load_chunk<Lanes>(p);
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j)
            if (i >= j * Stride && i < j * Stride + Taps) sums[j] += pixel * weights[i - j * Stride];
        }
      } else {
        for (int64_t s = 0; s < run_.taps; ++s) {
          const V weight = load_chunk<Lanes>(w + s * run_.weights_step);
          p = x + s * run_.tap_step;
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j, advance(p, run_.source_step))
            sums[j] += load_chunk<Lanes>(p) * weight;
        }
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
template <class T, int Lanes, int Taps, int Stride>
KONV_INLINE void forward_run(DepthwiseRow<T> row, DepthwiseColumns run) {
  const int64_t channels = row.channels * run.width;
  const int64_t tiles = (run.columns + kTileColumns - 1) / kTileColumns;  // of equal width, give or take one
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = run.columns * tile / tiles, end = run.columns * (tile + 1) / tiles;
    const bool cut_first = run.cut_first && tile == 0, cut_last = run.cut_last && tile == tiles - 1;
    with_rows<kTileColumns>(
        end - begin, ForwardTile<T, Lanes, Taps, Stride>{row, run, begin, channels, cut_first, cut_last});
  }
}

template <class T>
struct ForwardRun {
  const DepthwiseRow<T>& row;
  const DepthwiseColumns& run_;
  template <int Lanes>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (run_.taps == 3 && run_.source_step == run_.tap_step) return forward_run<T, Lanes, 3, 1>(row, run_);
      if (run_.taps == 3 && run_.source_step == 2 * run_.tap_step)
        return forward_run<T, Lanes, 3, 2>(row, run_);
    }
    for_each_uncut(run_, [&](const DepthwiseColumns& part) { forward_run<T, Lanes, 0, 0>(row, part); });
  }
};

template <class T>
void forward(const DepthwiseRow<T>& row) {
  for (int64_t i = 0; i < row.run_count; ++i)
    with_lanes<T>(row.channels * row.runs[i].width, ForwardRun<T>{row, row.runs[i]});
  if (row.streamed) stream_fence();
}

// ---- gradient of the kernel ----

// Adds the lanes from `fresh` on: those before were added with the chunk before.
template <class T, int Lanes>
KONV_INLINE void add_chunk(T* sum, Chunk<T, Lanes> addend, int64_t fresh) {
  if (fresh == 0) return store_chunk(sum, load_chunk<Lanes>(sum) + addend);
  T lanes[Lanes];
  store_chunk(lanes, addend);
  for (int64_t i = fresh; i < Lanes; ++i) sum[i] += lanes[i];
}

// Lanes channels from c on, those before `fresh` were added with the chunk before.
template <class T, int Lanes>
struct GradientChunk {
  using V = Chunk<T, Lanes>;

  const DepthwiseGradientRows<T>& rows;
  const DepthwiseColumns& run;
  int64_t c, fresh;

  // Calls body(x, g) for every result: where its first tap reads, and its gradient.
  template <class Body>
  __attribute__((always_inline)) void for_each_result(const Body& body) const {
    const T* source = rows.source + run.source + c;
    const T* grad = rows.grad + run.result + c;
    for (int64_t i = 0; i < rows.rows; ++i, source += rows.source_row, grad += rows.grad_row) {
      const T *x = source, *g = grad;
      for (int64_t j = 0; j < run.columns; ++j, x += run.source_step, g += run.result_step)
        body(x, load_chunk<Lanes>(g));
    }
  }

  __attribute__((always_inline)) T* sum(int64_t r, int64_t s) const {
    return rows.sums + run.weights + r * rows.sums_row + s * run.weights_step + c;
  }
};

// Columns results of a row, from `first` on, for a whole 3x3 kernel: each pixel is loaded once for all taps
// of its row.
template <class T, int Lanes, int Stride>
struct Gradient3x3 {
  using V = Chunk<T, Lanes>;

  const GradientChunk<T, Lanes>& chunk;
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
        const V pixel = load_chunk<Lanes>(p);
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j)
          if (i >= j * Stride && i < j * Stride + 3) acc[r][i - j * Stride] += pixel * grads[j];
      }
    }
  }
};

template <class T, int Lanes, int Stride>
KONV_INLINE void gradient_3x3(const GradientChunk<T, Lanes>& chunk) {
  Chunk<T, Lanes> acc[3][3] = {};
  const DepthwiseColumns& run = chunk.run;
  const T* source = chunk.rows.source + run.source + chunk.c;
  const T* grad = chunk.rows.grad + run.result + chunk.c;
  for (int64_t i = 0; i < chunk.rows.rows; ++i, source += chunk.rows.source_row, grad += chunk.rows.grad_row)
    for (int64_t j = 0, next; j < run.columns; j = next) {
      next = minimum(run.columns, j + kGradientColumns);
      with_rows<kGradientColumns>(
          next - j,
          Gradient3x3<T, Lanes, Stride>{chunk, source + j * run.source_step, grad + j * run.result_step,
                                        run.cut_first && j == 0, run.cut_last && next == run.columns, acc});
    }
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r)
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) add_chunk<T, Lanes>(chunk.sum(r, s), acc[r][s], chunk.fresh);
}

// Taps taps, counted from `first` over rows and columns of taps.
template <class T, int Lanes>
struct GradientTile {
  const GradientChunk<T, Lanes>& chunk;
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
      for (int t = 0; t < Taps; ++t) acc[t] += load_chunk<Lanes>(x + tap[t]) * g;
    });
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) add_chunk<T, Lanes>(sum[t], acc[t], chunk.fresh);
  }
};

// For rows and a run by value, as above.
template <class T, int Lanes>
KONV_INLINE void gradient_run(DepthwiseGradientRows<T> rows, DepthwiseColumns run) {
  const int64_t taps = rows.tap_rows * run.taps, channels = rows.channels * run.width;
  for (int64_t i = 0; i < channels; i += Lanes) {
    const int64_t c = minimum(i, channels - Lanes);
    const GradientChunk<T, Lanes> chunk{rows, run, c, i - c};
    for (int64_t t = 0; t < taps; t += kTileTaps)
      with_rows<kTileTaps>(minimum(kTileTaps, taps - t), GradientTile<T, Lanes>{chunk, t});
  }
}

template <class T, int Lanes, int Stride>
KONV_INLINE void gradient_run_3x3(DepthwiseGradientRows<T> rows, DepthwiseColumns run) {
  const int64_t channels = rows.channels * run.width;
  for (int64_t i = 0; i < channels; i += Lanes) {
    const int64_t c = minimum(i, channels - Lanes);
    gradient_3x3<T, Lanes, Stride>(GradientChunk<T, Lanes>{rows, run, c, i - c});
  }
}

template <class T>
struct GradientRun {
  const DepthwiseGradientRows<T>& rows;
  const DepthwiseColumns& run_;
  template <int Lanes>
  void run() const {
    if constexpr (Lanes == kLanes<T>) {
      if (rows.tap_rows == 3 && run_.taps == 3 && run_.source_step == run_.tap_step)
        return gradient_run_3x3<T, Lanes, 1>(rows, run_);
      if (rows.tap_rows == 3 && run_.taps == 3 && run_.source_step == 2 * run_.tap_step)
        return gradient_run_3x3<T, Lanes, 2>(rows, run_);
    }
    for_each_uncut(run_, [&](const DepthwiseColumns& part) { gradient_run<T, Lanes>(rows, part); });
  }
};

template <class T>
void kernel_gradient(const DepthwiseGradientRows<T>& rows) {
  for (int64_t i = 0; i < rows.run_count; ++i)
    with_lanes<T>(rows.channels * rows.runs[i].width, GradientRun<T>{rows, rows.runs[i]});
}

// ---- grouped ----

// Lane i is lane from[i] of v. The masks, of all lanes, spare GCC 12 a warning.
template <class T>
KONV_INLINE Vector<T> permute(Vector<T> v, Chunk<typename SignedOf<sizeof(T)>::Type, kLanes<T>> from) {
#if KONV_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Vector<T>>(
        _mm512_maskz_permutexvar_ps(-1, reinterpret_cast<__m512i>(from), reinterpret_cast<__m512>(v)));
  else
    return reinterpret_cast<Vector<T>>(
        _mm512_maskz_permutexvar_pd(-1, reinterpret_cast<__m512i>(from), reinterpret_cast<__m512d>(v)));
#elif KONV_VECTOR_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Vector<T>>(
        _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(v), reinterpret_cast<__m256i>(from)));
#endif
  Vector<T> lanes;
  for (int i = 0; i < kLanes<T>; ++i) lanes[i] = v[from[i]];
  return lanes;
}

// A vector of lanes comes from one vector of x where they lie that close; it must not reach behind the pixel.
template <class T>
void spread(const SpreadPixels<T>& s) {
  typedef typename SignedOf<sizeof(T)>::Type Index;
  for (int64_t lane = 0; lane < s.lanes; lane += kLanes<T>) {
    const int64_t count = minimum(kLanes<T>, s.lanes - lane);
    const int64_t* index = s.index + lane;
    const int64_t base = minimum(index[0], s.channels - kLanes<T>);
    const T* x = s.x;
    T* to = s.spread + lane;
    if (count == kLanes<T> && base >= 0 && index[count - 1] < base + kLanes<T>) {
      Chunk<Index, kLanes<T>> from;
      for (int i = 0; i < kLanes<T>; ++i) from[i] = static_cast<Index>(index[i] - base);
      for (int64_t p = 0; p < s.pixels; ++p, x += s.x_pitch, to += s.pitch)
        store(to, permute<T>(load(x + base), from));
    } else {
      for (int64_t p = 0; p < s.pixels; ++p, x += s.x_pitch, to += s.pitch)
        for (int64_t i = 0; i < count; ++i) to[i] = x[index[i]];
    }
  }
}

template <class T>
constexpr Conv2dDepthwiseKernels<T> kKernels = {kLanes<T>, forward<T>, kernel_gradient<T>, spread<T>};

}  // namespace

extern const Conv2dDepthwiseKernels<float> kConv2dDepthwiseFloat32 = kKernels<float>;
extern const Conv2dDepthwiseKernels<double> kConv2dDepthwiseFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
