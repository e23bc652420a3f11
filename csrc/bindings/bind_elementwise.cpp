// ReLU, sums and the error function; argument spellings: python/konv/_core.pyi.
#include "bindings/array.hpp"
#include "core/conv2d_shape.hpp"
#include "cpu/elementwise.hpp"

namespace konv::bindings {
namespace {

py::array relu(const py::array& x) {
  const char* op = "relu";
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    const int64_t count = x.size();
    cpu::Buffer y = without_gil([&] { return cpu::relu(op, xs, count); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

py::array relu_backward(const py::array& grad, const py::array& y) {
  const char* op = "relu_backward";
  require_dims(op, "grad", dims_of(grad), dims_of(y));
  return with_dtype(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const T *gs = data_of<T>(op, "grad", grad), *ys = data_of<T>(op, "y", y);
    const int64_t count = y.size();
    cpu::Buffer grad_x = without_gil([&] { return cpu::relu_backward(op, gs, ys, count); });
    return to_array<T>(std::move(grad_x), dims_of(y));
  });
}

py::array add(const py::array& a, const py::array& b, bool relu) {
  const char* op = "add";
  require_dims(op, "b", dims_of(b), dims_of(a));
  return with_dtype(op, "a", a, [&](auto zero) {
    using T = decltype(zero);
    const T *as = data_of<T>(op, "a", a), *bs = data_of<T>(op, "b", b);
    const int64_t count = a.size();
    cpu::Buffer y = without_gil([&] { return cpu::add(op, as, bs, count, relu); });
    return to_array<T>(std::move(y), dims_of(a));
  });
}

py::array erf(const py::array& x) {
  const char* op = "erf";
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    const int64_t count = x.size();
    cpu::Buffer y = without_gil([&] { return cpu::erf(op, xs, count); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

}  // namespace

void bind_elementwise(py::module_& module) {
  module.def("relu", &relu);
  module.def("relu_backward", &relu_backward);
  module.def("add", &add);
  module.def("erf", &erf);
}

}  // namespace konv::bindings
