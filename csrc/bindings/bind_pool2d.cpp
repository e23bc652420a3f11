// Pooling; argument spellings: python/konv/_core.pyi.
#include "bindings/arguments.hpp"
#include "bindings/array.hpp"
#include "cpu/pool2d.hpp"

namespace konv::bindings {
namespace {

Pool2dShape make_shape(const char* op, const char* name, const Dims& x, const Pair& pool_size,
                       const Pair& strides, const PaddingArgument& padding, const Pair& dilation,
                       bool ceil_mode) {
  return make_pool2d_shape(op, name, x, pool_size, strides, to_padding(op, padding), dilation, ceil_mode);
}

// argmax is uint8 if every position in the window fits, else int32; std::invalid_argument beyond that.
bool argmax_is_uint8(const char* op, const Pair& pool_size) {
  int64_t positions;
  if (__builtin_mul_overflow(pool_size[0], pool_size[1], &positions) || positions - 1 > INT32_MAX)
    fail(op, "argmax is int32: pool_size must have at most 2147483648 positions, received ",
         tuple_text(pool_size));
  return positions - 1 <= UINT8_MAX;
}

// Calls body(Index{}) with the type of argmax.
template <class Body>
auto with_index(const char* op, const Pair& pool_size, const Body& body) {
  return argmax_is_uint8(op, pool_size) ? body(uint8_t{}) : body(int32_t{});
}

py::object max_pool2d(const py::array& x, const Pair& pool_size, const Pair& strides,
                      const PaddingArgument& padding, const Pair& dilation, bool ceil_mode,
                      bool with_argmax) {
  const char* op = with_argmax ? "max_pool2d_with_argmax" : "max_pool2d";
  const Pool2dShape shape = make_shape(op, "x", dims_of(x), pool_size, strides, padding, dilation, ceil_mode);
  return with_dtype(op, "x", x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    if (!with_argmax) {
      cpu::Buffer y = without_gil([&] { return cpu::max_pool2d(op, shape, xs); });
      return to_array<T>(std::move(y), shape.y_dims());
    }
    return with_index(op, pool_size, [&](auto index) -> py::object {
      using Index = decltype(index);
      cpu::MaxAndArgmax result =
          without_gil([&] { return cpu::max_pool2d_with_argmax<T, Index>(op, shape, xs); });
      return py::make_tuple(to_array<T>(std::move(result.y), shape.y_dims()),
                            to_array<Index>(std::move(result.argmax), shape.y_dims()));
    });
  });
}

py::array max_pool2d_backward(const py::array& grad, const py::array& argmax, const Dims& input_shape,
                              const Pair& pool_size, const Pair& strides, const PaddingArgument& padding,
                              const Pair& dilation, bool ceil_mode) {
  const char* op = "max_pool2d_backward";
  const Pool2dShape shape =
      make_shape(op, "input_shape", input_shape, pool_size, strides, padding, dilation, ceil_mode);
  require_dims(op, "grad", dims_of(grad), to_dims(shape.y_dims()));
  require_dims(op, "argmax", dims_of(argmax), to_dims(shape.y_dims()));
  require_plain(op, "argmax", argmax);
  return with_index(op, pool_size, [&](auto index) {
    using Index = decltype(index);
    if (!py::isinstance<py::array_t<Index>>(argmax))
      throw py::type_error(concatenate(
          op, ": argmax must have dtype ", sizeof(Index) == 1 ? "uint8" : "int32", " for pool_size ",
          tuple_text(pool_size), ", received ", py::str(argmax.dtype()).cast<std::string>()));
    return with_dtype(op, "grad", grad, [&](auto zero) {
      using T = decltype(zero);
      const T* gs = data_of<T>(op, "grad", grad);
      const Index* as = static_cast<const Index*>(argmax.data());
      cpu::Buffer grad_x = without_gil([&] { return cpu::max_pool2d_backward(op, shape, gs, as); });
      return to_array<T>(std::move(grad_x), shape.x_dims());
    });
  });
}

// Sums and averages differ in the driver alone: run(shape, x) returns y.
template <class Run>
py::array pool(const char* op, const py::array& x, const Pool2dShape& shape, const Run& run) {
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    cpu::Buffer y = without_gil([&] { return run(shape, xs); });
    return to_array<T>(std::move(y), shape.y_dims());
  });
}

