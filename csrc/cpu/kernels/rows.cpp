// Column sums; contract: rows.hpp. Four vectors of columns are summed over all rows before the next: one
// alone would wait for its own additions. Few columns are taken several rows side by side, until they fill
// four.
#include "cpu/kernels/rows.hpp"

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

template <class T>
constexpr int64_t kEnoughColumns = 4 * kLanes<T>;

template <class T, int Vectors>
KONV_INLINE void sum_vectors(const T* x, int64_t rows, int64_t columns, T* sums) {
  Vector<T> acc[Vectors] = {};
  for (int64_t row = 0; row < rows; ++row, x += columns)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) acc[v] += load(x + v * kLanes<T>);
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) store(sums + v * kLanes<T>, acc[v]);
}

template <class T>
void sum_rows(const T* x, int64_t rows, int64_t columns, T* sums) {
  constexpr int kLane = kLanes<T>;
  int64_t c = 0;
  for (; c + 4 * kLane <= columns; c += 4 * kLane) sum_vectors<T, 4>(x + c, rows, columns, sums + c);
  for (; c + kLane <= columns; c += kLane) sum_vectors<T, 1>(x + c, rows, columns, sums + c);
  if (c == columns) return;
  Vector<T> acc{};
  for (int64_t row = 0; row < rows; ++row) acc += load_partial(x + row * columns + c, columns - c);
  store_partial(sums + c, acc, columns - c);
}

// How many rows side by side are whole vectors, and enough of them.
template <class T>
KONV_INLINE int64_t rows_side_by_side(int64_t columns) {
  int64_t step = 1;
  while (step * columns % kLanes<T> != 0) step *= 2;
  int64_t rows = step;
  while (rows * columns < kEnoughColumns<T>) rows += step;
  return rows;
}

template <class T>
void column_sums(const T* x, int64_t rows, int64_t columns, T* sums) {
  if (columns >= kEnoughColumns<T>) return sum_rows(x, rows, columns, sums);
  const int64_t together = rows_side_by_side<T>(columns), left = rows % together;
  T wide[kEnoughColumns<T> * kLanes<T>];  // fewer columns than enough, of at most kLanes rows or just enough
  sum_rows(x, rows / together, together * columns, wide);
  sum_rows(wide, together, columns, sums);
  if (left == 0) return;
  sum_rows(x + (rows - left) * columns, left, columns, wide);
  for (int64_t c = 0; c < columns; ++c) sums[c] += wide[c];
}

template <class T>
constexpr RowsKernels<T> kKernels = {column_sums<T>};

}  // namespace

extern const RowsKernels<float> kRowsFloat32 = kKernels<float>;
extern const RowsKernels<double> kRowsFloat64 = kKernels<double>;

}  // namespace konv::cpu::KONV_ISA
