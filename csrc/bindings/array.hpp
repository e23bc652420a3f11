// NumPy arrays at the border: views of what comes in, ownership of what goes out.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <cxxabi.h>

#include <memory>
#include <optional>

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::bindings {

namespace py = pybind11;

using OptionalArray = std::optional<py::array>;

inline Dims dims_of(const py::array& array) { return Dims(array.shape(), array.shape() + array.ndim()); }

template <class Container>
Dims to_dims(const Container& dims) {
  return Dims(dims.begin(), dims.end());
}

// konv.ops hands over C-contiguous, aligned, native arrays of one dtype; anything else here would be misread.
inline void require_plain(const char* op, const char* name, const py::array& array) {
  constexpr int kPlain =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & kPlain) != kPlain)
    throw py::type_error(concatenate(op, ": ", name, " must be C-contiguous and aligned"));
}

template <class T>
const T* data_of(const char* op, const char* name, const py::array& array) {
  require_plain(op, name, array);
  if (!py::isinstance<py::array_t<T>>(array))
    throw py::type_error(concatenate(op, ": ", name, " must have the dtype ",
                                     sizeof(T) == 4 ? "float32" : "float64", " of the first array, received ",
                                     py::str(array.dtype()).cast<std::string>()));
  return static_cast<const T*>(array.data());
}

template <class T>
const T* optional_data_of(const char* op, const char* name, const OptionalArray& array) {
  return array ? data_of<T>(op, name, *array) : nullptr;
}

// Calls body(T{}) with the element type of `array`: float or double.
template <class Body>
auto with_dtype(const char* op, const char* name, const py::array& array, const Body& body) {
  if (py::isinstance<py::array_t<float>>(array)) return body(float{});
  if (py::isinstance<py::array_t<double>>(array)) return body(double{});
  throw py::type_error(concatenate(op, ": ", name, " must have the dtype float32 or float64, received ",
                                   py::str(array.dtype()).cast<std::string>()));
}

// An array that owns `buffer` and gives it back to the pool when it is dropped.
template <class T, class Container>
py::array to_array(cpu::Buffer buffer, const Container& dims) {
  buffer.settle();
  auto owner = std::make_unique<cpu::Buffer>(std::move(buffer));
  T* data = owner->template as<T>();
  py::capsule capsule(owner.get(), [](void* p) { delete static_cast<cpu::Buffer*>(p); });
  owner.release();
  return py::array_t<T>(to_dims(dims), data, capsule);
}

// While the interpreter ends, CPython (before 3.14) ends a daemon thread that wants the GIL back by unwinding
// its stack, through C++ destructors that would drop references without the GIL. Such a thread rests here
// instead.
inline void take_gil_back(PyThreadState* state) {
#ifdef __GLIBCXX__
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
#else
  PyEval_RestoreThread(state);
#endif
}

class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() { take_gil_back(state_); }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

// Runs a driver without the GIL.
template <class Body>
auto without_gil(const Body& body) {
  const GilReleased released;
  return body();
}

}  // namespace konv::bindings
