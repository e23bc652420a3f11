// Activations, sums and the error function; argument spellings: python/konv/_core.pyi.
#include "bindings/array.hpp"
#include "core/conv2d_shape.hpp"
#include "cpu/elementwise.hpp"

namespace konv::bindings {
namespace {

struct Function {
  const char *name, *gradient;  // what Python calls them
  cpu::Activation function;
  const char* kept;  // what the gradient is computed from
};
constexpr Function kFunctions[] = {
    {"relu", "relu_backward", cpu::Activation::kRelu, "y"},
    {"relu6", "relu6_backward", cpu::Activation::kRelu6, "y"},
    {"leaky_relu", "leaky_relu_backward", cpu::Activation::kLeakyRelu, "y"},
    {"elu", "elu_backward", cpu::Activation::kElu, "y"},
    {"sigmoid", "sigmoid_backward", cpu::Activation::kSigmoid, "y"},
    {"hard_sigmoid", "hard_sigmoid_backward", cpu::Activation::kHardSigmoid, "y"},
    {"tanh", "tanh_backward", cpu::Activation::kTanh, "y"},
    {"silu", "silu_backward", cpu::Activation::kSilu, "x"},
};

py::array activate(const Function& f, const py::array& x) {
  return with_dtype(f.name, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(f.name, "x", x);
    const int64_t count = x.size();
    cpu::Buffer y = without_gil([&] { return cpu::activate(f.name, f.function, xs, count); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

py::array activate_backward(const Function& f, const py::array& grad, const py::array& kept) {
  const char* op = f.gradient;
  require_dims(op, "grad", dims_of(grad), dims_of(kept));
  return with_dtype(op, "grad", grad, [&](auto zero) {
    using T = decltype(zero);
    const T *gs = data_of<T>(op, "grad", grad), *ks = data_of<T>(op, f.kept, kept);
    const int64_t count = kept.size();
    cpu::Buffer grad_x = without_gil([&] { return cpu::activate_backward(op, f.function, gs, ks, count); });
    return to_array<T>(std::move(grad_x), dims_of(kept));
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
  for (const Function& f : kFunctions) {
    module.def(f.name, [&f](const py::array& x) { return activate(f, x); });
    module.def(f.gradient, [&f](const py::array& grad, const py::array& kept) {
      return activate_backward(f, grad, kept);
    });
  }
  module.def("add", &add);
  module.def("erf", &erf);
}

}  // namespace konv::bindings
