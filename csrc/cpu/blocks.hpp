// Elementwise work, cut into blocks that threads share out.
#pragma once

#include <algorithm>

#include "core/arithmetic.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {

constexpr int64_t kBlockNanoseconds = 1 << 14;  // of a block, at least, as threads_for counts them
// Long blocks keep the streams of reads and writes few: blocks of 64 KiB in turns took 15% more, a block a
// thread leaves no share for a core that others hold up.
constexpr int64_t kBlocksOfThread = 4;
constexpr int64_t kBlockGranule = 64;  // elements: blocks begin at cache lines, which no two threads share

// Calls body(first, count) on blocks that cover [0, count); an element takes about `nanoseconds`. Where the
// cuts lie depends on the number of threads: no result may depend on them.
template <class Body>
void for_each_block(int64_t count, int64_t nanoseconds, const Body& body) {
  const double all = static_cast<double>(nanoseconds) * static_cast<double>(count);
  const int64_t least = kBlockNanoseconds / nanoseconds;
  const int threads = threads_for(ceil_div(count, least), all);
  const int64_t share = ceil_div(ceil_div(count, threads * kBlocksOfThread), kBlockGranule) * kBlockGranule;
  const int64_t block_elements = std::max(least, share), blocks = ceil_div(count, block_elements);
  parallel_for_own(threads, blocks, next_order(), [&](int64_t block, int) {
    const int64_t first = block * block_elements;
    body(first, std::min(block_elements, count - first));
  });
}

}  // namespace konv::cpu
