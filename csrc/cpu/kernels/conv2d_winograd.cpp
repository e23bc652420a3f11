// Winograd's convolution: transforms of kernel, data and results, and the products between them.
//
// Contracts: conv2d_winograd.hpp. The products run on the register tile of direct convolution: KONV_TILE_ROWS
// tiles by two vectors of filters. Every sum has one accumulator that adds in the order of channels, so no
// result depends on where a block of tiles begins.
#include "cpu/kernels/conv2d_winograd.hpp"

#include "cpu/kernels/winograd_phase_transforms.hpp"
#include "cpu/kernels/winograd_transforms.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTileRows = KONV_TILE_ROWS;
constexpr int kVectors = 2;
constexpr int kLane = kLanes<float>;
constexpr int kBlock = kVectors * kLane;       // filters of a panel
constexpr int64_t kLine = 64 / sizeof(float);  // elements of a cache line

// A vector fills a line of the cache. Elsewhere less would be written to memory twice, so that nothing is
// streamed, and nothing compiled that would.
constexpr bool kCanStream = KONV_VECTOR_BYTES == 64;

KONV_INLINE Vector<float> load_lanes(const float* p, int64_t count) {
  return count >= kLane ? load(p) : load_partial(p, count);
}

// ---- kernel ----

// v[i][j] <-> v[j][i], in log2(lanes) rounds that exchange blocks of 1, 2, 4, ... lanes.
KONV_INLINE void transpose(Vector<float>* v) {
  typedef int32_t Lanes __attribute__((vector_size(KONV_VECTOR_BYTES)));
#pragma GCC unroll 4
  for (int width = 1; width < kLane; width *= 2) {
    Lanes low, high;  // of the pair's concatenation
    for (int lane = 0; lane < kLane; ++lane) {
      const bool second = lane & width;
      low[lane] = second ? kLane + lane - width : lane;
      high[lane] = second ? kLane + lane : lane + width;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLane; ++i) {
      if (i & width) continue;
      const Vector<float> a = v[i], b = v[i + width];
      v[i] = __builtin_shuffle(a, b, low);
      v[i + width] = __builtin_shuffle(a, b, high);
    }
  }
}

template <class Down, class Across, bool Streamed, class Load>
KONV_INLINE void transform_taps(const WinogradKernel& k, float* panel, const Load& load_tap) {
  transform_tile<Down, Across>(load_tap, [&](int i, int j, Vector<float> v) __attribute__((always_inline)) {
    float* point = panel + (i * Across::kOut + j) * k.point_pitch;
    if constexpr (Streamed)
      stream(point, v);
    else
      store(point, v);
  });
}

// Filters are neighbours in memory: vectors over filters come as they are.
template <class Down, class Across, bool Streamed>
void transform_filters(const WinogradKernel& k) {
  const bool whole = k.rows == Down::kIn && k.columns == Across::kIn && k.filters == kBlock;
  for (int64_t c = 0; c < k.channels; ++c)
    for (int f = 0; f < kBlock; f += kLane) {
      const float* taps = k.kernel + c * k.channel_stride + f;
      float* panel = k.panel + c * kBlock + f;
      if (whole)
        transform_taps<Down, Across, Streamed>(k, panel, [&](int i, int j) __attribute__((always_inline)) {
          return load(taps + i * k.row_stride + j * k.column_stride);
        });
      else
        transform_taps<Down, Across, Streamed>(k, panel, [&](int i, int j) __attribute__((always_inline)) {
          const bool there = i < k.rows && j < k.columns && f < k.filters;
          return there ? load_lanes(taps + i * k.row_stride + j * k.column_stride, k.filters - f)
                       : Vector<float>{};
        });
    }
}

// Channels are neighbours in memory: blocks of channels x filters are transposed first.
template <class Down, class Across, bool Streamed>
void transform_channels(const WinogradKernel& k) {
  for (int64_t c = 0; c < k.channels; c += kLane)
    for (int f = 0; f < kBlock; f += kLane) {
      Vector<float> taps[Down::kIn * Across::kIn][kLane];
      for (int i = 0; i < Down::kIn; ++i)
        for (int j = 0; j < Across::kIn; ++j) {
          Vector<float>* tap = taps[i * Across::kIn + j];
          const float* from = k.kernel + i * k.row_stride + j * k.column_stride + f * k.filter_stride + c;
          const bool there = i < k.rows && j < k.columns;
#pragma GCC unroll 16
          for (int lane = 0; lane < kLane; ++lane)
            tap[lane] = there && f + lane < k.filters
                            ? load_lanes(from + lane * k.filter_stride, k.channels - c)
                            : Vector<float>{};
          transpose(tap);
        }
      for (int64_t lane = 0; lane < minimum(kLane, k.channels - c); ++lane)
        transform_taps<Down, Across, Streamed>(
            k, k.panel + (c + lane) * kBlock + f,
            [&](int i, int j) __attribute__((always_inline)) { return taps[i * Across::kIn + j][lane]; });
    }
}