template <class Run>
py::array pool_backward(const char* op, const py::array& grad, const Pool2dShape& shape, const Run& run) {
  require_dims(op, "grad", dims_of(grad), to_dims(shape.y_dims()));
  return with_dtype(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const T* gs = data_of<T>(op, "grad", grad);
    cpu::Buffer grad_x = without_gil([&] { return run(shape, gs); });
    return to_array<T>(std::move(grad_x), shape.x_dims());
  });
}

py::array avg_pool2d(const py::array& x, const Pair& pool_size, const Pair& strides,
                     const PaddingArgument& padding, const Pair& dilation, bool ceil_mode,
                     bool count_include_pad) {
  const char* op = "avg_pool2d";
  return pool(
      op, x, make_shape(op, "x", dims_of(x), pool_size, strides, padding, dilation, ceil_mode),
      [&](const Pool2dShape& shape, auto* xs) { return cpu::avg_pool2d(op, shape, xs, count_include_pad); });
}

py::array avg_pool2d_backward(const py::array& grad, const Dims& input_shape, const Pair& pool_size,
                              const Pair& strides, const PaddingArgument& padding, const Pair& dilation,
                              bool ceil_mode, bool count_include_pad) {
  const char* op = "avg_pool2d_backward";
  return pool_backward(
      op, grad, make_shape(op, "input_shape", input_shape, pool_size, strides, padding, dilation, ceil_mode),
      [&](const Pool2dShape& shape, auto* gs) {
        return cpu::avg_pool2d_backward(op, shape, gs, count_include_pad);
      });
}

py::array sum_pool2d(const py::array& x, const Pair& pool_size, const Pair& strides,
                     const PaddingArgument& padding, const Pair& dilation, bool ceil_mode) {
  const char* op = "sum_pool2d";
  return pool(op, x, make_shape(op, "x", dims_of(x), pool_size, strides, padding, dilation, ceil_mode),
              [&](const Pool2dShape& shape, auto* xs) { return cpu::sum_pool2d(op, shape, xs); });
}

py::array sum_pool2d_backward(const py::array& grad, const Dims& input_shape, const Pair& pool_size,
                              const Pair& strides, const PaddingArgument& padding, const Pair& dilation,
                              bool ceil_mode) {
  const char* op = "sum_pool2d_backward";
  return pool_backward(
      op, grad, make_shape(op, "input_shape", input_shape, pool_size, strides, padding, dilation, ceil_mode),
      [&](const Pool2dShape& shape, auto* gs) { return cpu::sum_pool2d_backward(op, shape, gs); });
}

py::tuple pool2d_output_shape(const Dims& x, const Pair& pool_size, const Pair& strides,
                              const PaddingArgument& padding, const Pair& dilation, bool ceil_mode) {
  return py::tuple(py::cast(
      make_shape("pool2d_output_shape", "input_shape", x, pool_size, strides, padding, dilation, ceil_mode)
          .y_dims()));
}

}  // namespace

void bind_pool2d(py::module_& module) {
  module.def("max_pool2d", &max_pool2d);
  module.def("max_pool2d_backward", &max_pool2d_backward);
  module.def("avg_pool2d", &avg_pool2d);
  module.def("avg_pool2d_backward", &avg_pool2d_backward);
  module.def("sum_pool2d", &sum_pool2d);
  module.def("sum_pool2d_backward", &sum_pool2d_backward);
  module.def("pool2d_output_shape", &pool2d_output_shape);
}

}  // namespace konv::bindings
