// The caching pool; see buffer_pool.hpp.
#include "cpu/buffer_pool.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cpu/memory_limit.hpp"

namespace konv::cpu {
namespace {

constexpr size_t kAlignment = 64;  // a cache line and the widest vector
// Alike in their last 12 bits, addresses of buffers of equal shape meet at the same element. A load waits for
// a store just before it that is alike in those bits: where malloc put results 64 bytes into a page, and what
// was read began one, ReLU of 1.6 MB in cache took 25 us in place of 21.
constexpr size_t kPage = 4096;
constexpr size_t kPaged = 16 * kPage;  // from here on
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmallest = 256;
constexpr size_t kGuard = 64;  // bytes of a guard band, at least
constexpr unsigned char kGuardByte = 0xA5;
constexpr size_t kLargestCap = size_t{4} << 30;

// The next of 4, 5, 6, 7 times a power of two: at most a quarter more than asked for.
size_t capacity_for(size_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  size_t step = kSmallest / 4;
  while (step * 8 < bytes) step *= 2;
  const size_t granule = bytes >= kHugePage ? std::max(step, kHugePage) : step;
  return (bytes + granule - 1) / granule * granule;
}

void* system_allocate(size_t capacity) {
  const size_t alignment = capacity >= kHugePage ? kHugePage : capacity >= kPaged ? kPage : kAlignment;
  void* data = std::aligned_alloc(alignment, capacity);
  if (!data) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (capacity >= kHugePage) madvise(data, capacity, MADV_HUGEPAGE);  // advice only
#endif
  return data;
}

std::mutex* pool_mutex = nullptr;

}  // namespace

BufferPool::BufferPool() : cap_(static_cast<size_t>(std::min<int64_t>(kLargestCap, total_memory() / 4))) {
  // A fork in the middle of another thread's call must not leave the child a lock that nobody will open.
  pool_mutex = &mutex_;
  const auto unlock = [] {
    pool_mutex->unlock();
    grant_mutex().unlock();
  };
  pthread_atfork(
      [] {
        grant_mutex().lock();
        pool_mutex->lock();
      },
      unlock, unlock);
}

BufferPool& BufferPool::instance() {
  // Never destroyed: arrays may outlive the module's statics.
  static BufferPool* pool = new BufferPool();
  return *pool;
}

Buffer BufferPool::allocate(size_t bytes) {
  std::unique_lock<std::mutex> lock(mutex_);
  const bool guarded = poison_;
  const size_t capacity = capacity_for(guarded ? bytes + kGuard : bytes);
  void* data = nullptr;
  if (auto it = free_.find(capacity); it != free_.end() && !it->second.empty()) {
    data = it->second.back();
    it->second.pop_back();
    bytes_cached_ -= capacity;
  }
  bytes_in_use_ += capacity;
  bytes_peak_ = std::max(bytes_peak_, bytes_in_use_);
  if (!data) untouched_ += capacity;
  lock.unlock();
  const size_t untouched = data ? 0 : capacity;
  if (!data) {
    try {
      data = system_allocate(capacity);
    } catch (const std::bad_alloc&) {
      clear();
      try {
        data = system_allocate(capacity);
      } catch (const std::bad_alloc&) {
        lock.lock();
        bytes_in_use_ -= capacity;
        untouched_ -= capacity;
        throw;
      }
    }
  }
  if (guarded) {
    // The band begins right behind the bytes asked for, so that one element too many is seen.
    std::memset(data, 0xFF, bytes);
    std::memset(static_cast<unsigned char*>(data) + bytes, kGuardByte, capacity - bytes);
  }
  return Buffer(data, capacity, guarded ? bytes : capacity, untouched);
}

void BufferPool::release(void* data, size_t capacity, size_t guard) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  bytes_in_use_ -= capacity;
  const auto* bytes = static_cast<const unsigned char*>(data);
  if (std::any_of(bytes + guard, bytes + capacity, [](unsigned char byte) { return byte != kGuardByte; }))
    ++guard_violations_;
  if (bytes_cached_ + capacity <= cap_) {
    try {
      free_[capacity].push_back(data);
      bytes_cached_ += capacity;
      return;
    } catch (const std::bad_alloc&) {  // no room to remember it: give it back to the system
    }
  }
  lock.unlock();
  std::free(data);
}

void BufferPool::clear() {
  std::map<size_t, std::vector<void*>> taken;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    taken.swap(free_);
    bytes_cached_ = 0;
  }
  for (auto& [capacity, buffers] : taken)
    for (void* data : buffers) std::free(data);
}

PoolStatistics BufferPool::statistics() {
  std::lock_guard<std::mutex> lock(mutex_);
  return {bytes_in_use_, bytes_peak_, bytes_cached_, cap_, guard_violations_};
}

void BufferPool::reset_peak() {
  std::lock_guard<std::mutex> lock(mutex_);
  bytes_peak_ = bytes_in_use_;
}

void BufferPool::set_poison(bool poison) {
  std::lock_guard<std::mutex> lock(mutex_);
  poison_ = poison;
}

size_t BufferPool::untouched() {
  std::lock_guard<std::mutex> lock(mutex_);
  return untouched_;
}

void Buffer::settle() {
  if (untouched_ == 0) return;
  BufferPool& pool = BufferPool::instance();
  std::lock_guard<std::mutex> lock(pool.mutex_);
  pool.untouched_ -= untouched_;
  untouched_ = 0;
}

Buffer::~Buffer() {
  settle();
  if (data_) BufferPool::instance().release(data_, capacity_, guard_);
}

}  // namespace konv::cpu
