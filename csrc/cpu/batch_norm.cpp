// Driver of batch normalisation; see batch_norm.hpp.
//
// Statistics and gradients of gamma and beta are sums over rows: blocks of rows, cut by the shape alone, are
// summed by the kernels in T and put together in order in float64 (Chan, Golub, LeVeque 1983, section 3, for
// the variance).
#include "cpu/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/carver.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockElements = 1 << 15;  // of a task: 128 KiB of float32, which two passes find in L2
constexpr int64_t kLeastRows = 64;           // so that the blocks' sums are few beside the rows
constexpr int64_t kLeastBlocks = 16;         // of a matrix of some more rows: to balance the load
constexpr int64_t kLeastColumns = 32;        // below, rows are taken side by side ...
constexpr int64_t kVector = 16;              // ... until they fill whole vectors of every ISA
constexpr int64_t kStrip = 64;               // channels whose blocks' sums are put together in one task

struct RowBlock {
  int64_t first;          // element of x
  int64_t rows, columns;  // what the kernel sees
  int64_t repeat;         // rows of the matrix in each of these

  double count() const { return static_cast<double>(rows) * static_cast<double>(repeat); }
};

// The matrix in blocks. Few channels are widened: a row of the kernel is `repeat` rows of the matrix.
class RowBlocks {
 public:
  explicit RowBlocks(ChannelRows shape)
      : shape_(shape),
        repeat_(repeat_for(shape.channels)),
        wide_rows_(shape.rows / repeat_),
        block_rows_(block_rows(wide_rows_, columns())) {}

  int64_t columns() const { return repeat_ * shape_.channels; }
  int64_t count() const { return wide_blocks() + (shape_.rows % repeat_ > 0); }

  // The last block may hold the rows that do not fill a wide one.
  RowBlock block(int64_t i) const {
    if (i == wide_blocks()) return {wide_rows_ * columns(), shape_.rows % repeat_, shape_.channels, 1};
    const int64_t first = i * block_rows_;
    return {first * columns(), std::min(block_rows_, wide_rows_ - first), columns(), repeat_};
  }

  // Calls body(first channel, channels) on strips of the channels, to put the blocks' sums together.
  template <class Body>
  void for_each_strip(const Body& body) const {
    const int64_t C = shape_.channels, strips = (C + kStrip - 1) / kStrip;
    const double sums = static_cast<double>(count()) * static_cast<double>(C);
    parallel_for(threads_for(strips, sums), strips,
                 [&](int64_t strip, int) { body(strip * kStrip, std::min(kStrip, C - strip * kStrip)); });
  }

  template <class Body>
  void for_each(int threads, const Body& body) const {
    parallel_for_own(threads, count(), Order::kUp, [&](int64_t i, int thread) { body(block(i), i, thread); });
  }

  // What a pass over all rows read last is what the caches still hold: the next pass begins with it.
  template <class Body>
  void for_each_backwards(int threads, const Body& body) const {
    parallel_for_own(threads, count(), Order::kDown, [&](int64_t i, int) { body(block(i)); });
  }

  int threads() const {
    return threads_for(count(), static_cast<double>(shape_.rows) * static_cast<double>(shape_.channels));
  }

 private:
  static int64_t repeat_for(int64_t channels) {
    if (channels >= kLeastColumns) return 1;
    const int64_t step = kVector / std::gcd(kVector, channels);
    return (kLeastColumns + step * channels - 1) / (step * channels) * step;
  }
  // Equal, so that threads have as much to do, and a few even of small matrices.
  static int64_t block_rows(int64_t rows, int64_t columns) {
    const int64_t most = std::max(kLeastRows, kBlockElements / columns);
    const int64_t blocks = std::max(ceil_div(rows, most), std::min(kLeastBlocks, rows / kLeastRows));
    return std::max<int64_t>(1, ceil_div(rows, std::max<int64_t>(1, blocks)));
  }
  int64_t wide_blocks() const { return ceil_div(wide_rows_, block_rows_); }

  ChannelRows shape_;
  int64_t repeat_, wide_rows_, block_rows_;
};

// columns[j * C + c] = value(c)
template <class T, class Value>
void fill_columns(T* columns, int64_t size, int64_t channels, const Value& value) {
  for (int64_t c = 0; c < channels; ++c) columns[c] = static_cast<T>(value(c));
  for (int64_t i = channels; i < size; ++i) columns[i] = columns[i - channels];
}

