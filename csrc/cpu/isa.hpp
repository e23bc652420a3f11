// Which instruction set the kernels use, and the kernels compiled for it.
//
// Every kernel file is compiled once per ISA with that ISA's flags; the best one that the CPU has is chosen
// when the module is imported. KONV_ISA overrides it.
#pragma once

#include <string>
#include <vector>

#include "cpu/kernels/kernel_table.hpp"

namespace konv::cpu {

// Preferred first, e.g. {"avx512", "avx2", "baseline"}.
std::vector<std::string> available_isas();
std::string active_isa();

// std::invalid_argument for a name that this build or this CPU lacks.
void set_isa(const std::string& name);

// Chooses from KONV_ISA or the CPU's features; throws std::runtime_error for a KONV_ISA that can't be used.
void choose_isa_at_import();

template <class T>
const Kernels<T>& kernels();

const PhiloxKernels& philox_kernels();
const WinogradKernels& winograd_kernels();
const WinogradKernelGradientKernels& winograd_kernel_gradient_kernels();
const SpaceToDepthKernels& space_to_depth_kernels();

}  // namespace konv::cpu
