// Allocation of an operation's results together with its scratch, checked against the memory that is left.
#pragma once

#include <array>
#include <utility>

#include "core/arithmetic.hpp"
#include "cpu/buffer_pool.hpp"
#include "cpu/memory_limit.hpp"

namespace konv::cpu {

// One buffer for each size in bytes, checked together, before any of them is taken.
template <size_t Count>
std::array<Buffer, Count> allocate(const char* op, const int64_t (&bytes)[Count]) {
  int64_t total = 0;
  for (int64_t size : bytes) total = checked_add(op, "result and scratch", total, size);
  const MemoryGrant grant(op, total);
  std::array<Buffer, Count> buffers;
  try {
    for (size_t i = 0; i < Count; ++i)
      buffers[i] = BufferPool::instance().allocate(static_cast<size_t>(bytes[i]));
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(
        concatenate(op, ": result and scratch need ", total, " bytes, which the system refuses"));
  }
  return buffers;
}

inline Buffer allocate(const char* op, int64_t bytes) {
  const int64_t sizes[] = {bytes};
  return std::move(allocate(op, sizes)[0]);
}

}  // namespace konv::cpu
