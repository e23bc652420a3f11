// Direct convolution: packing, the forward tile (also the gradient of x) and the gradient of the kernel.
//
// Contracts: conv2d_direct.hpp. The tile is the outer product of design: KONV_TILE_ROWS pixels (or channels)
// by one or two vectors of filters, all accumulators in registers. Every output element has one accumulator
// that adds in the order of taps and channels, so no result depends on where a tile begins.
#include "cpu/kernels/conv2d_direct.hpp"

#include "cpu/kernels/fetch_ahead.hpp"
#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTileRows =
    KONV_TILE_ROWS;  // 14 with 32 registers, 6 with 16: rows * 2 accumulators and their operands

// Of a tile, beside what its loop itself needs.
#ifdef __x86_64__
constexpr int kPixelsInRegisters = 6;
#else
constexpr int kPixelsInRegisters = 14;
#endif

template <class T>
constexpr int64_t kLine = 64 / sizeof(T);  // elements of a cache line

// The panels of a task that stay in L2. Larger ones come from L3 or, in inference, from memory: fetching them
// ahead made 512->2048 at 7x7, one image, 1.09 to 1.14 times as fast.
constexpr int64_t kPanelsInL2 = 192 << 10;

// ---- packing ----

template <class T>
void zero_elements(T* to, int64_t count) {
  __builtin_memset(to, 0, count * sizeof(T));
}

template <class T>
void pack_slab(const SlabSource<T>& s) {
  for (int64_t row = 0; row < s.rows; ++row) {
    T* slab_row = s.slab + row * s.positions * s.pitch;
    if (s.row_index[row] < 0) {
      zero_elements(slab_row, s.positions * s.pitch);
      continue;
    }
    const T* x_row = s.x + s.row_index[row] * s.row_stride;
    for (int64_t i = 0; i < s.run_count; ++i) {
      const ColumnRun& run = s.runs[i];
      T* to = slab_row + run.begin * s.pitch;
      if (run.column < 0) {
        zero_elements(to, run.length * s.pitch);
        continue;
      }
      const T* from = x_row + run.column * s.column_stride;
      if (s.pitch == s.column_stride) {
        // The last pixel has `channels` elements: there may be no pitch behind it.
        copy_elements(to, from, (run.length - 1) * s.pitch + s.channels);
      } else {
        for (int64_t j = 0; j < run.length; ++j, to += s.pitch, from += s.column_stride)
          copy_elements(to, from, s.channels);
      }
    }
  }
}

constexpr int64_t kRowsAhead = 16;  // prefetched: a memory access's time of packing
constexpr int64_t kLinesAhead = 4;

// Elements of neighbouring lanes, read as they lie.
template <class T, int B>
KONV_INLINE void pack_rows(const PanelSource<T>& s, const T* from, T* to) {
  for (int64_t e = 0; e < s.elements; ++e, to += B, from += s.element_stride) {
    T* block = to;
    int64_t lane = 0;
    // Rows of a wide kernel lie too far apart for the hardware to see a pattern.
    const T* ahead = from + minimum(kRowsAhead, s.elements - 1 - e) * s.element_stride;
    for (int64_t line = 0; line < s.lanes; line += kLine<T>) __builtin_prefetch(ahead + line);
    for (; lane + B <= s.lanes; lane += B, block += s.panel_stride) copy_elements(block, from + lane, B);
    if (lane < s.lanes) {
      copy_elements(block, from + lane, s.lanes - lane);
      zero_elements(block + s.lanes - lane, B - (s.lanes - lane));
    }
  }
}

// Elements of lanes that lie apart, a line of each lane at a time: what it is scattered to stays in L1.
template <class T, int B>
KONV_INLINE void pack_transposed(const PanelSource<T>& s, const T* from, T* to) {
  for (int64_t first_lane = 0; first_lane < s.lanes; first_lane += B, to += s.panel_stride) {
    const int64_t lanes = minimum(B, s.lanes - first_lane);
    if (lanes < B) zero_elements(to, s.elements * B);
    for (int64_t first = 0; first < s.elements; first += kLine<T>) {
      const int64_t end = minimum(first + kLine<T>, s.elements);
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const T* row = from + (first_lane + lane) * s.lane_stride;
        __builtin_prefetch(row + minimum(first + kLinesAhead * kLine<T>, s.elements - 1) * s.element_stride);
        for (int64_t e = first; e < end; ++e) to[e * B + lane] = row[e * s.element_stride];
      }
    }
  }
}

