// Transforms for the phases of a convolution of 3 taps with stride 2: one has two taps, the other one, and
// neither has a stride (conv2d_winograd_strided.cpp). Included by kernel files only.
//
// Two taps are F(4,2) on the points 0, 1, -1, 2 and infinity: y = A^T [ (G w) . (B^T d) ], 5 products for 8,
// and for the gradient of the kernel dw = G^T [ (A g) . (B^T d) ]. One tap is its own transform. As in
// winograd_transforms.hpp, only G has fractions, and each function applies one matrix to a column of vectors.
#pragma once

#include "cpu/kernels/winograd_transforms.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

struct TwoTaps {
  static constexpr int kPoints = 5;

  struct Data {  // B^T
    static constexpr int kIn = 5, kOut = 5;
    KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
      const WinogradVector odd = x[3] - x[1];
      y[0] = (x[0] - x[2]) * 2.0f + odd;
      y[1] = x[3] - x[2] - x[1] * 2.0f;
      y[2] = x[3] - x[2] * 3.0f + x[1] * 2.0f;
      y[3] = odd;
      y[4] = x[4] - x[2] - odd * 2.0f;
    }
  };

  struct Kernel {  // G
    static constexpr int kIn = 2, kOut = 5;
    KONV_INLINE void apply(const WinogradVector* w, WinogradVector* x) {
      x[0] = w[0] * 0.5f;
      x[1] = (w[0] + w[1]) * -0.5f;
      x[2] = (w[1] - w[0]) * (1.0f / 6);
      x[3] = (w[0] + w[1] * 2.0f) * (1.0f / 6);
      x[4] = w[1];
    }
  };

  struct Output {  // A^T
    static constexpr int kIn = 5, kOut = 4;
    KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) {
      const WinogradVector even = x[1] + x[2], odd = x[1] - x[2];
      y[0] = x[0] + even + x[3];
      y[1] = odd + x[3] * 2.0f;
      y[2] = even + x[3] * 4.0f;
      y[3] = odd + x[3] * 8.0f + x[4];
    }
  };

  struct OutputAdjoint {  // A
    static constexpr int kIn = 4, kOut = 5;
    KONV_INLINE void apply(const WinogradVector* y, WinogradVector* x) {
      const WinogradVector even = y[0] + y[2], odd = y[1] + y[3];
      x[0] = y[0];
      x[1] = even + odd;
      x[2] = even - odd;
      x[3] = (y[0] + y[2] * 4.0f) + (y[1] + y[3] * 4.0f) * 2.0f;
      x[4] = y[3];
    }
  };

  struct KernelAdjoint {  // G^T
    static constexpr int kIn = 5, kOut = 2;
    KONV_INLINE void apply(const WinogradVector* x, WinogradVector* w) {
      w[0] = (x[0] - x[1]) * 0.5f + (x[3] - x[2]) * (1.0f / 6);
      w[1] = (x[4] - x[1] * 0.5f) + (x[2] + x[3] * 2.0f) * (1.0f / 6);
    }
  };
};

struct OneTap {
  static constexpr int kPoints = 1;

  struct Data {
    static constexpr int kIn = 1, kOut = 1;
    KONV_INLINE void apply(const WinogradVector* x, WinogradVector* y) { y[0] = x[0]; }
  };
  using Kernel = Data;
  using Output = Data;
  using OutputAdjoint = Data;
  using KernelAdjoint = Data;
};

}  // namespace
}  // namespace konv::cpu::KONV_ISA
