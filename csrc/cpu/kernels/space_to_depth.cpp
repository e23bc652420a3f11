// Copies between rows of pixels and rows of blocks; contract: space_to_depth.hpp. Pieces may be a few
// elements long, but are written one behind the other: whole vectors are copied, whose rest the next piece
// overwrites, while there is room for them.
#include "cpu/kernels/space_to_depth.hpp"

#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr int64_t kLane = kLanes<float>;

// The first blocks of a row, whose pieces may be read and written in whole vectors.
KONV_INLINE int64_t roomy_blocks(const BlockedRows& r) {
  const int64_t beyond = (r.piece + kLane - 1) / kLane * kLane - r.piece;
  const int64_t blocks = (beyond + r.piece - 1) / r.piece;
  return r.count < blocks ? 0 : r.count - blocks;
}

template <bool Roomy>
KONV_INLINE void copy_piece(float* to, const float* from, int64_t piece) {
  if constexpr (Roomy)
    for (int64_t e = 0; e < piece; e += kLane) store(to + e, load(from + e));
  else
    copy_elements(to, from, piece);
}

template <bool Roomy>
KONV_INLINE void gather_blocks(const BlockedRows& r, int64_t begin, int64_t end, const float* x,
                               int64_t row_stride, int64_t first, int64_t last, float* blocks) {
  float* to = blocks + begin * r.rows * r.piece;
  for (int64_t b = begin; b < end; ++b)
    for (int64_t i = 0; i < r.rows; ++i, to += r.piece) {
      if (i >= first && i < last)
        copy_piece<Roomy>(to, x + i * row_stride + b * r.piece, r.piece);
      else
        for (int64_t e = 0; e < r.piece; ++e) to[e] = 0;
    }
}

void gather(const BlockedRows& r, const float* x, int64_t row_stride, int64_t first, int64_t last,
            float* blocks) {
  const int64_t roomy = roomy_blocks(r);
  gather_blocks<true>(r, 0, roomy, x, row_stride, first, last, blocks);
  gather_blocks<false>(r, roomy, r.count, x, row_stride, first, last, blocks);
}

void scatter(const BlockedRows& r, const float* blocks, int64_t row, float* x) {
  const int64_t roomy = roomy_blocks(r);
  const float* from = blocks + row * r.piece;
  for (int64_t b = 0; b < roomy; ++b) copy_piece<true>(x + b * r.piece, from + b * r.rows * r.piece, r.piece);
  for (int64_t b = roomy; b < r.count; ++b)
    copy_piece<false>(x + b * r.piece, from + b * r.rows * r.piece, r.piece);
}

}  // namespace

extern const SpaceToDepthKernels kSpaceToDepth = {gather, scatter};

}  // namespace konv::cpu::KONV_ISA
