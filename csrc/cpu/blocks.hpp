// Elementwise work, cut into blocks of a fixed size that threads share out.
#pragma once

#include <algorithm>

#include "core/arithmetic.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {

constexpr int64_t kBlockNanoseconds = 1 << 16;  // of a task, as threads_for counts them: 15 us in truth

// Calls body(first, count) on blocks that cover [0, count); an element takes about `nanoseconds`.
template <class Body>
void for_each_block(int64_t count, int64_t nanoseconds, const Body& body) {
  const int64_t block_elements = kBlockNanoseconds / nanoseconds, blocks = ceil_div(count, block_elements);
  const double all = static_cast<double>(nanoseconds) * static_cast<double>(count);
  parallel_for(threads_for(blocks, all), blocks, [&](int64_t block, int) {
    const int64_t first = block * block_elements;
    body(first, std::min(block_elements, count - first));
  });
}

}  // namespace konv::cpu
