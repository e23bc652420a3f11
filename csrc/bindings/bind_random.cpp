// Random numbers and dropout; argument spellings: python/konv/_core.pyi.
#include "bindings/array.hpp"
#include "cpu/philox.hpp"

namespace konv::bindings {
namespace {

py::array philox_words(uint64_t key, int64_t offset, int64_t count) {
  cpu::Buffer words = without_gil([&] { return cpu::philox_words("philox_words", key, offset, count); });
  return to_array<uint32_t>(std::move(words), Dims{count});
}

py::array philox_uniform(uint64_t key, int64_t offset, int64_t count) {
  cpu::Buffer numbers =
      without_gil([&] { return cpu::philox_uniform("philox_uniform", key, offset, count); });
  return to_array<float>(std::move(numbers), Dims{count});
}

py::array dropout(const py::array& x, uint64_t key, int64_t offset, double rate) {
  const char* op = "dropout";
  return with_dtype(op, "x", x, [&](auto zero) {
    using T = decltype(zero);
    const T* xs = data_of<T>(op, "x", x);
    const int64_t count = x.size();
    cpu::Buffer y = without_gil([&] { return cpu::dropout(op, xs, key, offset, count, rate); });
    return to_array<T>(std::move(y), dims_of(x));
  });
}

}  // namespace

void bind_random(py::module_& module) {
  module.def("philox_words", &philox_words);
  module.def("philox_uniform", &philox_uniform);
  module.def("dropout", &dropout);
}

}  // namespace konv::bindings
