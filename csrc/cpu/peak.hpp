// What the machine can do with the chosen ISA and number of threads, measured: the roof of every benchmark.
#pragma once

#include <cstdint>

namespace konv::cpu {

// Medians over so many seconds, at most 60; std::invalid_argument for others.
double measure_flops(double seconds);                     // float32 operations a second in registers
double measure_bandwidth(int64_t bytes, double seconds);  // bytes read and written a second, copying `bytes`

}  // namespace konv::cpu
