// Column sums; contract: rows.hpp. A vector of columns is summed over all rows before the next.
#include "cpu/kernels/rows.hpp"

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// `Vectors` vectors side by side hide the latency of the additions.
template <class T, int Vectors>
KONV_INLINE void sum_columns(const T* x, int64_t rows, int64_t columns, T* sums) {
  Vector<T> acc[Vectors] = {};
  for (int64_t row = 0; row < rows; ++row, x += columns)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) acc[v] += load(x + v * kLanes<T>);
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) store(sums + v * kLanes<T>, acc[v]);
}

template <class T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* sums) {
  constexpr int kLane = kLanes<T>;
  int64_t c = 0;
  for (; c + 4 * kLane <= columns; c += 4 * kLane) sum_columns<T, 4>(x + c, rows, columns, sums + c);
  for (; c + kLane <= columns; c += kLane) sum_columns<T, 1>(x + c, rows, columns, sums + c);
  if (c == columns) return;
  Vector<T> acc{};
  for (int64_t row = 0; row < rows; ++row) acc += load_partial(x + row * columns + c, columns - c);
  store_partial(sums + c, acc, columns - c);
}

template <class T>
constexpr RowsKernels<T> kKernels = {column_sums<T>};

}  // namespace

extern const RowsKernels<float> kRowsFloat32 = kKernels<float>;
extern const RowsKernels<double> kRowsFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
