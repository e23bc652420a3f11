// Kernels prepared once for many forward passes: what layers keep in inference. Argument spellings:
// python/konv/_core.pyi.
#include <variant>

#include "bindings/arguments.hpp"
#include "bindings/array.hpp"
#include "core/arithmetic.hpp"
#include "cpu/conv2d.hpp"

namespace konv::bindings {
namespace {

// Of a convolution, or of dense: a 1x1 convolution over the rows of x.
struct PreparedKernel {
  std::variant<cpu::PreparedConv2d<float>, cpu::PreparedConv2d<double>> kernel;
  Dims image;   // the axes of x behind those of the batch: (H, W, C) or (C,)
  Dims result;  // likewise of y

  size_t bytes() const {
    return std::visit([](const auto& prepared) { return prepared.bytes(); }, kernel);
  }
};

PreparedKernel prepare(const char* op, const Conv2dShape& shape, const py::array& kernel,
                       const std::string& algorithm, Dims image, Dims result) {
  const cpu::AlgorithmChoice choice = cpu::choose_algorithm(op, algorithm);
  return with_dtype(op, "kernel", kernel, [&](auto zero) {
    using T = decltype(zero);
    const T* data = data_of<T>(op, "kernel", kernel);
    return PreparedKernel{without_gil([&] { return cpu::PreparedConv2d<T>(op, shape, data, choice); }),
                          std::move(image), std::move(result)};
  });
}

PreparedKernel prepare_conv2d(const py::array& kernel, const Dims& image, const Pair& strides,
                              const PaddingArgument& padding, const Pair& dilation, int64_t groups,
                              const std::string& algorithm) {
  const char* op = "prepare_conv2d";
  Dims x = image;
  x.insert(x.begin(), 1);
  const Conv2dShape s =
      make_conv2d_shape(op, x, dims_of(kernel), strides, to_padding(op, padding), dilation, groups);
  return prepare(op, s, kernel, algorithm, image, {s.h.out, s.w.out, s.K});
}

PreparedKernel prepare_dense(const py::array& kernel) {
  const char* op = "prepare_dense";
  const Dims dims = dims_of(kernel);
  if (dims.size() != 2) fail(op, "kernel must have 2 dimensions (C, units), received ", tuple_text(dims));
  const Conv2dShape s =
      make_conv2d_shape(op, {1, 1, 1, dims[0]}, {1, 1, dims[0], dims[1]}, {1, 1}, {}, {1, 1}, 1);
  return prepare(op, s, kernel, "direct", {s.C}, {s.K});
}

// The dimensions of the result for an x of dimensions.
Dims result_dims(const char* op, const PreparedKernel& prepared, const Dims& dims) {
  const size_t rank = prepared.image.size();
  if (dims.size() < rank || !std::equal(prepared.image.begin(), prepared.image.end(), dims.end() - rank))
    fail(op, "x must end in the dimensions ", tuple_text(prepared.image),
         " of the prepared kernel, received ", tuple_text(dims));
  Dims result(dims.begin(), dims.end() - rank);
  result.insert(result.end(), prepared.result.begin(), prepared.result.end());
  return result;
}

py::array apply_prepared(const py::array& x, const PreparedKernel& prepared, const OptionalArray& bias,
                         bool relu, const OptionalArray& addend) {
  const char* op = "apply_prepared";
  const Dims dims = dims_of(x), result = result_dims(op, prepared, dims);
  int64_t images = 1;
  for (size_t i = 0; i + prepared.image.size() < dims.size(); ++i)
    images = checked_multiply(op, "x", images, dims[i]);
  if (bias) require_bias(op, dims_of(*bias), result.back());
  if (addend) require_dims(op, "addend", dims_of(*addend), result);
  return std::visit(
      [&](const auto& kernel) {
        using T = typename std::decay_t<decltype(kernel)>::Element;
        const T* xs = data_of<T>(op, "x", x);
        const cpu::Epilogue<T> epilogue = {optional_data_of<T>(op, "bias", bias),
                                           optional_data_of<T>(op, "addend", addend), relu};
        cpu::Buffer y = without_gil([&] { return kernel.forward(op, images, xs, epilogue); });
        return to_array<T>(std::move(y), result);
      },
      prepared.kernel);
}

}  // namespace

void bind_prepared(py::module_& module) {
  py::class_<PreparedKernel>(module, "PreparedKernel")
      .def_property_readonly("nbytes", &PreparedKernel::bytes);
  module.def("prepare_conv2d", &prepare_conv2d);
  module.def("prepare_dense", &prepare_dense);
  module.def("apply_prepared", &apply_prepared);
}

}  // namespace konv::bindings