template <class T, int Vectors>
void pack_panel(const PanelSource<T>& source) {
  const PanelSource<T> s = source;  // a copy, which what is written can't alias
  constexpr int B = Vectors * kLanes<T>;
  for (int64_t run = 0; run < s.runs; ++run) {
    const T* from = s.source + s.run_offset[run];
    T* to = s.panel + run * s.elements * B;
    if (s.lane_stride == 1)
      pack_rows<T, B>(s, from, to);
    else
      pack_transposed<T, B>(s, from, to);
  }
}

// ---- forward ----

// A table that is read where its numbers are used. More of them than registers hold would be spilled when a
// tile starts, and those stores would wait for the last tile's results: 3->64 3x3 is 1.07 times as fast so,
// the hot tile of 64->64 1x1 1.03 times.
template <class T>
KONV_INLINE const T* read_in_place(const T* p) {
  asm("" : "+r"(p));
  return p;
}

// The sums of a tile, to the filters [k, k + B) of its pixels. Each step is a loop of its own, so that a tile
// takes one branch a step, not one a vector: with 64 channels those were a tenth of the time.
template <class T, int Vectors, int Rows>
KONV_INLINE void finish_tile(const DirectBlock<T>& b, Vector<T> (&acc)[Rows][Vectors], const int64_t* out,
                             int64_t k) {
  int64_t count[Vectors];  // lanes that have a filter
  for (int j = 0; j < Vectors; ++j) count[j] = minimum(kLanes<T>, b.filters - k - j * kLanes<T>);
  const bool whole = count[Vectors - 1] == kLanes<T>;
  T* const y = b.y + k;
  const auto each = [&](const auto& step) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const int64_t place = read_in_place(out)[i];
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) step(acc[i][j], place + j * kLanes<T>, j);
    }
  };
  const auto add = [&](const T* from) __attribute__((always_inline)) {
    if (whole)
      each([&](Vector<T>& sum, int64_t at, int) { sum = load(from + at) + sum; });
    else
      each([&](Vector<T>& sum, int64_t at, int j) {
        if (count[j] > 0) sum = load_partial(from + at, count[j]) + sum;
      });
  };
  if (b.accumulate) add(y);
  if (b.finish && b.bias) {
    Vector<T> bias[Vectors] = {};
    for (int j = 0; j < Vectors; ++j)
      if (count[j] > 0) bias[j] = load_partial(b.bias + k + j * kLanes<T>, count[j]);
    each([&](Vector<T>& sum, int64_t, int j) { sum += bias[j]; });
  }
  if (b.finish && b.addend) add(b.addend + k);
  if (b.finish && b.relu) each([&](Vector<T>& sum, int64_t, int) { sum = relu<T>(sum); });
  if (!whole)
    each([&](Vector<T>& sum, int64_t at, int j) {
      if (count[j] > 0) store_partial(y + at, sum, count[j]);
    });
  else if (b.stream)
    each([&](Vector<T>& sum, int64_t at, int) { stream(y + at, sum); });
  else
    each([&](Vector<T>& sum, int64_t at, int) { store(y + at, sum); });
}

// acc += x[pixel[.] + l] * filters w, l in [0, length); returns the filters behind them.
template <class T, int Vectors, int Rows>
KONV_INLINE const T* add_products(Vector<T> (&acc)[Rows][Vectors], const T* x, const int64_t* pixel,
                                  const T* w, int64_t length) {
  for (const T* const end = x + length; x < end; ++x, w += Vectors * kLanes<T>) {
    Vector<T> wv[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) wv[j] = load(w + j * kLanes<T>);
    const int64_t* const at = Rows > kPixelsInRegisters ? read_in_place(pixel) : pixel;
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) acc[i][j] += x[at[i]] * wv[j];
  }
  return w;
}

// What a tile fetches, some of it for each line of channels that it goes through.
template <class T>
struct Ahead {
  const T* panel;   // the next one's share
  int64_t lines;    // a step
  const T* addend;  // of a tile's filters, may be null; likewise the result
  T* y;
  const int64_t* out;  // the tile's pixels
  int64_t pixels, step_pixels;
};

// When their own tile starts it is too late to fetch addends and the lines that results go to: addends of
// 128->512 and 256->1024 cost 7 to 9% more, and results that are not in L2, left to the stores, which come
// all at once, up to a tenth. A tile of 6 rows is too short to do it bit by bit: it would take 15% more
// instructions, so that there each tile fetches its own.
constexpr bool kFetchesAhead = kTileRows > 6;

template <class T, int B>
KONV_INLINE void fetch_results(Ahead<T>& ahead, int64_t count) {
  ahead.pixels -= count;
  for (const int64_t* const end = ahead.out + count; ahead.out < end; ++ahead.out) {
    if (ahead.addend)
      for (int k = 0; k < B; k += kLine<T>) __builtin_prefetch(ahead.addend + *ahead.out + k);
    if (ahead.y)
      for (int k = 0; k < B; k += kLine<T>) prefetch_to_write(ahead.y + *ahead.out + k);
  }
}

