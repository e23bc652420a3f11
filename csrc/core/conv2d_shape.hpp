// Conv2dShape: the one description of a 2D convolution that drivers, plans and kernels share.
//
// Layouts: x (N, H, W, C), kernel (R, S, C / groups, K), y (N, P, Q, K).
// A transposed convolution is the adjoint of the convolution described here: its input is y, its result x.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/window.hpp"

namespace konv {

using Pair = std::array<int64_t, 2>;

struct Conv2dShape {
  int64_t N, C, K, groups;
  WindowAxis h, w;  // h.size = H, h.window = R, h.out = P; w.size = W, w.window = S, w.out = Q

  int64_t group_channels() const { return C / groups; }
  int64_t group_filters() const { return K / groups; }
  std::array<int64_t, 4> x_dims() const { return {N, h.size, w.size, C}; }
  std::array<int64_t, 4> kernel_dims() const { return {h.window, w.window, group_channels(), K}; }
  std::array<int64_t, 4> y_dims() const { return {N, h.out, w.out, K}; }
  int64_t kernel_size() const { return h.window * w.window * group_channels() * K; }
  double flops() const {
    return 2.0 * static_cast<double>(N * h.out * w.out) * static_cast<double>(kernel_size());
  }
  bool is_depthwise() const { return groups == C && groups > 1; }
};

// Both check every dimension and throw std::invalid_argument with the op's name in front.
Conv2dShape make_conv2d_shape(const char* op, const Dims& x, const Dims& kernel, const Pair& strides,
                              const Padding& padding, const Pair& dilation, int64_t groups);

// x is the input of the transposed convolution, kernel (R, S, filters / groups, in).
Conv2dShape make_conv2d_transpose_shape(const char* op, const Dims& x, const Dims& kernel,
                                        const Pair& strides, const Padding& padding,
                                        const std::optional<Pair>& output_padding, const Pair& dilation,
                                        int64_t groups);

// grad must have the dimensions `expected`, those of what the forward pass returned.
void require_dims(const char* op, const char* name, const Dims& received, const Dims& expected);
void require_bias(const char* op, const Dims& bias, int64_t filters);
void require_image_dims(const char* op, const char* name, const Dims& dims);

}  // namespace konv
