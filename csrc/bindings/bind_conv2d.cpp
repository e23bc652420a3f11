// Convolutions, transposed convolutions and dense; argument spellings: python/konv/_core.pyi.
#include "bindings/arguments.hpp"
#include "bindings/array.hpp"
#include "core/arithmetic.hpp"
#include "cpu/conv2d.hpp"
#include "cpu/memory_limit.hpp"
#include "cpu/rows.hpp"

namespace konv::bindings {
namespace {

using Needs = std::array<bool, 3>;  // gradients of x, kernel, bias
using Gradients = std::tuple<OptionalArray, OptionalArray, OptionalArray>;

py::array conv2d(const py::array& x, const py::array& kernel, const OptionalArray& bias, const Pair& strides,
                 const PaddingArgument& padding, const Pair& dilation, int64_t groups, bool relu,
                 const std::string& algorithm) {
  const char* op = "conv2d";
  const Conv2dShape shape =
      make_conv2d_shape(op, dims_of(x), dims_of(kernel), strides, to_padding(op, padding), dilation, groups);
  if (bias) require_bias(op, dims_of(*bias), shape.K);
  const cpu::AlgorithmChoice choice = cpu::choose_algorithm(op, algorithm);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = data_of<T>(op, "x", x), *ks = data_of<T>(op, "kernel", kernel),
            *bs = optional_data_of<T>(op, "bias", bias);
    cpu::Buffer y = without_gil([&] { return cpu::conv2d_forward(op, shape, xs, ks, bs, relu, choice); });
    return to_array<T>(std::move(y), shape.y_dims());
  });
}

// The gradients of one convolution, each only where needed. With `transposed`, x is the convolution's y.
template <class T>
Gradients gradients(const char* op, const Conv2dShape& shape, bool transposed, const py::array& grad,
                    const py::array& x, const py::array& kernel, const Needs& needs,
                    cpu::AlgorithmChoice choice) {
  const T *gs = data_of<T>(op, "grad", grad), *xs = data_of<T>(op, "x", x),
          *ks = data_of<T>(op, "kernel", kernel);
  const auto bytes = [&](bool needed, const Dims& dims) {
    return needed ? checked_bytes(op, "the result", dims, sizeof(T)) : 0;
  };
  cpu::require_memory(op, bytes(needs[0], dims_of(x)) + bytes(needs[1], dims_of(kernel)));
  Gradients result;
  if (needs[0]) {
    cpu::Buffer buffer = without_gil([&] {
      return transposed ? cpu::conv2d_forward<T>(op, shape, gs, ks, nullptr, false, choice)
                        : cpu::conv2d_input_gradient<T>(op, shape, gs, ks, nullptr, choice);
    });
    std::get<0>(result) = to_array<T>(std::move(buffer), dims_of(x));
  }
  if (needs[1]) {
    cpu::Buffer buffer = without_gil([&] {
      return transposed ? cpu::conv2d_kernel_gradient(op, shape, gs, xs, choice)
                        : cpu::conv2d_kernel_gradient(op, shape, xs, gs, choice);
    });
    std::get<1>(result) = to_array<T>(std::move(buffer), dims_of(kernel));
  }
  if (needs[2]) {
    const int64_t columns = grad.shape(grad.ndim() - 1);
    cpu::Buffer buffer =
        without_gil([&] { return cpu::column_sums(op, gs, grad.size() / columns, columns); });
    std::get<2>(result) = to_array<T>(std::move(buffer), Dims{columns});
  }
  return result;
}

Gradients conv2d_backward(const py::array& grad, const py::array& x, const py::array& kernel,
                          const Pair& strides, const PaddingArgument& padding, const Pair& dilation,
                          int64_t groups, const Needs& needs, const std::string& algorithm) {
  const char* op = "conv2d_backward";
  const Conv2dShape shape =
      make_conv2d_shape(op, dims_of(x), dims_of(kernel), strides, to_padding(op, padding), dilation, groups);
  require_dims(op, "grad", dims_of(grad), to_dims(shape.y_dims()));
  const cpu::AlgorithmChoice choice = cpu::choose_algorithm(op, algorithm);
  return with_dtype(op, "grad", grad, [&](auto zero) {
    return gradients<decltype(zero)>(op, shape, false, grad, x, kernel, needs, choice);
  });
}

py::array conv2d_transpose(const py::array& x, const py::array& kernel, const OptionalArray& bias,
                           const Pair& strides, const PaddingArgument& padding,
                           const std::optional<Pair>& output_padding, const Pair& dilation, int64_t groups,
                           const std::string& algorithm) {
  const char* op = "conv2d_transpose";
  const Conv2dShape shape = make_conv2d_transpose_shape(
      op, dims_of(x), dims_of(kernel), strides, to_padding(op, padding), output_padding, dilation, groups);
  if (bias) require_bias(op, dims_of(*bias), shape.C);
  const cpu::AlgorithmChoice choice = cpu::choose_algorithm(op, algorithm);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = data_of<T>(op, "x", x), *ks = data_of<T>(op, "kernel", kernel),
            *bs = optional_data_of<T>(op, "bias", bias);
    cpu::Buffer y = without_gil([&] { return cpu::conv2d_input_gradient(op, shape, xs, ks, bs, choice); });
    return to_array<T>(std::move(y), shape.x_dims());
  });
}

