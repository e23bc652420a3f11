// Shapes of convolutions and of their transposes; see conv2d_shape.hpp.
#include "core/conv2d_shape.hpp"

namespace konv {
namespace {

void require_kernel_dims(const char* op, const Dims& kernel) {
  if (kernel.size() != 4)
    fail(op, "kernel must have 4 dimensions (kernel_h, kernel_w, in, out), received ", kernel.size(), ": ",
         tuple_text(kernel));
  for (int64_t dim : kernel)
    if (dim < 1) fail(op, "every dimension of kernel must be at least 1, received ", tuple_text(kernel));
}

void require_groups(const char* op, int64_t groups) {
  if (groups < 1) fail(op, "groups must be at least 1, received ", groups);
}

// Size of a transposed convolution's result along one axis (Keras 3, TensorFlow's rule), before it is
// checked that the convolution over it gives back `in`.
int64_t transposed_size(const char* op, Axis axis, int64_t in, int64_t window, int64_t stride,
                        int64_t dilation, const Padding& padding, const int64_t* output_padding) {
  const char* what = "the result";
  const int64_t extent = checked_add(op, what, checked_multiply(op, what, window - 1, dilation), 1);
  const int64_t steps = checked_multiply(op, what, in - 1, stride);
  const int64_t extra = output_padding ? *output_padding : 0;
  if (extra < 0)
    fail(op, "output_padding must not be negative, received ", extra, " for the ",
         axis == Axis::kHeight ? "height" : "width");
  switch (padding.mode) {
    case Padding::Mode::kValid:
      if (!output_padding) return checked_add(op, what, steps, extent > stride ? extent : stride);
      return checked_add(op, what, checked_add(op, what, steps, extent), extra);
    case Padding::Mode::kSame:
      if (!output_padding) return checked_add(op, what, steps, stride);
      return checked_add(op, what, steps, checked_add(op, what, extent % 2, extra));
    case Padding::Mode::kExplicit:
      break;
  }
  const int64_t before = padding.explicit_pads[axis == Axis::kHeight ? 0 : 2];
  const int64_t after = padding.explicit_pads[axis == Axis::kHeight ? 1 : 3];
  if (before < 0 || after < 0)
    fail(op, "padding must not be negative, received (", before, ", ", after, ") for the ",
         axis == Axis::kHeight ? "height" : "width");
  const int64_t full = checked_add(op, what, checked_add(op, what, steps, extent), extra);
  return full - checked_add(op, what, before, after);
}

WindowAxis make_transposed_axis(const char* op, Axis axis, int64_t in, int64_t window, int64_t stride,
                                int64_t dilation, const Padding& padding, const int64_t* output_padding) {
  if (stride < 1 || dilation < 1) make_window_axis(op, axis, 1, window, stride, dilation, {}, false);
  const char* name = axis == Axis::kHeight ? "height" : "width";
  const int64_t size = transposed_size(op, axis, in, window, stride, dilation, padding, output_padding);
  if (size < 1)
    fail(op, "the output's ", name, " would be ", size, ", expected at least 1 (input ", in, ", window ",
         window, ", stride ", stride, ", dilation_rate ", dilation, ", padding (",
         padding.explicit_pads[axis == Axis::kHeight ? 0 : 2], ", ",
         padding.explicit_pads[axis == Axis::kHeight ? 1 : 3], "))");
  const WindowAxis w = make_window_axis(op, axis, size, window, stride, dilation, padding, false);
  if (w.out != in)
    fail(op, "a result of ", name, " ", size, " is not the input of a convolution with output ", in,
         " (it would give ", w.out, "): output_padding must lie below the stride, received output_padding ",
         output_padding ? *output_padding : 0, ", stride ", stride, ", window ", window, ", dilation_rate ",
         dilation);
  return w;
}

}  // namespace

void require_image_dims(const char* op, const char* name, const Dims& dims) {
  if (dims.size() != 4)
    fail(op, name, " must have 4 dimensions (N, H, W, C), received ", dims.size(), ": ", tuple_text(dims));
  if (dims[0] < 0 || dims[1] < 1 || dims[2] < 1 || dims[3] < 1)
    fail(op, "every dimension of ", name, " but the first must be at least 1, received ", tuple_text(dims));
}

void require_dims(const char* op, const char* name, const Dims& received, const Dims& expected) {
  if (received != expected)
    fail(op, name, " must have the shape ", tuple_text(expected), ", received ", tuple_text(received));
}

void require_bias(const char* op, const Dims& bias, int64_t filters) {
  if (bias.size() != 1 || bias[0] != filters)
    fail(op, "bias must have the shape (", filters, ",), one value a filter, received ", tuple_text(bias));
}

Conv2dShape make_conv2d_shape(const char* op, const Dims& x, const Dims& kernel, const Pair& strides,
                              const Padding& padding, const Pair& dilation, int64_t groups) {
  require_image_dims(op, "x", x);
  require_kernel_dims(op, kernel);
  require_groups(op, groups);
  const int64_t C = x[3], K = kernel[3];
  const auto received = [&] {
    return concatenate("(x: ", tuple_text(x), ", kernel: ", tuple_text(kernel), ", groups=", groups, ")");
  };
  if (C % groups != 0) fail(op, "groups must divide the ", C, " channels of x ", received());
  if (K % groups != 0) fail(op, "groups must divide the ", K, " filters of kernel ", received());
  if (kernel[2] != C / groups) {
    if (groups == 1) fail(op, "kernel has ", kernel[2], " input channels but x has ", C, " ", received());
    fail(op, "kernel has ", kernel[2], " input channels but each group of x has ", C / groups, " ",
         received());
  }
  Conv2dShape shape{
      x[0],
      C,
      K,
      groups,
      make_window_axis(op, Axis::kHeight, x[1], kernel[0], strides[0], dilation[0], padding, false),
      make_window_axis(op, Axis::kWidth, x[2], kernel[1], strides[1], dilation[1], padding, false)};
  checked_bytes(op, "the result", shape.y_dims(), 8);
  return shape;
}

Conv2dShape make_conv2d_transpose_shape(const char* op, const Dims& x, const Dims& kernel,
                                        const Pair& strides, const Padding& padding,
                                        const std::optional<Pair>& output_padding, const Pair& dilation,
                                        int64_t groups) {
  require_image_dims(op, "x", x);
  require_kernel_dims(op, kernel);
  require_groups(op, groups);
  const int64_t K = x[3];
  const auto received = [&] {
    return concatenate("(x: ", tuple_text(x), ", kernel: ", tuple_text(kernel), ", groups=", groups, ")");
  };
  if (K % groups != 0) fail(op, "groups must divide the ", K, " channels of x ", received());
  if (kernel[3] != K)
    fail(op, "kernel has ", kernel[3], " input channels (its last dimension) but x has ", K, " ", received());
  const int64_t C = checked_multiply(op, "the result", kernel[2], groups);
  const auto axis = [&](Axis which, int i) {
    return make_transposed_axis(op, which, x[1 + i], kernel[i], strides[i], dilation[i], padding,
                                output_padding ? &(*output_padding)[i] : nullptr);
  };
  Conv2dShape shape{x[0], C, K, groups, axis(Axis::kHeight, 0), axis(Axis::kWidth, 1)};
  checked_bytes(op, "the result", shape.x_dims(), 8);
  return shape;
}

}  // namespace konv
