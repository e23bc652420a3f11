// Driver of the column sums; see rows.hpp.
#include "cpu/rows.hpp"

#include <algorithm>

#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kBlockElements = 1 << 15;  // of a task: 128 KiB of float32, about 5 us
constexpr int64_t kLeastRows = 32;           // so that the blocks' sums are few beside the rows

}  // namespace

template <class T>
Buffer column_sums(const char* op, const T* x, int64_t rows, int64_t columns) {
  const int64_t block_rows = std::max(kLeastRows, kBlockElements / columns);
  const int64_t blocks = ceil_div(rows, block_rows);
  const int64_t row_bytes = checked_multiply(op, "the result", columns, sizeof(T));
  auto [result, scratch] = allocate(op, {row_bytes, checked_multiply(op, "scratch", row_bytes, blocks)});
  T *sums = result.template as<T>(), *partial = scratch.template as<T>();
  const RowsKernels<T>& k = *kernels<T>().rows;
  parallel_for(threads_for(blocks, static_cast<double>(rows) * columns), blocks, [&](int64_t block, int) {
    const int64_t first = block * block_rows;
    k.column_sums(x + first * columns, std::min(block_rows, rows - first), columns,
                  partial + block * columns);
  });
  k.column_sums(partial, blocks, columns, sums);
  return std::move(result);
}

template Buffer column_sums<float>(const char*, const float*, int64_t, int64_t);
template Buffer column_sums<double>(const char*, const double*, int64_t, int64_t);

}  // namespace konv::cpu
