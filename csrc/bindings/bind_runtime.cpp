// Threads, ISA, buffer pool and build information.
#include <pybind11/stl.h>

#include "bindings/array.hpp"
#include "cpu/buffer_pool.hpp"
#include "cpu/isa.hpp"
#include "cpu/memory_limit.hpp"
#include "cpu/peak.hpp"
#include "cpu/threads.hpp"

namespace konv::bindings {
namespace {

py::dict build_info() {
  py::dict info;
  info["version"] = KONV_VERSION;
#if defined(__clang__)
  info["compiler"] = concatenate("clang ", __clang_version__);
#else
  info["compiler"] = concatenate("gcc ", __VERSION__);
#endif
  info["flags"] = KONV_BUILD_FLAGS;
  info["openmp"] = std::to_string(_OPENMP);
  return info;
}

py::dict pool_info() {
  const cpu::PoolStatistics statistics = cpu::BufferPool::instance().statistics();
  py::dict info;
  info["bytes_in_use"] = statistics.bytes_in_use;
  info["bytes_peak"] = statistics.bytes_peak;
  info["bytes_cached"] = statistics.bytes_cached;
  info["cap"] = statistics.cap;
  info["guard_violations"] = statistics.guard_violations;
  return info;
}

}  // namespace

void bind_runtime(py::module_& module) {
  module.def("get_num_threads", &cpu::get_num_threads);
  module.def("set_num_threads", &cpu::set_num_threads);
  module.def("isa", &cpu::active_isa);
  module.def("set_isa", &cpu::set_isa);
  module.def("available_isas", &cpu::available_isas);
  module.def("build_info", &build_info);
  module.def("pool_info", &pool_info);
  module.def("reset_pool_peak", [] { cpu::BufferPool::instance().reset_peak(); });
  module.def("clear_cache", [] { cpu::BufferPool::instance().clear(); });
  module.def("require_memory",
             [](const std::string& op, int64_t bytes) { cpu::require_memory(op.c_str(), bytes); });
  module.def("measure_flops",
             [](double seconds) { return without_gil([=] { return cpu::measure_flops(seconds); }); });
  module.def("measure_bandwidth", [](int64_t read, int64_t written, double seconds) {
    return without_gil([=] { return cpu::measure_bandwidth(read, written, seconds); });
  });
  module.def("set_thread_work", &cpu::set_thread_work);
  module.def("set_poison", [](bool poison) { cpu::BufferPool::instance().set_poison(poison); });
}

}  // namespace konv::bindings