template <class Down, class Across = Down>
void transform_kernel(const WinogradKernel& k) {
  if (!kCanStream || !k.streamed)
    return k.filter_stride == 1 ? transform_filters<Down, Across, false>(k)
                                : transform_channels<Down, Across, false>(k);
  k.filter_stride == 1 ? transform_filters<Down, Across, kCanStream>(k)
                       : transform_channels<Down, Across, kCanStream>(k);
  stream_fence();
}

template <bool Streamed>
void pack_tap_as(const WinogradTap& tap) {
  const WinogradTap t = tap;  // a copy, which what is written can't alias
  const int64_t filters = t.from ? t.filters : 0, end = (t.filters + kBlock - 1) / kBlock * kBlock;
  const auto put = [&](int64_t c, int64_t f, Vector<float> v) __attribute__((always_inline)) {
    float* to = t.to + f / kBlock * t.panel_pitch + c * t.pitch + f % kBlock;
    if constexpr (Streamed)
      stream(to, v);
    else
      store(to, v);
  };
  if (t.filter_stride == 1) {
    // Filters are neighbours in memory: vectors over filters come as they are.
    for (int64_t c = 0; c < t.channels; ++c)
      for (int64_t f = 0; f < end; f += kLane)
        put(c, f, f < filters ? load_lanes(t.from + c * t.channel_stride + f, filters - f) : Vector<float>{});
    return;
  }
  // Channels are: blocks of channels x filters are transposed.
  for (int64_t f = 0; f < end; f += kLane)
    for (int64_t c = 0; c < t.channels; c += kLane) {
      const int64_t channels = minimum(kLane, t.channels - c);
      Vector<float> v[kLane];
#pragma GCC unroll 16
      for (int lane = 0; lane < kLane; ++lane) {
        const float* from = t.from + (f + lane) * t.filter_stride + c;
        v[lane] = f + lane < filters ? load_lanes(from, channels) : Vector<float>{};
      }
      transpose(v);
      for (int64_t lane = 0; lane < channels; ++lane) put(c + lane, f, v[lane]);
    }
}

void pack_tap(const WinogradTap& tap) {
  if (!kCanStream || !tap.streamed) return pack_tap_as<false>(tap);
  pack_tap_as<kCanStream>(tap);
  stream_fence();
}

void fetch_lines(const float* first, int64_t elements) {
  for (int64_t i = 0; i < elements; i += kLine) __builtin_prefetch(first + i, 0, 2);
}

// ---- data ----

// The pixels [first, last) of a patch of High x Wide pixels that lie in the image.
template <int High, int Wide>
struct Inside {
  int first_row, last_row, first_column, last_column;

  KONV_INLINE int clamp(int64_t position, int size) {
    return static_cast<int>(position < 0 ? 0 : position > size ? size : position);
  }
  Inside(const WinogradPatch& patch, int64_t rows, int64_t columns)
      : first_row(clamp(-patch.row, High)),
        last_row(clamp(rows - patch.row, High)),
        first_column(clamp(-patch.column, Wide)),
        last_column(clamp(columns - patch.column, Wide)) {}

  bool whole() const {
    return first_row == 0 && first_column == 0 && last_row == High && last_column == Wide;
  }
  bool has(int row, int column) const {
    return row >= first_row && row < last_row && column >= first_column && column < last_column;
  }
};

