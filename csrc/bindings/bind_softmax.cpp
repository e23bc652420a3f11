// Softmax and its cross-entropies; argument spellings: python/konv/_core.pyi.
#include <pybind11/stl.h>

#include "bindings/array.hpp"
#include "core/conv2d_shape.hpp"
#include "cpu/softmax.hpp"

namespace konv::bindings {
namespace {

cpu::ClassRows class_rows(const char* op, const py::array& z) {
  if (z.ndim() == 0 || z.shape(z.ndim() - 1) == 0)
    fail(op, "the last axis must have at least 1 element, received shape ", tuple_text(dims_of(z)));
  const int64_t classes = z.shape(z.ndim() - 1);
  return {z.size() / classes, classes};
}

// Labels or weights, whichever is given, for logits (rows, classes).
template <class T>
cpu::Targets<T> to_targets(const char* op, cpu::ClassRows shape, const OptionalArray& labels,
                           const OptionalArray& weights) {
  if (labels.has_value() == weights.has_value()) fail(op, "one of labels and weights must be given");
  if (weights) {
    require_dims(op, "weights", dims_of(*weights), {shape.rows, shape.classes});
    return {nullptr, data_of<T>(op, "weights", *weights)};
  }
  require_dims(op, "labels", dims_of(*labels), {shape.rows});
  require_plain(op, "labels", *labels);
  if (!py::isinstance<py::array_t<int64_t>>(*labels))
    throw py::type_error(concatenate(op, ": labels must have the dtype int64, received ",
                                     py::str(labels->dtype()).cast<std::string>()));
  return {static_cast<const int64_t*>(labels->data()), nullptr};
}

py::array softmax(const py::array& x) {
  const char* op = "softmax";
  const cpu::ClassRows shape = class_rows(op, x);
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    cpu::Buffer y = without_gil([&] { return cpu::softmax(op, shape, xs); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

py::tuple softmax_cross_entropy(const py::array& z, const OptionalArray& labels,
                                const OptionalArray& weights) {
  const char* op = "softmax_cross_entropy";
  const cpu::ClassRows shape = class_rows(op, z);
  return with_dtype(op, "z", z, [&](auto zero) {
    using T = decltype(zero);
    const T* zs = data_of<T>(op, "z", z);
    const cpu::Targets<T> targets = to_targets<T>(op, shape, labels, weights);
    cpu::CrossEntropies<T> found =
        without_gil([&] { return cpu::softmax_cross_entropy(op, shape, zs, targets); });
    const Dims rows{shape.rows};
    py::object weight = py::none();
    if (weights) weight = to_array<T>(std::move(found.weight), rows);
    return py::make_tuple(to_array<T>(std::move(found.values), rows),
                          to_array<T>(std::move(found.largest), rows),
                          to_array<T>(std::move(found.total), rows), weight);
  });
}

py::array softmax_cross_entropy_backward(const py::array& z, const OptionalArray& labels,
                                         const OptionalArray& weights, const py::array& largest,
                                         const py::array& total, const OptionalArray& weight,
                                         const py::array& scale) {
  const char* op = "softmax_cross_entropy_backward";
  const cpu::ClassRows shape = class_rows(op, z);
  const Dims rows{shape.rows};
  require_dims(op, "largest", dims_of(largest), rows);
  require_dims(op, "total", dims_of(total), rows);
  if (weight) require_dims(op, "weight", dims_of(*weight), rows);
  if (weights.has_value() != weight.has_value()) fail(op, "weights and their sums must be given together");
  if (dims_of(scale) != Dims{1}) require_dims(op, "scale", dims_of(scale), rows);
  return with_dtype(op, "z", z, [&](auto zero) {
    using T = decltype(zero);
    const T *zs = data_of<T>(op, "z", z), *scales = data_of<T>(op, "scale", scale);
    const cpu::Targets<T> targets = to_targets<T>(op, shape, labels, weights);
    const cpu::RowSums<T> sums{data_of<T>(op, "largest", largest), data_of<T>(op, "total", total),
                               optional_data_of<T>(op, "weight", weight)};
    cpu::Buffer grad = without_gil([&] {
      return cpu::softmax_cross_entropy_backward(op, shape, zs, targets, sums, scales, scale.size() == 1);
    });
    return to_array<T>(std::move(grad), dims_of(z));
  });
}

}  // namespace

void bind_softmax(py::module_& module) {
  module.def("softmax", &softmax);
  module.def("softmax_cross_entropy", &softmax_cross_entropy);
  module.def("softmax_cross_entropy_backward", &softmax_cross_entropy_backward);
}

}  // namespace konv::bindings
