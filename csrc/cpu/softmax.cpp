// Driver of softmax and its cross-entropies; see softmax.hpp.
//
// The exponentials are computed twice, for their sum and for the gradient: that costs less than to write and
// read them. Threads share out blocks of rows; each row is summed by itself.
#include "cpu/softmax.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockElements = 1 << 15;  // of a task: 128 KiB of float32, which two passes find in L2
constexpr int64_t kRowElements = 16;         // a row takes as long as so many beside its own; one takes 1 ns

// Of a gradient whose labels are subtracted afterwards: a streamed line has to come back for that. Rows of
// 256 elements take 2.98 ms streamed and 3.59 not, of 64 4.1 and 4.9, of 32 as long, of 16 10.1 and 7.8.
constexpr int64_t kStreamedRowBytes = 256;

// Calls body(first row, rows) on blocks that cover all rows.
template <class Body>
void for_each_rows(ClassRows shape, const Body& body) {
  const int64_t each = std::max<int64_t>(1, kBlockElements / (shape.classes + kRowElements));
  const int64_t blocks = ceil_div(shape.rows, each);
  const double nanoseconds = static_cast<double>(shape.rows) * (shape.classes + kRowElements);
  parallel_for(threads_for(blocks, nanoseconds), blocks,
               [&](int64_t block, int) { body(block * each, std::min(each, shape.rows - block * each)); });
}

void require_labels(const char* op, ClassRows shape, const int64_t* labels) {
  for (int64_t row = 0; row < shape.rows; ++row)
    if (labels[row] < 0 || labels[row] >= shape.classes)
      fail(op, "labels must lie in 0..", shape.classes - 1, ", received ", labels[row]);
}

}  // namespace

template <class T>
Buffer softmax(const char* op, ClassRows shape, const T* z) {
  const int64_t row_bytes = checked_multiply(op, "scratch", shape.rows, sizeof(T));
  const int64_t bytes = checked_multiply(op, "the result", row_bytes, shape.classes);
  auto [result, largest, total] = allocate(op, {bytes, row_bytes, row_bytes});
  T *y = result.template as<T>(), *m = largest.template as<T>(), *factor = total.template as<T>();
  const SoftmaxKernels<T>& k = *kernels<T>().softmax;
  const bool streamed = worth_streaming(bytes);
  for_each_rows(shape, [&](int64_t first, int64_t rows) {
    const T* block = z + first * shape.classes;
    k.sums({block, nullptr, rows, shape.classes, m + first, factor + first, nullptr, nullptr});
    for (int64_t row = first; row < first + rows; ++row) factor[row] = 1 / factor[row];
    k.products({block, nullptr, rows, shape.classes, m + first, factor + first, nullptr,
                y + first * shape.classes, streamed});
  });
  return std::move(result);
}

template <class T>
CrossEntropies<T> softmax_cross_entropy(const char* op, ClassRows shape, const T* z,
                                        const Targets<T>& targets) {
  if (targets.labels) require_labels(op, shape, targets.labels);
  const int64_t C = shape.classes, bytes = checked_multiply(op, "the result", shape.rows, sizeof(T));
  auto [values, largest, total, weight] = allocate(op, {bytes, bytes, bytes, targets.weights ? bytes : 0});
  CrossEntropies<T> result{std::move(values), std::move(largest), std::move(total), std::move(weight)};
  T *value = result.values.template as<T>(), *m = result.largest.template as<T>(),
    *sum = result.total.template as<T>(), *w = result.weight.template as<T>();
  const SoftmaxKernels<T>& k = *kernels<T>().softmax;
  for_each_rows(shape, [&](int64_t first, int64_t rows) {
    const bool weighted = targets.weights != nullptr;
    k.sums({z + first * C, weighted ? targets.weights + first * C : nullptr, rows, C, m + first, sum + first,
            weighted ? w + first : nullptr, value + first});
    for (int64_t row = first; row < first + rows; ++row)
      value[row] = weighted ? w[row] * std::log(sum[row]) - value[row]
                            : std::log(sum[row]) - (z[row * C + targets.labels[row]] - m[row]);
  });
  return result;
}

template <class T>
Buffer softmax_cross_entropy_backward(const char* op, ClassRows shape, const T* z, const Targets<T>& targets,
                                      const RowSums<T>& sums, const T* scale, bool one_scale) {
  if (targets.labels) require_labels(op, shape, targets.labels);
  const int64_t C = shape.classes, row_bytes = checked_multiply(op, "scratch", shape.rows, sizeof(T));
  const int64_t bytes = checked_multiply(op, "the result", row_bytes, C);
  auto [result, factors, scales] = allocate(op, {bytes, row_bytes, row_bytes});
  T *y = result.template as<T>(), *factor = factors.template as<T>(), *each = scales.template as<T>();
  const SoftmaxKernels<T>& k = *kernels<T>().softmax;
  const bool streamed =
      worth_streaming(bytes) && (!targets.labels || C * int64_t{sizeof(T)} >= kStreamedRowBytes);
  for_each_rows(shape, [&](int64_t first, int64_t rows) {
    for (int64_t row = first; row < first + rows; ++row) {
      each[row] = scale[one_scale ? 0 : row];
      factor[row] = (targets.weights ? each[row] * sums.weight[row] : each[row]) / sums.total[row];
    }
    k.products({z + first * C, targets.weights ? targets.weights + first * C : nullptr, rows, C,
                sums.largest + first, factor + first, each + first, y + first * C, streamed});
    if (targets.labels)
      for (int64_t row = first; row < first + rows; ++row) y[row * C + targets.labels[row]] -= each[row];
  });
  return std::move(result);
}

#define KONV_INSTANTIATE(T)                                                                                 \
  template Buffer softmax<T>(const char*, ClassRows, const T*);                                             \
  template CrossEntropies<T> softmax_cross_entropy<T>(const char*, ClassRows, const T*, const Targets<T>&); \
  template Buffer softmax_cross_entropy_backward<T>(const char*, ClassRows, const T*, const Targets<T>&,    \
                                                    const RowSums<T>&, const T*, bool);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
