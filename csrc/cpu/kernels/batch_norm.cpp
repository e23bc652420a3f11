// Batch normalisation; contracts: batch_norm.hpp. Sums take a strip of columns through all rows of a block,
// with their accumulators in registers, or, where rows are long, through a few rows at a time; the passes
// that write run along the rows.
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

// Rows longer than a strip are taken a few at a time: strips of them would jump from page to page, where the
// hardware fetches nothing ahead, and those a multiple of 4 KiB long fall into one set of L1. With strips
// alone 1024 channels went at half the speed.
constexpr int64_t kStripBytes = 256;
constexpr int64_t kRowsTogether = 4;  // 2 and 8 measured alike

template <class T>
KONV_INLINE bool rows_are_long(int64_t columns) {
  return columns * static_cast<int64_t>(sizeof(T)) > kStripBytes;
}

// Calls body(c, access, rows of a group, at) for vectors of columns through groups of rows; `at` is the first
// element. Sums are kept in memory between groups.
template <class T, class Body>
KONV_INLINE void for_each_group(int64_t rows, int64_t columns, const Body& body) {
  for (int64_t row = 0; row < rows; row += kRowsTogether)
    for_each_vector_once<T>(columns, [&](int64_t c, auto access) {
      body(c, access, minimum(kRowsTogether, rows - row), row * columns + c);
    });
}

template <class T>
void clear_columns(T* sums, int64_t columns) {
  __builtin_memset(sums, 0, columns * sizeof(T));
}

template <class T>
void moments_of_long_rows(const MomentsBlock<T>& b) {
  clear_columns(b.centre, b.columns);
  for_each_group<T>(b.rows, b.columns, [&](int64_t c, auto access, int64_t rows, int64_t at) {
    Vector<T> sum = access.load(b.centre + c);
#pragma GCC unroll 4
    for (int64_t row = 0; row < rows; ++row) sum += access.load(b.x + at + row * b.columns);
    access.store(b.centre + c, sum);
  });
  for_each_vector_once<T>(b.columns, [&](int64_t c, auto access) {
    access.store(b.centre + c, access.load(b.centre + c) / static_cast<T>(b.rows));
  });
  clear_columns(b.deviation, b.columns);
  clear_columns(b.squares, b.columns);
  for_each_group<T>(b.rows, b.columns, [&](int64_t c, auto access, int64_t rows, int64_t at) {
    const Vector<T> centre = access.load(b.centre + c);
    Vector<T> deviation = access.load(b.deviation + c), squares = access.load(b.squares + c);
#pragma GCC unroll 4
    for (int64_t row = 0; row < rows; ++row) {
      const Vector<T> distance = access.load(b.x + at + row * b.columns) - centre;
      deviation += distance;
      squares += distance * distance;
    }
    access.store(b.deviation + c, deviation);
    access.store(b.squares + c, squares);
  });
  for_each_vector_once<T>(b.columns, [&](int64_t c, auto access) {
    const Vector<T> deviation = access.load(b.deviation + c);
    access.store(b.deviation + c, deviation == deviation ? deviation : Vector<T>{});
  });
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
  if (rows_are_long<T>(b.columns)) return moments_of_long_rows(b);
  with_lanes<T>(b.columns, MomentsStrip<T>{b});
}

template <class T, bool Relu>
void gradient_sums_of_long_rows(const GradientSumsBlock<T>& b) {
  clear_columns(b.sums, b.columns);
  clear_columns(b.products, b.columns);
  for_each_group<T>(b.rows, b.columns, [&](int64_t c, auto access, int64_t rows, int64_t at) {
    const Vector<T> mean = access.load(b.mean + c), rstd = access.load(b.rstd + c);
    Vector<T> sums = access.load(b.sums + c), products = access.load(b.products + c);
#pragma GCC unroll 4
    for (int64_t row = 0; row < rows; ++row, at += b.columns) {
      Vector<T> g = access.load(b.grad + at);
      if (Relu) g = access.load(b.y + at) <= 0 ? Vector<T>{} : g;
      sums += g;
      products += g * ((access.load(b.x + at) - mean) * rstd);
    }
    access.store(b.sums + c, sums);
    access.store(b.products + c, products);
  });
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

template <class T, bool Relu>
void gradient_sums_to(const GradientSumsBlock<T>& b) {
  if (rows_are_long<T>(b.columns))
    gradient_sums_of_long_rows<T, Relu>(b);
  else
    with_lanes<T>(b.columns, GradientSumsStrip<T, Relu>{b});
}

template <class T>
void gradient_sums(const GradientSumsBlock<T>& b) {
  b.y ? gradient_sums_to<T, true>(b) : gradient_sums_to<T, false>(b);
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