template <class T>
double rstd(const T* variance, int64_t c, double epsilon) {
  return 1 / std::sqrt(variance[c] + epsilon);
}

template <class T>
struct Normalization {
  T *mean, *scale, *shift;

  Normalization(Carver& carver, int64_t columns)
      : mean(carver.take<T>(columns)), scale(carver.take<T>(columns)), shift(carver.take<T>(columns)) {}
};

template <class T>
void normalize(ChannelRows shape, const T* x, const T* gamma, const T* beta, const T* mean, const T* variance,
               double epsilon, bool relu, const Normalization<T>& n, T* y) {
  const RowBlocks blocks(shape);
  const int64_t columns = blocks.columns(), C = shape.channels;
  fill_columns(n.mean, columns, C, [&](int64_t c) { return mean[c]; });
  fill_columns(n.scale, columns, C,
               [&](int64_t c) { return (gamma ? gamma[c] : 1) * rstd(variance, c, epsilon); });
  fill_columns(n.shift, columns, C, [&](int64_t c) { return beta ? beta[c] : 0; });
  const BatchNormKernels<T>& k = *kernels<T>().batch_norm;
  const bool streamed = worth_streaming(shape.rows * C * static_cast<int64_t>(sizeof(T)));
  blocks.for_each_backwards(blocks.threads(), [&](const RowBlock& b) {
    k.normalize({x + b.first, b.rows, b.columns, n.mean, n.scale, n.shift, relu, y + b.first, streamed});
  });
}

// ---- statistics ----

// Means are distances from an origin near the data, the first row: x may lie far from 0, where they would be
// rounded.
template <class T>
void fill_origin(const T* x, ChannelRows shape, double* origin) {
  for (int64_t c = 0; c < shape.channels; ++c) origin[c] = shape.rows > 0 && std::isfinite(x[c]) ? x[c] : 0;
}

template <class T>
struct MomentsScratch {
  double* origin;  // [channel]
  double *means,
      *squares;  // [block][channel]: distance from the origin; sum of squared distances from the mean
  T* columns;    // of each thread: centre, deviation and squares of a block
  Normalization<T> normalization;

  MomentsScratch(Carver& carver, const RowBlocks& rows, int64_t channels, int threads)
      : origin(carver.take<double>(channels)),
        means(carver.take<double>(rows.count() * channels)),
        squares(carver.take<double>(rows.count() * channels)),
        columns(carver.take<T>(threads * 3 * rows.columns())),
        normalization(carver, rows.columns()) {}
};

// The moments of a block from those of its columns. Where the centre is infinite, so is the mean.
template <class T>
void fold_moments(const RowBlock& b, const MomentsBlock<T>& m, int64_t channels, const double* origin,
                  double* mean, double* squares) {
  const double rows = static_cast<double>(b.rows), per_row = 1 / rows,
               share = 1 / static_cast<double>(b.repeat);
  const auto column_mean = [&](int64_t j, int64_t c) {
    return m.centre[j * channels + c] - origin[c] + m.deviation[j * channels + c] * per_row;
  };
  const auto column_squares = [&](int64_t j, int64_t c) {
    const double deviation = m.deviation[j * channels + c];
    return m.squares[j * channels + c] - deviation * deviation * per_row;
  };
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = column_mean(0, c) * share;
    squares[c] = column_squares(0, c);
  }
  if (b.repeat == 1) return;
  for (int64_t j = 1; j < b.repeat; ++j)
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] += column_mean(j, c) * share;
      squares[c] += column_squares(j, c);
    }
  for (int64_t j = 0; j < b.repeat; ++j)
    for (int64_t c = 0; c < channels; ++c) {
      const double distance = column_mean(j, c) - mean[c];
      squares[c] += rows * distance * distance;
    }
}

