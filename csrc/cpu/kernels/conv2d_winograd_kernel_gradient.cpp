// Gradient of the kernel by Winograd: transforms of tiles, sums of products, transform of the sums.
//
// Contracts: conv2d_winograd_kernel_gradient.hpp. The products are the outer-product tile of the direct
// kernels: KONV_TILE_ROWS channels by two vectors of filters, accumulated over tiles in registers. Every sum
// has one accumulator that adds in the order of the tiles, so no result depends on where a tile begins.
#include "cpu/kernels/conv2d_winograd_kernel_gradient.hpp"

#include "cpu/kernels/winograd_phase_transforms.hpp"
#include "cpu/kernels/winograd_transforms.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int kTileRows = KONV_TILE_ROWS;
constexpr int kLaneCount = kLanes<float>;
constexpr int kPanelWidth = 2 * kLaneCount;
constexpr int64_t kLine = 64 / sizeof(float);  // elements of a cache line

// ---- transforms ----

KONV_INLINE WinogradVector load_lanes(const float* p, int64_t count) {
  return count >= kLaneCount ? load(p) : load_partial(p, count);
}

template <class Down, class Across>
void transform(const WinogradTileSource& s) {
  const float* first = s.image + s.row * s.row_stride + s.column * s.column_stride;
  const bool inside =
      s.row >= 0 && s.column >= 0 && s.row + Down::kIn <= s.rows && s.column + Across::kIn <= s.columns;
  for (int64_t c = 0; c < s.channels; c += kLaneCount) {
    const float* from = first + c;
    float* to = s.tile + c / kPanelWidth * s.panel_stride + c % kPanelWidth;
    const int64_t count = s.channels - c;
    const auto put = [&](int row, int column, WinogradVector v) __attribute__((always_inline)) {
      store(to + (row * Across::kOut + column) * s.point_stride, v);
    };
    if (inside && count >= kLaneCount) {
      transform_tile<Down, Across>(
          [&](int row, int column) __attribute__((always_inline)) {
            return load(from + row * s.row_stride + column * s.column_stride);
          },
          put);
    } else {
      transform_tile<Down, Across>(
          [&](int row, int column) __attribute__((always_inline)) {
            const int64_t y = s.row + row, x = s.column + column;
            if (y < 0 || y >= s.rows || x < 0 || x >= s.columns) return WinogradVector{};
            return load_lanes(from + row * s.row_stride + column * s.column_stride, count);
          },
          put);
    }
  }
}

template <class Down, class Across>
void prefetch(const WinogradTileSource& s) {
  const int64_t last_row = minimum(s.rows, s.row + Down::kIn),
                last_column = minimum(s.columns, s.column + Across::kIn);
  for (int64_t row = s.row < 0 ? 0 : s.row; row < last_row; ++row)
    for (int64_t column = s.column < 0 ? 0 : s.column; column < last_column; ++column)
      for (int64_t c = 0; c < s.channels; c += kLine)
        __builtin_prefetch(s.image + row * s.row_stride + column * s.column_stride + c, 0, 2);
}

constexpr int64_t kAhead = 2 * kLine;  // of each point: 36 are more streams than the hardware follows

template <class Down, class Across>
void finish(const WinogradKernelSums& s) {
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t k = 0; k < s.filters; k += kLaneCount) {
      const float* sums = s.sums + c * s.columns + k;
      float* kernel = s.kernel + c * s.channel_stride + k;
      const int64_t count = s.filters - k;
      transform_tile<Down, Across>(
          [&](int row, int column) __attribute__((always_inline)) {
            const float* from = sums + (row * Across::kIn + column) * s.sums_point;
            __builtin_prefetch(from + kAhead);
            return load(from);
          },
          [&](int row, int column, WinogradVector v) __attribute__((always_inline)) {
            float* tap = kernel + row * s.tap_row + column * s.tap_column;
            if (count >= kLaneCount)
              store(tap, v);
            else
              store_partial(tap, v, count);
          });
    }
}

// ---- products ----

// One panel of channels by one panel of filters at one point.
struct PanelProduct {
  const float* data;
  const float* grad;
  int64_t tiles;
  float* sums;
  int64_t columns;
  bool accumulate;
  const float* ahead;  // what a tile fetches into L2 while it runs: a line for each of the tiles it sums over
};

