// Batch normalisation; contracts: batch_norm.hpp. Sums take a strip of columns through all rows of a block,
// which their accumulators see in registers; the passes that write run along the rows.
#include "cpu/kernels/batch_norm.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T>
KONV_INLINE bool rows_are_aligned(const T* p, int64_t columns) {
  return is_aligned(p) && columns % kLanes<T> == 0;
}

template <class T, bool Relu, class Access>
void normalize_rows(const NormalizeBlock<T>& b) {
  for (int64_t row = 0; row < b.rows; ++row) {
    const T* x = b.x + row * b.columns;
    T* y = b.y + row * b.columns;
    for_each_vector<T, Access>(b.columns, [&](int64_t c, auto access) {
      const Vector<T> v = (access.load(x + c) - load(b.mean + c)) * load(b.scale + c) + load(b.shift + c);
      access.store(y + c, Relu ? relu<T>(v) : v);
    });
  }
}

template <class T, class Access>
void normalize_to(const NormalizeBlock<T>& b) {
  b.relu ? normalize_rows<T, true, Access>(b) : normalize_rows<T, false, Access>(b);
}

template <class T>
void normalize(const NormalizeBlock<T>& b) {
  if (!b.streamed || !rows_are_aligned(b.y, b.columns)) return normalize_to<T, WholeVector<T>>(b);
  normalize_to<T, StreamedVector<T>>(b);
  stream_fence();
}

template <class T>
struct MomentsStrip {
  const MomentsBlock<T>& b;
  template <int Lanes>
  void run() const {
    for_each_chunk<T, Lanes>(b.columns, *this);
  }
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    using V = Chunk<T, Lanes>;
    V centre[Vectors] = {};
    const T* x = b.x + c;
    for (int64_t row = 0; row < b.rows; ++row, x += b.columns)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) centre[v] += load_chunk<Lanes>(x + v * Lanes);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) centre[v] /= static_cast<T>(b.rows);

    V deviation[Vectors] = {}, squares[Vectors] = {};
    x = b.x + c;
    for (int64_t row = 0; row < b.rows; ++row, x += b.columns)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const V distance = load_chunk<Lanes>(x + v * Lanes) - centre[v];
        deviation[v] += distance;
        squares[v] += distance * distance;
      }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      store_chunk(b.centre + c + v * Lanes, centre[v]);
      store_chunk(b.deviation + c + v * Lanes, deviation[v] == deviation[v] ? deviation[v] : V{});
      store_chunk(b.squares + c + v * Lanes, squares[v]);
    }
  }
};

template <class T>
void moments(const MomentsBlock<T>& b) {
  with_lanes<T>(b.columns, MomentsStrip<T>{b});
}

template <class T, bool Relu>
struct GradientSumsStrip {
  const GradientSumsBlock<T>& b;
  template <int Lanes>
  void run() const {
    for_each_chunk<T, Lanes>(b.columns, *this);
  }
  template <int Lanes, int Vectors>
  void run(int64_t c) const {
    using V = Chunk<T, Lanes>;
    V mean[Vectors], rstd[Vectors], sums[Vectors] = {}, products[Vectors] = {};
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      mean[v] = load_chunk<Lanes>(b.mean + c + v * Lanes);
      rstd[v] = load_chunk<Lanes>(b.rstd + c + v * Lanes);
    }
    for (int64_t row = 0; row < b.rows; ++row)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const int64_t at = row * b.columns + c + v * Lanes;
        V g = load_chunk<Lanes>(b.grad + at);
        if (Relu) g = load_chunk<Lanes>(b.y + at) <= 0 ? V{} : g;
        sums[v] += g;
        products[v] += g * ((load_chunk<Lanes>(b.x + at) - mean[v]) * rstd[v]);
      }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      store_chunk(b.sums + c + v * Lanes, sums[v]);
      store_chunk(b.products + c + v * Lanes, products[v]);
    }
  }
};

template <class T>
void gradient_sums(const GradientSumsBlock<T>& b) {
  if (b.y)
    with_lanes<T>(b.columns, GradientSumsStrip<T, true>{b});
  else
    with_lanes<T>(b.columns, GradientSumsStrip<T, false>{b});
}

template <class T, bool Relu, bool Constants, bool XRelu, class Access>
void input_gradient_rows(const InputGradientBlock<T>& b) {
  for (int64_t row = 0; row < b.rows; ++row) {
    const int64_t first = row * b.columns;
    for_each_vector<T, Access>(b.columns, [&](int64_t c, auto access) {
      Vector<T> g = access.load(b.grad + first + c);
      if (Relu) g = access.load(b.y + first + c) <= 0 ? Vector<T>{} : g;
      const Vector<T> x = !Constants || XRelu ? access.load(b.x + first + c) : Vector<T>{};
      if (!Constants) g = g - load(b.constant + c) - (x - load(b.mean + c)) * load(b.slope + c);
      g *= load(b.scale + c);
      if (XRelu) g = x <= 0 ? Vector<T>{} : g;
      access.store(b.grad_x + first + c, g);
    });
  }
}

template <class T, bool Relu, bool Constants, class Access>
void input_gradient_of(const InputGradientBlock<T>& b) {
  b.x_relu ? input_gradient_rows<T, Relu, Constants, true, Access>(b)
           : input_gradient_rows<T, Relu, Constants, false, Access>(b);
}

template <class T, class Access>
void input_gradient_to(const InputGradientBlock<T>& b) {
  if (b.constants)
    b.y ? input_gradient_of<T, true, true, Access>(b) : input_gradient_of<T, false, true, Access>(b);
  else
    b.y ? input_gradient_of<T, true, false, Access>(b) : input_gradient_of<T, false, false, Access>(b);
}

template <class T>
void input_gradient(const InputGradientBlock<T>& b) {
  if (!b.streamed || !rows_are_aligned(b.grad_x, b.columns)) return input_gradient_to<T, WholeVector<T>>(b);
  input_gradient_to<T, StreamedVector<T>>(b);
  stream_fence();
}

template <class T>
constexpr BatchNormKernels<T> kKernels = {normalize<T>, moments<T>, gradient_sums<T>, input_gradient<T>};

}  // namespace

extern const BatchNormKernels<float> kBatchNormFloat32 = kKernels<float>;
extern const BatchNormKernels<double> kBatchNormFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