template <class Down, class Across, bool Streamed>
void transform_data_as(const WinogradData& data) {
  const WinogradData d = data;  // a copy, which what is written can't alias
  for (int64_t t = 0; t < d.tiles; ++t) {
    const WinogradPatch& patch = d.patches[t];
    const Inside<Down::kIn, Across::kIn> inside(patch, d.rows, d.columns);
    const bool whole = inside.whole();
    for (int64_t c = 0; c < d.channels; c += kLane) {
      const float* x = d.x + patch.offset + c;
      float* points = d.points + t * d.tile_pitch + c;
      const auto put = [&](int i, int j, Vector<float> v) __attribute__((always_inline)) {
        const int point =
            point_at(i, Down::kOut, kAll<Down>) * kAll<Across> + point_at(j, Across::kOut, kAll<Across>);
        float* to = points + point * d.point_pitch;
        if constexpr (Streamed)
          stream(to, v);
        else
          store(to, v);
      };
      if (whole && d.channels - c >= kLane)
        transform_tile<Down, Across>(
            [&](int i, int j)
                __attribute__((always_inline)) { return load(x + i * d.row_stride + j * d.column_stride); },
            put);
      else
        transform_tile<Down, Across>(
            [&](int i, int j) __attribute__((always_inline)) {
              return inside.has(i, j) ? load_lanes(x + i * d.row_stride + j * d.column_stride, d.channels - c)
                                      : Vector<float>{};
            },
            put);
    }
  }
}

template <class Down, class Across = Down>
void transform_data(const WinogradData& d) {
  if (!kCanStream || !d.streamed) return transform_data_as<Down, Across, false>(d);
  transform_data_as<Down, Across, kCanStream>(d);
  stream_fence();
}

void fetch(const WinogradPixels& p) {
  const int64_t last_row = minimum(p.high, p.rows - p.patch.row),
                first_column = p.patch.column < 0 ? -p.patch.column : 0,
                last_column = minimum(p.wide, p.columns - p.patch.column);
  const bool dense = p.column_stride == p.channels;  // a row is one piece
  const int64_t pixels = last_column - first_column, pieces = dense ? pixels > 0 : pixels;
  for (int64_t row = p.patch.row < 0 ? -p.patch.row : 0; row < last_row; ++row)
    for (int64_t piece = 0; piece < pieces; ++piece)
      fetch_lines(p.origin + p.patch.offset + row * p.row_stride + (first_column + piece) * p.column_stride,
                  dense ? pixels * p.channels : p.channels);
}

// ---- products ----

struct ProductTile {
  const WinogradProducts& p;
  const float* points;
  float* sums;
  const float* ahead;

  template <int Rows>
  void run() const {
    Vector<float> acc[Rows][kVectors] = {};
    if (p.accumulate)
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) acc[i][j] = load(sums + i * kBlock + j * kLane);
    // Row i lies a power of two times an odd number of pitches away, which an address can say: seven
    // registers for 14 rows. A pointer each would be spilled, and take as long to compute as two channels.
    int64_t odd[(Rows + 1) / 2];  // in bytes
#pragma GCC unroll 8
    for (int i = 0; i < (Rows + 1) / 2; ++i)
      odd[i] = in_register((2 * i + 1) * p.tile_pitch * static_cast<int64_t>(sizeof(float)));
    const float *x = points, *panel = p.panel, *next = ahead;
    const int64_t gap = p.channels.pitch - p.channels.length;
    for (int64_t run = 0; run < p.channels.runs; ++run) {
      for (const float* const end = x + p.channels.length; x < end; ++x) {
        for (int l = 0; l < kBlock; l += kLine) __builtin_prefetch(next + l, 0, 2);
#pragma GCC unroll 8
        for (int i = 0; i < (Rows + 1) / 2; ++i) odd[i] = in_register(odd[i]);
        const auto row = [&](int i) __attribute__((always_inline)) {
          const int power = i & -i;
          const char* first = reinterpret_cast<const char*>(x);
          return *reinterpret_cast<const float*>(i ? first + power * odd[i / power / 2] : first);
        };
        Vector<float> b[kVectors];
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) b[j] = load(panel + j * kLane);
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
          for (int j = 0; j < kVectors; ++j) acc[i][j] += row(i) * b[j];
        panel += kBlock;
        next += kBlock;
      }
      x += gap;
      panel += gap * kBlock;
      next += gap * kBlock;
    }
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) store(sums + i * kBlock + j * kLane, acc[i][j]);
  }
};

void multiply(const WinogradProducts& p) {
  const int64_t tiles = (p.tiles + kTileRows - 1) / kTileRows;  // of equal height, give or take one
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = p.tiles * tile / tiles, end = p.tiles * (tile + 1) / tiles;
    with_rows<kTileRows>(end - begin, ProductTile{p, p.points + begin * p.tile_pitch, p.sums + begin * kBlock,
                                                  p.ahead + begin * p.ahead_pitch});
  }
}

// ---- results ----

