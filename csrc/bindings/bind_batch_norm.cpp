// Batch normalisation; argument spellings: python/konv/_core.pyi.
#include <pybind11/stl.h>

#include "bindings/array.hpp"
#include "core/conv2d_shape.hpp"
#include "cpu/batch_norm.hpp"

namespace konv::bindings {
namespace {

using OptionalArray = std::optional<py::array>;

void require_channels(const char* op, const char* name, const OptionalArray& array, int64_t channels) {
  if (array) require_dims(op, name, dims_of(*array), {channels});
}

py::array batch_norm(const py::array& x, const OptionalArray& gamma, const OptionalArray& beta,
                     const py::array& mean, const py::array& variance, double epsilon, bool relu) {
  const char* op = "batch_norm";
  const cpu::ChannelRows shape = cpu::make_channel_rows(op, dims_of(x));
  require_channels(op, "gamma", gamma, shape.channels);
  require_channels(op, "beta", beta, shape.channels);
  require_channels(op, "mean", mean, shape.channels);
  require_channels(op, "variance", variance, shape.channels);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = data_of<T>(op, "x", x), *gammas = optional_data_of<T>(op, "gamma", gamma),
            *betas = optional_data_of<T>(op, "beta", beta), *means = data_of<T>(op, "mean", mean),
            *variances = data_of<T>(op, "variance", variance);
    cpu::Buffer y = without_gil(
        [&] { return cpu::batch_norm(op, shape, xs, gammas, betas, means, variances, epsilon, relu); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

py::tuple batch_norm_train(const py::array& x, const OptionalArray& gamma, const OptionalArray& beta,
                           double epsilon, bool relu) {
  const char* op = "batch_norm_train";
  const cpu::ChannelRows shape = cpu::make_channel_rows(op, dims_of(x));
  require_channels(op, "gamma", gamma, shape.channels);
  require_channels(op, "beta", beta, shape.channels);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = data_of<T>(op, "x", x), *gammas = optional_data_of<T>(op, "gamma", gamma),
            *betas = optional_data_of<T>(op, "beta", beta);
    cpu::NormalizedAndMoments result =
        without_gil([&] { return cpu::batch_norm_train(op, shape, xs, gammas, betas, epsilon, relu); });
    const Dims channels{shape.channels};
    return py::make_tuple(to_array<T>(std::move(result.y), dims_of(x)),
                          to_array<T>(std::move(result.mean), channels),
                          to_array<T>(std::move(result.variance), channels));
  });
}

py::tuple batch_norm_backward(const py::array& grad, const py::array& x, const OptionalArray& gamma,
                              const py::array& mean, const py::array& variance, double epsilon, bool training,
                              bool relu, const OptionalArray& y, bool x_relu) {
  const char* op = "batch_norm_backward";
  const cpu::ChannelRows shape = cpu::make_channel_rows(op, dims_of(x));
  require_dims(op, "grad", dims_of(grad), dims_of(x));
  require_channels(op, "gamma", gamma, shape.channels);
  require_channels(op, "mean", mean, shape.channels);
  require_channels(op, "variance", variance, shape.channels);
  if (y) require_dims(op, "y", dims_of(*y), dims_of(x));
  if (relu && !y) fail(op, "y must be the result of the forward pass with a ReLU, received None");
  return with_dtype(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const T *gs = data_of<T>(op, "grad", grad), *xs = data_of<T>(op, "x", x),
            *gammas = optional_data_of<T>(op, "gamma", gamma), *means = data_of<T>(op, "mean", mean),
            *variances = data_of<T>(op, "variance", variance), *ys = optional_data_of<T>(op, "y", y);
    cpu::BatchNormGradients result = without_gil([&] {
      return cpu::batch_norm_backward(op, shape, gs, xs, gammas, means, variances, epsilon, training,
                                      relu ? ys : nullptr, x_relu);
    });
    const Dims channels{shape.channels};
    return py::make_tuple(to_array<T>(std::move(result.x), dims_of(x)),
                          to_array<T>(std::move(result.gamma), channels),
                          to_array<T>(std::move(result.beta), channels));
  });
}

}  // namespace

void bind_batch_norm(py::module_& module) {
  module.def("batch_norm", &batch_norm);
  module.def("batch_norm_train", &batch_norm_train);
  module.def("batch_norm_backward", &batch_norm_backward);
}

}  // namespace konv::bindings
