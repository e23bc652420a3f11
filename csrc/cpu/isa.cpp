// Detection and choice of the ISA; see isa.hpp.
#include "cpu/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "core/check.hpp"

namespace konv::cpu {

// One table per ISA in this build, preferred first; CMakeLists.txt compiles the same ones.
#if defined(__x86_64__) && defined(KONV_SANITIZE)
#define KONV_FOR_EACH_ISA(X) X(avx512) X(baseline)
#elif defined(__x86_64__)
#define KONV_FOR_EACH_ISA(X) X(avx512) X(avx2) X(baseline)
#else
#define KONV_FOR_EACH_ISA(X) X(neon)
#endif
#define KONV_DECLARE_TABLE(isa)    \
  namespace isa {                  \
  extern const KernelTable kTable; \
  }
KONV_FOR_EACH_ISA(KONV_DECLARE_TABLE)
#undef KONV_DECLARE_TABLE

namespace {

const KernelTable* const kTables[] = {
#define KONV_TABLE_ADDRESS(isa) &isa::kTable,
    KONV_FOR_EACH_ISA(KONV_TABLE_ADDRESS)
#undef KONV_TABLE_ADDRESS
};

std::atomic<const KernelTable*> active{nullptr};

bool cpu_has(const std::string& isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // x86-64-v3 and v4: every CPU with the features that are asked for here has the others of its level too.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (isa == "avx512")
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  if (isa == "avx2") return avx2;
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
#else
  return isa == "neon";  // every aarch64 CPU has it
#endif
}

const KernelTable* find_table(const std::string& name) {
  for (const KernelTable* table : kTables)
    if (name == table->isa && cpu_has(name)) return table;
  return nullptr;
}

std::string available_text() {
  std::string text;
  for (const std::string& isa : available_isas()) text += (text.empty() ? "" : ", ") + isa;
  return text;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> isas;
  for (const KernelTable* table : kTables)
    if (cpu_has(table->isa)) isas.push_back(table->isa);
  return isas;
}

std::string active_isa() { return active.load()->isa; }

void set_isa(const std::string& name) {
  const KernelTable* table = find_table(name);
  if (!table) fail("set_isa", "this CPU and build have ", available_text(), ", received ", quoted(name));
  active = table;
}

void choose_isa_at_import() {
  const char* wanted = std::getenv("KONV_ISA");
  const bool chosen = wanted && *wanted;
  const std::vector<std::string> isas = available_isas();
  if (isas.empty())
    throw std::runtime_error("konv: this CPU lacks x86-64-v2 (SSE4.2), the least that Konv runs on");
  const KernelTable* table = find_table(chosen ? wanted : isas.front());
  if (!table)
    throw std::runtime_error(concatenate("konv: KONV_ISA must be one of ", available_text(),
                                         " on this CPU, received ", quoted(wanted)));
  active = table;
}

template <>
const Kernels<float>& kernels<float>() {
  return active.load(std::memory_order_relaxed)->float32;
}
template <>
const Kernels<double>& kernels<double>() {
  return active.load(std::memory_order_relaxed)->float64;
}

const WinogradKernels& winograd_kernels() { return *active.load(std::memory_order_relaxed)->winograd; }
const WinogradKernelGradientKernels& winograd_kernel_gradient_kernels() {
  return *active.load(std::memory_order_relaxed)->winograd_kernel_gradient;
}
const SpaceToDepthKernels& space_to_depth_kernels() {
  return *active.load(std::memory_order_relaxed)->space_to_depth;
}

const PhiloxKernels& philox_kernels() { return *active.load(std::memory_order_relaxed)->philox; }

}  // namespace konv::cpu
