// Allocation of an operation's result together with its scratch, checked against the memory that is left.
#pragma once

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"
#include "cpu/memory_limit.hpp"

namespace konv::cpu {

struct ResultAndScratch {
  Buffer result, scratch;
};

inline ResultAndScratch allocate(const char* op, int64_t result_bytes, int64_t scratch_bytes) {
  require_memory(op, checked_add(op, "result and scratch", result_bytes, scratch_bytes));
  BufferPool& pool = BufferPool::instance();
  ResultAndScratch memory{pool.allocate(static_cast<size_t>(result_bytes)), {}};
  if (scratch_bytes > 0) memory.scratch = pool.allocate(static_cast<size_t>(scratch_bytes));
  return memory;
}

inline Buffer allocate(const char* op, int64_t result_bytes) { return allocate(op, result_bytes, 0).result; }

}  // namespace konv::cpu
