// Which results are streamed: written past the caches.
#pragma once

#include <cstdint>

namespace konv::cpu {

// Beyond what a last-level cache holds: ordinary writes would first read the result's lines from memory, and
// push out what is still needed. A smaller result is better left in the cache, for whoever reads it next. 24
// MiB measured best on a part of 32; systems don't tell the share of a core reliably. Never changes a bit of
// a result.
constexpr int64_t kStreamedBytes = 24 << 20;

// Results of the direct tile, which computes long for each line: reading the line first takes the tile's
// time, while whoever reads it next fetches it ahead. From 4 MiB up, the tile is 1.04 to 1.13 times as fast,
// and so is the convolution with a ReLU, pooling or another convolution after it; with an addend, from 3 MiB
// up, 1.15 times (64->256 on 56x56), and the next convolution 0.96 times.
constexpr int64_t kStreamedTileBytes = 3 << 20;

// Kernels that Winograd transforms, beyond half of L2. Their points lie far apart, and memory would be waited
// for line by line: up to four times as long where others fill the last cache (64x64 filters 0.26 in place of
// 0.04 ms, 128x128 of stride 2 0.6 in place of 0.1).
constexpr int64_t kStreamedKernelBytes = 512 << 10;

// Makes what this thread streamed visible to others. For drivers whose kernel is run many times in a task:
// others end with a fence of their own.
inline void end_streaming() {
#ifdef __x86_64__
  __builtin_ia32_sfence();
#endif
}

constexpr bool worth_streaming(int64_t bytes, int64_t most_kept = kStreamedBytes) {
  return bytes > most_kept;
}

}  // namespace konv::cpu
