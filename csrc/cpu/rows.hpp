// Sums over the rows of a matrix: gradients of bias.
#pragma once

#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

// sums[c] = sum of column c of x (rows, columns). Blocks of rows, cut by the shape alone, are added in order.
template <class T>
Buffer column_sums(const char* op, const T* x, int64_t rows, int64_t columns);

}  // namespace konv::cpu
