// Contracts of copies between rows of pixels and rows of blocks of pixels (conv2d_space_to_depth.hpp).
//
// A row of `count` blocks of `rows` x n pixels is one array, block by block, row by row: element e of a
// block's row i is blocks[(b * rows + i) * piece + e], piece = n * channels.
#pragma once

#include <stdint.h>

namespace konv::cpu {

struct BlockedRows {
  int64_t count, rows, piece;
};

struct SpaceToDepthKernels {
  // Element e of a block's row i is x[i * row_stride + b * piece + e] for i in [first, last), else zero.
  void (*gather)(const BlockedRows&, const float* x, int64_t row_stride, int64_t first, int64_t last,
                 float* blocks);
  // x[b * piece + e] = element e of block b's row `row`.
  void (*scatter)(const BlockedRows&, const float* blocks, int64_t row, float* x);
};

}  // namespace konv::cpu