Gradients conv2d_transpose_backward(const py::array& grad, const py::array& x, const py::array& kernel,
                                    const Pair& strides, const PaddingArgument& padding,
                                    const std::optional<Pair>& output_padding, const Pair& dilation,
                                    int64_t groups, const Needs& needs, const std::string& algorithm) {
  const char* op = "conv2d_transpose_backward";
  const Conv2dShape shape = make_conv2d_transpose_shape(
      op, dims_of(x), dims_of(kernel), strides, to_padding(op, padding), output_padding, dilation, groups);
  require_dims(op, "grad", dims_of(grad), to_dims(shape.x_dims()));
  const cpu::AlgorithmChoice choice = cpu::choose_algorithm(op, algorithm);
  return with_dtype(op, "grad", grad, [&](auto zero) {
    return gradients<decltype(zero)>(op, shape, true, grad, x, kernel, needs, choice);
  });
}

py::tuple conv2d_output_shape(const Dims& x, const Dims& kernel, const Pair& strides,
                              const PaddingArgument& padding, const Pair& dilation, int64_t groups) {
  const char* op = "conv2d_output_shape";
  return py::tuple(py::cast(
      make_conv2d_shape(op, x, kernel, strides, to_padding(op, padding), dilation, groups).y_dims()));
}

py::tuple conv2d_transpose_output_shape(const Dims& x, const Dims& kernel, const Pair& strides,
                                        const PaddingArgument& padding,
                                        const std::optional<Pair>& output_padding, const Pair& dilation,
                                        int64_t groups) {
  const char* op = "conv2d_transpose_output_shape";
  return py::tuple(py::cast(make_conv2d_transpose_shape(op, x, kernel, strides, to_padding(op, padding),
                                                        output_padding, dilation, groups)
                                .x_dims()));
}

// dense is a 1x1 convolution over rows: (..., C) is (rows, 1, 1, C).
struct DenseShape {
  Conv2dShape conv;
  Dims y_dims;
};

DenseShape make_dense_shape(const char* op, const Dims& x, const Dims& kernel) {
  if (x.empty()) fail(op, "x must have at least 1 dimension (..., C), received ()");
  if (kernel.size() != 2)
    fail(op, "kernel must have 2 dimensions (C, units), received ", kernel.size(), ": ", tuple_text(kernel));
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] < 1 && (i > 0 || x.size() == 1))
      fail(op, "every dimension of x but the first must be at least 1, received ", tuple_text(x));
  if (kernel[0] != x.back())
    fail(op, "kernel has ", kernel[0], " inputs but x has ", x.back(), " (x: ", tuple_text(x),
         ", kernel: ", tuple_text(kernel), ")");
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < x.size(); ++i) rows = checked_multiply(op, "x", rows, x[i]);
  DenseShape shape{
      make_conv2d_shape(op, {rows, 1, 1, x.back()}, {1, 1, kernel[0], kernel[1]}, {1, 1}, {}, {1, 1}, 1), x};
  shape.y_dims.back() = kernel[1];
  checked_bytes(op, "the result", shape.y_dims, 8);
  return shape;
}

py::array dense(const py::array& x, const py::array& kernel, const OptionalArray& bias, bool relu) {
  const char* op = "dense";
  const DenseShape shape = make_dense_shape(op, dims_of(x), dims_of(kernel));
  if (bias) require_bias(op, dims_of(*bias), shape.conv.K);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = data_of<T>(op, "x", x), *ks = data_of<T>(op, "kernel", kernel),
            *bs = optional_data_of<T>(op, "bias", bias);
    cpu::Buffer y = without_gil([&] {
      return cpu::conv2d_forward(op, shape.conv, xs, ks, bs, relu, {cpu::Algorithm::kDirect, false});
    });
    return to_array<T>(std::move(y), shape.y_dims);
  });
}

Gradients dense_backward(const py::array& grad, const py::array& x, const py::array& kernel,
                         const Needs& needs) {
  const char* op = "dense_backward";
  const DenseShape shape = make_dense_shape(op, dims_of(x), dims_of(kernel));
  require_dims(op, "grad", dims_of(grad), shape.y_dims);
  return with_dtype(op, "grad", grad, [&](auto zero) {
    return gradients<decltype(zero)>(op, shape.conv, false, grad, x, kernel, needs,
                                     {cpu::Algorithm::kDirect, false});
  });
}

}  // namespace

void bind_conv2d(py::module_& module) {
  module.def("conv2d", &conv2d);
  module.def("conv2d_backward", &conv2d_backward);
  module.def("conv2d_transpose", &conv2d_transpose);
  module.def("conv2d_transpose_backward", &conv2d_transpose_backward);
  module.def("conv2d_output_shape", &conv2d_output_shape);
  module.def("conv2d_transpose_output_shape", &conv2d_transpose_output_shape);
  module.def("dense", &dense);
  module.def("dense_backward", &dense_backward);
}

}  // namespace konv::bindings