// The moments of all rows, from those of the blocks in order; 0 where there are none.
template <class T>
void merge_moments(const RowBlocks& rows, ChannelRows shape, const MomentsScratch<T>& s, T* mean,
                   T* variance) {
  const int64_t C = shape.channels;
  const double total = static_cast<double>(std::max<int64_t>(1, shape.rows));
  rows.for_each_strip([&](int64_t first, int64_t channels) {
    double centre[kStrip] = {}, squares[kStrip] = {};
    for (int64_t i = 0; i < rows.count(); ++i) {
      const double count = rows.block(i).count(), *means = s.means + i * C + first;
      for (int64_t c = 0; c < channels; ++c) centre[c] += means[c] * count;
    }
    for (int64_t c = 0; c < channels; ++c) centre[c] /= total;
    for (int64_t i = 0; i < rows.count(); ++i) {
      const double count = rows.block(i).count(), *means = s.means + i * C + first,
                   *own = s.squares + i * C + first;
      for (int64_t c = 0; c < channels; ++c)
        squares[c] += own[c] + count * (means[c] - centre[c]) * (means[c] - centre[c]);
    }
    for (int64_t c = 0; c < channels; ++c) {
      mean[first + c] = static_cast<T>(s.origin[first + c] + centre[c]);
      variance[first + c] = static_cast<T>(squares[c] < 0 ? 0 : squares[c] / total);  // by rounding only
    }
  });
}

// ---- gradients ----

template <class T>
struct GradientScratch {
  double *sums, *products;              // [block][channel]
  double *total_sums, *total_products;  // [channel]
  T* columns;                           // of each thread: sums and products of a block
  T *mean, *rstd, *scale, *constant, *slope;

  GradientScratch(Carver& carver, const RowBlocks& rows, int64_t channels, int threads)
      : sums(carver.take<double>(rows.count() * channels)),
        products(carver.take<double>(rows.count() * channels)),
        total_sums(carver.take<double>(channels)),
        total_products(carver.take<double>(channels)),
        columns(carver.take<T>(threads * 2 * rows.columns())),
        mean(carver.take<T>(rows.columns())),
        rstd(carver.take<T>(rows.columns())),
        scale(carver.take<T>(rows.columns())),
        constant(carver.take<T>(rows.columns())),
        slope(carver.take<T>(rows.columns())) {}
};

// sums[c] = sum over j of rows[j * pitch + c], c in [0, channels)
template <class From>
void add_rows(const From* rows, int64_t count, int64_t pitch, int64_t channels, double* sums) {
  std::fill(sums, sums + channels, 0.0);
  for (int64_t j = 0; j < count; ++j)
    for (int64_t c = 0; c < channels; ++c) sums[c] += rows[j * pitch + c];
}

}  // namespace

ChannelRows make_channel_rows(const char* op, const Dims& x) {
  if (x.empty()) fail(op, "x must have at least 1 dimension (..., C), received ()");
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] < 1 && (i > 0 || x.size() == 1))
      fail(op, "every dimension of x but the first must be at least 1, received ", tuple_text(x));
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < x.size(); ++i) rows = checked_multiply(op, "x", rows, x[i]);
  return {rows, x.back()};
}

template <class T>
Buffer batch_norm(const char* op, ChannelRows shape, const T* x, const T* gamma, const T* beta, const T* mean,
                  const T* variance, double epsilon, bool relu) {
  Carver layout;
  Normalization<T>(layout, RowBlocks(shape).columns());
  auto [y, scratch] =
      allocate(op, {shape.rows * shape.channels * static_cast<int64_t>(sizeof(T)), layout.bytes()});
  Carver carver(scratch.data());
  const Normalization<T> normalization(carver, RowBlocks(shape).columns());
  normalize(shape, x, gamma, beta, mean, variance, epsilon, relu, normalization, y.template as<T>());
  return std::move(y);
}

template <class T>
NormalizedAndMoments batch_norm_train(const char* op, ChannelRows shape, const T* x, const T* gamma,
                                      const T* beta, double epsilon, bool relu) {
  // First, because without rows only their size tells that C is too large for the scratch.
  const int64_t channel_bytes = checked_multiply(op, "the result", shape.channels, sizeof(T));
  require_memory(op, channel_bytes);

  const RowBlocks rows(shape);
  const int threads = rows.threads();
  const int64_t C = shape.channels, columns = rows.columns();
  Carver layout;
  MomentsScratch<T>(layout, rows, C, threads);
  auto [y, mean, variance, scratch] =
      allocate(op, {shape.rows * channel_bytes, channel_bytes, channel_bytes, layout.bytes()});
  T *means = mean.template as<T>(), *variances = variance.template as<T>();
  Carver carver(scratch.data());
  const MomentsScratch<T> s(carver, rows, C, threads);

  fill_origin(x, shape, s.origin);
  const BatchNormKernels<T>& k = *kernels<T>().batch_norm;
  rows.for_each(threads, [&](const RowBlock& b, int64_t i, int thread) {
    T* own = s.columns + thread * 3 * columns;
    const MomentsBlock<T> block{x + b.first, b.rows, b.columns, own, own + columns, own + 2 * columns};
    k.moments(block);
    fold_moments(b, block, C, s.origin, s.means + i * C, s.squares + i * C);
  });
  merge_moments(rows, shape, s, means, variances);
  normalize(shape, x, gamma, beta, means, variances, epsilon, relu, s.normalization, y.template as<T>());
  return {std::move(y), std::move(mean), std::move(variance)};
}