template <class T, int Vectors, int Rows>
KONV_INLINE void forward_tile(const DirectBlock<T>& b, int64_t first_pixel, int64_t block, Ahead<T> ahead,
                              FetchAhead& next_block) {
  constexpr int B = Vectors * kLanes<T>;
  Vector<T> acc[Rows][Vectors] = {};
  const T* w = b.packed + block * b.packed_taps * b.length * B;
  const int64_t* const pixel = b.pixel + first_pixel;
  const int64_t* const out = b.out + first_pixel;
  const bool fetch_pixels = b.prefetch && block == 0 && first_pixel + 2 * Rows <= b.pixels;
  if (!kFetchesAhead) fetch_results<T, B>(ahead, ahead.pixels);
  for (int64_t t = 0; t < b.taps; ++t) {
    const T* const x = b.slab + b.tap[t];
    if (fetch_pixels || ahead.lines > 0 || ahead.pixels > 0 || next_block.stretch < next_block.end) {
      for (int64_t l = 0; l < b.length; l += kLine<T>) {
        for (int64_t i = 0; i < ahead.lines; ++i, ahead.panel += kLine<T>) prefetch_to_l2(ahead.panel);
        if (kFetchesAhead) fetch_results<T, B>(ahead, minimum(ahead.step_pixels, ahead.pixels));
        fetch_some(next_block);
        if (fetch_pixels)
          for (int i = 0; i < Rows; ++i) __builtin_prefetch(x + pixel[Rows + i] + l);
        w = add_products<T, Vectors, Rows>(acc, x + l, pixel, w, minimum(kLine<T>, b.length - l));
      }
    } else {
      w = add_products<T, Vectors, Rows>(acc, x, pixel, w, b.length);
    }
  }
  finish_tile<T, Vectors, Rows>(b, acc, out, block * B);
}

template <class T, int Vectors>
struct ForwardTile {
  const DirectBlock<T>& block;
  int64_t first_pixel, filter_block;
  Ahead<T> ahead;
  FetchAhead& next_block;
  template <int Rows>
  void run() const {
    forward_tile<T, Vectors, Rows>(block, first_pixel, filter_block, ahead, next_block);
  }
};

template <class T, int Vectors>
void forward(const DirectBlock<T>& b) {
  constexpr int B = Vectors * kLanes<T>;
  const int64_t tiles = (b.pixels + kTileRows - 1) / kTileRows;  // of equal height, give or take one
  // While a panel is used, the tiles share out the fetching of the next one.
  const int64_t panel = b.packed_taps * b.length * B;
  const int64_t tile_steps = b.taps * ((b.length + kLine<T> - 1) / kLine<T>), steps = tile_steps * tiles;
  const bool fetch_panels = b.blocks * panel * static_cast<int64_t>(sizeof(T)) > kPanelsInL2 && steps > 0;
  const int64_t lines = fetch_panels ? (panel / kLine<T> + steps - 1) / steps : 0;
  FetchAhead next_block = fetch_in_turns(b.ahead, b.ahead_count, steps * b.blocks);
  for (int64_t block = 0; block < b.blocks; ++block)
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = b.pixels * tile / tiles, end = b.pixels * (tile + 1) / tiles;
      Ahead<T> ahead{};
      if (lines > 0 && block + 1 < b.blocks) {
        ahead.panel = b.packed + (block + 1) * panel + tile * tile_steps * lines * kLine<T>;
        ahead.lines = lines;
      }
      const int64_t next = tile + kFetchesAhead, fetched = next < tiles ? next : 0;
      const int64_t filter = (next < tiles ? block : block + 1) * B, first = b.pixels * fetched / tiles;
      if (filter < b.blocks * B && tile_steps > 0) {
        ahead.out = b.out + first;
        ahead.pixels = b.pixels * (fetched + 1) / tiles - first;
        ahead.step_pixels = (ahead.pixels + tile_steps - 1) / tile_steps;
        if (b.finish && b.addend) ahead.addend = b.addend + filter;
        if (!b.stream) ahead.y = b.y + filter;
      }
      with_rows<kTileRows>(end - begin, ForwardTile<T, Vectors>{b, begin, block, ahead, next_block});
    }
}

// ---- gradient of the kernel ----