template <int Rows, int Vectors>
KONV_INLINE void multiply_tile(const PanelProduct& p, int64_t row) {
  WinogradVector acc[Rows][Vectors] = {};
  const float* a = p.data + row;
  const float* b = p.grad;
  float* sums = p.sums + row * p.columns;
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vectors; ++j) __builtin_prefetch(sums + i * p.columns + j * kLaneCount);
  const float* ahead = p.ahead;
  for (int64_t t = 0; t < p.tiles; ++t, a += kPanelWidth, b += kPanelWidth, ahead += kLine) {
    __builtin_prefetch(ahead, 0, 2);
    WinogradVector bv[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) bv[j] = load(b + j * kLaneCount);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) acc[i][j] += a[i] * bv[j];
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) {
      float* sum = sums + i * p.columns + j * kLaneCount;
      store(sum, p.accumulate ? load(sum) + acc[i][j] : acc[i][j]);
    }
}

template <int Vectors>
struct ProductTile {
  const PanelProduct& product;
  int64_t row;
  template <int Rows>
  void run() const {
    multiply_tile<Rows, Vectors>(product, row);
  }
};

// The panels of one point, data before gradients, as a sequence of lines that tiles fetch by turns, as many
// as a tile sums over.
class PanelsAhead {
 public:
  PanelsAhead(const WinogradSumsOfProducts& s, int64_t point)
      : data_(s.data + point * s.data_point),
        grad_(s.grad + point * s.grad_point),
        data_left_(panels(s.channels) * s.data_panel),
        grad_left_(panels(s.filters) * s.grad_panel),
        turn_(s.tiles * kLine) {}

  // The next turn's; when all is fetched, those of the last again, which costs nothing.
  const float* next() {
    const bool is_data = data_left_ > 0;
    const float*& from = is_data ? data_ : grad_;
    int64_t& left = is_data ? data_left_ : grad_left_;
    const float* turn = from;
    if (left > 0) {
      left -= turn_;
      if (left > 0) from += turn_;
    }
    return turn;
  }

 private:
  static int64_t panels(int64_t channels) { return (channels + kPanelWidth - 1) / kPanelWidth; }
  const float *data_, *grad_;
  int64_t data_left_, grad_left_, turn_;
};

template <int Vectors>
void multiply_panel(PanelProduct p, int64_t rows, PanelsAhead& ahead) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;  // of equal height, give or take one
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    p.ahead = ahead.next();
    with_rows<kTileRows>(end - begin, ProductTile<Vectors>{p, begin});
  }
}

// Panels come from beyond L2, so that each point's are fetched while those of the point before are
// multiplied.
void multiply(const WinogradSumsOfProducts& s) {
  for (int64_t point = 0; point < s.points; ++point) {
    PanelsAhead ahead(s, minimum(point + 1, s.points - 1));
    for (int64_t k = 0; k < s.filters; k += kPanelWidth)
      for (int64_t c = 0; c < s.channels; c += kPanelWidth) {
        const PanelProduct panel{s.data + point * s.data_point + c / kPanelWidth * s.data_panel,
                                 s.grad + point * s.grad_point + k / kPanelWidth * s.grad_panel,
                                 s.tiles,
                                 s.sums + point * s.sums_point + c * s.columns + k,
                                 s.columns,
                                 s.accumulate,
                                 nullptr};
        const int64_t rows = minimum(kPanelWidth, s.channels - c);
        if (s.filters - k > kLaneCount)
          multiply_panel<2>(panel, rows, ahead);
        else
          multiply_panel<1>(panel, rows, ahead);
      }
  }
}

template <class D, class A>
constexpr WinogradKernelGradientTransforms kTransforms = {
    D::Data::kOut,
    A::Data::kOut,
    D::OutputAdjoint::kIn,
    A::OutputAdjoint::kIn,
    D::KernelAdjoint::kOut,
    A::KernelAdjoint::kOut,
    transform<typename D::Data, typename A::Data>,
    transform<typename D::OutputAdjoint, typename A::OutputAdjoint>,
    prefetch<typename D::Data, typename A::Data>,
    prefetch<typename D::OutputAdjoint, typename A::OutputAdjoint>,
    finish<typename D::KernelAdjoint, typename A::KernelAdjoint>};

template <int R>
struct Taps {
  using Data = DataTransform;
  using OutputAdjoint = konv::cpu::KONV_ISA::OutputAdjoint<R>;
  using KernelAdjoint = konv::cpu::KONV_ISA::KernelAdjoint<R>;
};

}  // namespace

extern const WinogradKernelGradientKernels kWinogradKernelGradient = {
    kLaneCount,
    kPanelWidth,
    multiply,
    {kTransforms<Taps<3>, Taps<3>>, kTransforms<Taps<4>, Taps<4>>, kTransforms<Taps<5>, Taps<5>>},
    {{kTransforms<OneTap, OneTap>, kTransforms<OneTap, TwoTaps>},
     {kTransforms<TwoTaps, OneTap>, kTransforms<TwoTaps, TwoTaps>}}};

}  // namespace konv::cpu::KONV_ISA