template <class T>
BatchNormGradients batch_norm_backward(const char* op, ChannelRows shape, const T* grad, const T* x,
                                       const T* gamma, const T* mean, const T* variance, double epsilon,
                                       bool training, const T* y, bool x_relu) {
  const RowBlocks rows(shape);
  const int threads = rows.threads();
  const int64_t C = shape.channels, columns = rows.columns(),
                channel_bytes = C * static_cast<int64_t>(sizeof(T));
  Carver layout;
  GradientScratch<T>(layout, rows, C, threads);
  auto [of_x, of_gamma, of_beta, scratch] =
      allocate(op, {shape.rows * channel_bytes, channel_bytes, channel_bytes, layout.bytes()});
  BatchNormGradients result{std::move(of_x), std::move(of_gamma), std::move(of_beta)};
  Carver carver(scratch.data());
  const GradientScratch<T> s(carver, rows, C, threads);
  T *grad_x = result.x.as<T>(), *grad_gamma = result.gamma.as<T>(), *grad_beta = result.beta.as<T>();

  fill_columns(s.mean, columns, C, [&](int64_t c) { return mean[c]; });
  fill_columns(s.rstd, columns, C, [&](int64_t c) { return rstd(variance, c, epsilon); });
  const BatchNormKernels<T>& k = *kernels<T>().batch_norm;
  rows.for_each(threads, [&](const RowBlock& b, int64_t i, int thread) {
    T *sums = s.columns + thread * 2 * columns, *products = sums + columns;
    k.gradient_sums({grad + b.first, x + b.first, y ? y + b.first : nullptr, b.rows, b.columns, s.mean,
                     s.rstd, sums, products});
    add_rows(sums, b.repeat, C, C, s.sums + i * C);
    add_rows(products, b.repeat, C, C, s.products + i * C);
  });
  rows.for_each_strip([&](int64_t first, int64_t channels) {
    add_rows(s.sums + first, rows.count(), C, channels, s.total_sums + first);
    add_rows(s.products + first, rows.count(), C, channels, s.total_products + first);
  });
  std::copy(s.total_sums, s.total_sums + C, grad_beta);
  std::copy(s.total_products, s.total_products + C, grad_gamma);

  const double total = static_cast<double>(std::max<int64_t>(1, shape.rows));
  fill_columns(s.scale, columns, C,
               [&](int64_t c) { return (gamma ? gamma[c] : 1) * rstd(variance, c, epsilon); });
  fill_columns(s.constant, columns, C, [&](int64_t c) { return s.total_sums[c] / total; });
  fill_columns(s.slope, columns, C,
               [&](int64_t c) { return s.total_products[c] / total * rstd(variance, c, epsilon); });
  const bool streamed = worth_streaming(shape.rows * channel_bytes);
  rows.for_each_backwards(threads, [&](const RowBlock& b) {
    k.input_gradient({grad + b.first, x + b.first, y ? y + b.first : nullptr, b.rows, b.columns, !training,
                      x_relu, s.mean, s.scale, s.constant, s.slope, grad_x + b.first, streamed});
  });
  return result;
}

#define KONV_INSTANTIATE(T)                                                                                  \
  template Buffer batch_norm<T>(const char*, ChannelRows, const T*, const T*, const T*, const T*, const T*,  \
                                double, bool);                                                               \
  template NormalizedAndMoments batch_norm_train<T>(const char*, ChannelRows, const T*, const T*, const T*,  \
                                                    double, bool);                                           \
  template BatchNormGradients batch_norm_backward<T>(const char*, ChannelRows, const T*, const T*, const T*, \
                                                     const T*, const T*, double, bool, const T*, bool);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