// Rows of the sums, [first, first + Rows) of all (t, l); of one tap, and so neighbours in the slab, unless
// Taps says that the tile may go on where a tap ends.
template <class T, int Vectors, bool Taps, int Rows>
KONV_INLINE void kernel_gradient_tile(const KernelGradientBlock<T>& b, FetchAhead& ahead, int64_t first,
                                      int64_t block) {
  constexpr int B = Vectors * kLanes<T>;
  Vector<T> acc[Rows][Vectors] = {};
  const auto element = [&](int64_t row) { return b.slab + b.tap[row / b.length] + row % b.length; };
  const T* a[Rows];
  a[0] = element(first);
  if constexpr (Taps)
    for (int i = 1; i < Rows; ++i) a[i] = element(first + i);
  const T* grad = b.grad + block * b.grad_block;
  const int64_t pixel_stride = b.pixel_stride, grad_pixel = b.grad_pixel;
  const PixelRun* const last = b.runs + b.run_count;
  for (const PixelRun* run = b.runs; run < last; ++run) {
    fetch_some(ahead);
    const T* g = grad + run->grad_offset;
    const int64_t begin = run->slab_offset, end = begin + run->pixels * pixel_stride;
    for (int64_t p = begin; p < end; p += pixel_stride, g += grad_pixel) {
      Vector<T> gv[Vectors];
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) gv[j] = load(g + j * kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < Vectors; ++j) acc[i][j] += (Taps ? a[i][p] : a[0][p + i]) * gv[j];
    }
  }
  T* sums = b.sums + first * b.sums_row + block * B;
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) {
      T* sum = sums + i * b.sums_row + j * kLanes<T>;
      store(sum, b.accumulate ? load(sum) + acc[i][j] : acc[i][j]);
    }
}

template <class T, int Vectors, bool Taps>
struct KernelGradientTile {
  const KernelGradientBlock<T>& block;
  FetchAhead& ahead;
  int64_t first_row, filter_block;
  template <int Rows>
  void run() const {
    kernel_gradient_tile<T, Vectors, Taps, Rows>(block, ahead, first_row, filter_block);
  }
};

KONV_INLINE int64_t tiles_of(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

// Rows [first, first + rows) of all filters, in tiles of equal height, give or take one.
template <class T, int Vectors, bool Taps>
KONV_INLINE void kernel_gradient_rows(const KernelGradientBlock<T>& b, FetchAhead& ahead, int64_t block,
                                      int64_t first, int64_t rows) {
  const int64_t tiles = tiles_of(rows);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    with_rows<kTileRows>(end - begin, KernelGradientTile<T, Vectors, Taps>{b, ahead, first + begin, block});
  }
}

template <class T, int Vectors>
void kernel_gradient(const KernelGradientBlock<T>& b) {
  // Where taps are short, tiles of one tap would read the gradient more often than need be. Otherwise they
  // are better: a tile of several taps loads a pointer a row, which a narrow one has no time for.
  const bool short_taps = Vectors > 1 && 2 * b.length <= kTileRows;
  const int64_t tiles = short_taps ? tiles_of(b.taps * b.length) : b.taps * tiles_of(b.length);
  const int64_t turns = b.blocks * tiles * b.run_count;
  FetchAhead ahead = fetch_in_turns(b.ahead, b.ahead_count, turns);
  for (int64_t block = 0; block < b.blocks; ++block) {
    if (short_taps)
      kernel_gradient_rows<T, Vectors, true>(b, ahead, block, 0, b.taps * b.length);
    else
      for (int64_t t = 0; t < b.taps; ++t)
        kernel_gradient_rows<T, Vectors, false>(b, ahead, block, t * b.length, b.length);
  }
}

template <class T, int Vectors>
constexpr Conv2dDirectTile<T> kTile = {Vectors * kLanes<T>, pack_panel<T, Vectors>, forward<T, Vectors>,
                                       kernel_gradient<T, Vectors>};

// Pixels a multiple of 4 KiB apart share a set of L1, and few of L2. Those 256 bytes apart and more leave
// most of L1's sets empty, so that a block's lines come from L2 for every tile: one of 14 rows has the time,
// one of 6 loads a line for every six multiply-adds (AVX2, one thread: 256->512 with stride 2 takes 31 -> 18
// ms once pixels are copied, 512->128 11.4 -> 9.2).
constexpr int64_t kAliasedBytes = kTileRows > 6 ? 4096 : 256;

template <class T>
constexpr Conv2dDirectKernels<T> kKernels = {kLanes<T>, kAliasedBytes, pack_slab<T>, kTile<T, 2>,
                                             kTile<T, 1>};

}  // namespace

extern const Conv2dDirectKernels<float> kConv2dDirectFloat32 = kKernels<float>;
extern const Conv2dDirectKernels<double> kConv2dDirectFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
