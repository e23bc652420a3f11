// konv._core: registers what the bind_*.cpp files define.
#include <pybind11/pybind11.h>

#include "cpu/buffer_pool.hpp"
#include "cpu/isa.hpp"
#include "cpu/threads.hpp"

namespace konv::bindings {
void bind_batch_norm(pybind11::module_& module);
void bind_conv2d(pybind11::module_& module);
void bind_elementwise(pybind11::module_& module);
void bind_optimizer(pybind11::module_& module);
void bind_pool2d(pybind11::module_& module);
void bind_prepared(pybind11::module_& module);
void bind_random(pybind11::module_& module);
void bind_runtime(pybind11::module_& module);
void bind_softmax(pybind11::module_& module);
}  // namespace konv::bindings

PYBIND11_MODULE(_core, module) {
  try {
    konv::cpu::choose_isa_at_import();
    konv::cpu::choose_threads_at_import();
    konv::cpu::BufferPool::instance();  // prepares for forks too: one may come before the first call
  } catch (const std::runtime_error& error) {
    throw pybind11::import_error(error.what());
  }
  konv::bindings::bind_batch_norm(module);
  konv::bindings::bind_conv2d(module);
  konv::bindings::bind_elementwise(module);
  konv::bindings::bind_optimizer(module);
  konv::bindings::bind_pool2d(module);
  konv::bindings::bind_prepared(module);
  konv::bindings::bind_random(module);
  konv::bindings::bind_runtime(module);
  konv::bindings::bind_softmax(module);
}
