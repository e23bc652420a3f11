// Steps of the optimizers, in place; argument spellings: python/konv/_core.pyi.
#include <pybind11/stl.h>

#include <limits>

#include "bindings/array.hpp"
#include "core/conv2d_shape.hpp"
#include "cpu/optimizer.hpp"

namespace konv::bindings {
namespace {

struct NamedArray {
  const char* name;
  const py::array* array;  // null where there is none
};

// Checks the arrays of a step, the value first: one shape, no memory shared. All but the gradient are
// written.
void require_apart(const char* op, std::initializer_list<NamedArray> arrays) {
  const Dims dims = dims_of(*arrays.begin()->array);
  for (const NamedArray& a : arrays) {
    if (!a.array) continue;
    require_dims(op, a.name, dims_of(*a.array), dims);
    const char* first = static_cast<const char*>(a.array->data());
    for (const NamedArray* b = arrays.begin(); b != &a; ++b) {
      if (!b->array) continue;
      const char* other = static_cast<const char*>(b->array->data());
      if (first < other + b->array->nbytes() && other < first + a.array->nbytes())
        fail(op, a.name, " must share no memory with ", b->name, ", received overlapping arrays");
    }
  }
}

template <class T>
T* written(const char* op, const char* name, py::array& array) {
  const T* data = data_of<T>(op, name, array);
  if (!array.writeable()) fail(op, name, " must be writable, received a read-only array");
  return const_cast<T*>(data);
}

template <class T>
T* optional_written(const char* op, const char* name, std::optional<py::array>& array) {
  return array ? written<T>(op, name, *array) : nullptr;
}

// A number beyond the range of T is inf: the conversion itself would be undefined.
template <class T>
T to_element(double number) {
  constexpr double kMost = std::numeric_limits<T>::max();
  if (number > kMost) return std::numeric_limits<T>::infinity();
  if (number < -kMost) return -std::numeric_limits<T>::infinity();
  return static_cast<T>(number);
}

void sgd_step(py::array value, const py::array& gradient, std::optional<py::array> velocity, double rate,
              double momentum, bool nesterov, double decay) {
  const char* op = "sgd_step";
  require_apart(op,
                {{"value", &value}, {"gradient", &gradient}, {"velocity", velocity ? &*velocity : nullptr}});
  with_dtype(op, "value", value, [&](auto zero) {
    using T = decltype(zero);
    const cpu::SgdStep<T> step = {value.size(),
                                  written<T>(op, "value", value),
                                  data_of<T>(op, "gradient", gradient),
                                  optional_written<T>(op, "velocity", velocity),
                                  to_element<T>(rate),
                                  to_element<T>(momentum),
                                  to_element<T>(decay),
                                  nesterov};
    without_gil([&] { cpu::sgd_step(step); });
  });
}

void adam_step(py::array value, const py::array& gradient, py::array momentum, py::array velocity,
               std::optional<py::array> velocity_hat, double rate, double beta_1, double beta_2,
               double epsilon, double decay) {
  const char* op = "adam_step";
  require_apart(op, {{"value", &value},
                     {"gradient", &gradient},
                     {"momentum", &momentum},
                     {"velocity", &velocity},
                     {"velocity_hat", velocity_hat ? &*velocity_hat : nullptr}});
  with_dtype(op, "value", value, [&](auto zero) {
    using T = decltype(zero);
    const cpu::AdamStep<T> step = {value.size(),
                                   written<T>(op, "value", value),
                                   data_of<T>(op, "gradient", gradient),
                                   written<T>(op, "momentum", momentum),
                                   written<T>(op, "velocity", velocity),
                                   optional_written<T>(op, "velocity_hat", velocity_hat),
                                   to_element<T>(rate),
                                   to_element<T>(1 - beta_1),
                                   to_element<T>(1 - beta_2),
                                   to_element<T>(epsilon),
                                   to_element<T>(decay)};
    without_gil([&] { cpu::adam_step(step); });
  });
}

}  // namespace

void bind_optimizer(py::module_& module) {
  module.def("sgd_step", &sgd_step);
  module.def("adam_step", &adam_step);
}

}  // namespace konv::bindings