template <class Down, class Across, bool Streamed>
void transform_results_as(const WinogradResults& results) {
  const WinogradResults r = results;  // a copy, which what is written can't alias
  for (int64_t t = 0; t < r.tiles; ++t) {
    const WinogradPatch& patch = r.patches[t];
    const Inside<Down::kOut, Across::kOut> inside(patch, r.rows, r.columns);
    const bool whole = inside.whole();
    for (int64_t k = 0; k < r.filters; k += kLane) {
      const int64_t count = r.filters - k;
      const float* sums = r.sums + t * kBlock + k;
      const int64_t sums_pitch = in_register(r.sums_pitch);
      float* y = r.y + patch.offset + k;
      const Vector<float> bias = r.bias ? load_lanes(r.bias + k, count) : Vector<float>{};
      const auto get = [&](int i, int j) __attribute__((always_inline)) {
        const int point = point_at(i, Down::kIn, kAllSums<Down>) * kAllSums<Across> +
                          point_at(j, Across::kIn, kAllSums<Across>);
        return load(sums + point * sums_pitch);
      };
      const auto finish = [&](Vector<float> v, const float* to) __attribute__((always_inline)) {
        if (r.accumulate) v += load_lanes(to, count);
        if (r.bias) v += bias;
        if (r.addend) v += load_lanes(r.addend + (to - r.y), count);
        return r.relu ? relu<float>(v) : v;
      };
      if (whole && count >= kLane)
        transform_tile<Down, Across>(get, [&](int i, int j, Vector<float> v) __attribute__((always_inline)) {
          float* to = y + i * r.row_stride + j * r.column_stride;
          if constexpr (Streamed)
            stream(to, finish(v, to));
          else
            store(to, finish(v, to));
        });
      else
        transform_tile<Down, Across>(get, [&](int i, int j, Vector<float> v) __attribute__((always_inline)) {
          if (!inside.has(i, j)) return;
          float* to = y + i * r.row_stride + j * r.column_stride;
          const Vector<float> value = finish(v, to);
          if (count >= kLane)
            store(to, value);
          else
            store_partial(to, value, count);
        });
    }
  }
}

template <class Down, class Across = Down>
void transform_results(const WinogradResults& r) {
  if (!kCanStream || !r.streamed) return transform_results_as<Down, Across, false>(r);
  transform_results_as<Down, Across, kCanStream>(r);
  stream_fence();
}

template <int R>
constexpr WinogradTransforms kTransforms = {
    kWinogradOutputs<R>, transform_kernel<KernelTransform<R>>, transform_results<OutputTransform<R>>,
    transform_data<OutputAdjoint<R>>, transform_results_as<DataAdjoint, DataAdjoint, false>};

// Not streamed: edges are few.
template <class Data, class Outputs, class DataAcross = Data, class OutputsAcross = Outputs>
constexpr WinogradEdgeTransforms kEdge = {transform_data_as<Data, DataAcross, false>,
                                          transform_results_as<Outputs, OutputsAcross, false>};
template <int Points>
constexpr WinogradEdgeTransforms kRightEdge =
    kEdge<DataTransform, OutputTransform<3>, EdgeDataTransform<Points>, EdgeOutputTransform<Points>>;
template <int Points>
constexpr WinogradEdgeTransforms kBottomEdge =
    kEdge<EdgeDataTransform<Points>, EdgeOutputTransform<Points>, DataTransform, OutputTransform<3>>;
template <int Points>
constexpr WinogradEdgeTransforms kCorner = kEdge<EdgeDataTransform<Points>, EdgeOutputTransform<Points>>;

template <class Down, class Across>
constexpr WinogradPhaseTransforms kPhaseTransforms = {
    Down::kPoints, Across::kPoints, transform_kernel<typename Down::Kernel, typename Across::Kernel>,
    transform_data_as<typename Down::Data, typename Across::Data, false>,
    transform_results<typename Down::Output, typename Across::Output>};

}  // namespace

extern const WinogradKernels kConv2dWinograd = {
    kBlock,
    kCanStream,
    {kTransforms<3>, kTransforms<4>, kTransforms<5>},
    {{kRightEdge<4>, kBottomEdge<4>, kCorner<4>}, {kRightEdge<5>, kBottomEdge<5>, kCorner<5>}},
    {{kPhaseTransforms<OneTap, OneTap>, kPhaseTransforms<OneTap, TwoTaps>},
     {kPhaseTransforms<TwoTaps, OneTap>, kPhaseTransforms<TwoTaps, TwoTaps>}},
    transform_data<DataTransform>,
    fetch,
    pack_tap,
    fetch_lines,
    multiply};

}  // namespace konv::cpu::KONV_ISA
