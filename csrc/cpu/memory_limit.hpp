// How much memory this process may still take: the machine's available memory and every cgroup limit above
// it.
#pragma once

#include <cstdint>
#include <mutex>

namespace konv::cpu {

// Bytes; a large value where the system doesn't tell.
int64_t available_memory();

// Bytes of memory of the machine or of the smallest cgroup limit.
int64_t total_memory();

// Throws OutOfMemory, naming the op, if `bytes` (result and scratch together) can't be had.
// Small requests aren't looked up: reading the limits costs more than they do.
void require_memory(const char* op, int64_t bytes);

// Held while a large request is looked at and its buffers are taken; locked before the pool's own.
std::mutex& grant_mutex();

// The same, and as long as the grant lives no other large request is looked at: until the buffers of this one
// are taken, and so counted, a second could be promised the same memory.
class MemoryGrant {
 public:
  MemoryGrant(const char* op, int64_t bytes);

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace konv::cpu
