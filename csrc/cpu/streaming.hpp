// Which results are streamed: written past the caches.
#pragma once

#include <cstdint>

namespace konv::cpu {

// Beyond what a last-level cache holds: ordinary writes would first read the result's lines from memory, and
// push out what is still needed. A smaller result is better left in the cache, for whoever reads it next. 24
// MiB measured best on a part of 32; systems don't tell the share of a core reliably. Never changes a bit of
// a result.
constexpr int64_t kStreamedBytes = 24 << 20;

// Makes what this thread streamed visible to others. For drivers whose kernel is run many times in a task:
// others end with a fence of their own.
inline void end_streaming() {
#ifdef __x86_64__
  __builtin_ia32_sfence();
#endif
}

constexpr bool worth_streaming(int64_t bytes) { return bytes > kStreamedBytes; }

}  // namespace konv::cpu
