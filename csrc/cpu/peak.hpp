// What the machine can do with the chosen ISA and number of threads, measured: the roof of every benchmark.
#pragma once

#include <cstdint>

namespace konv::cpu {

// Medians over so many seconds, at most 60; std::invalid_argument for others.
double measure_flops(double seconds);  // float32 operations a second in registers
// Bytes a second of a loop that reads so many and writes so many past the caches; both at least 1.
double measure_bandwidth(int64_t read, int64_t written, double seconds);

}  // namespace konv::cpu
