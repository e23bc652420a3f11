// A caching pool of aligned buffers: results and scratch come from it.
//
// A fresh page costs a fault, which makes memory-bound operations several times slower; a kept buffer costs
// none. Buffers are 64-byte aligned (4 KiB from 64 KiB on, 2 MiB and huge pages from 2 MiB on), their
// capacity rounded up to one of four steps between powers of two, so that a slightly different size finds a
// kept buffer too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace konv::cpu {

class BufferPool;

// Owns its memory and gives it back to the pool.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  // The memory has been written to, so the system counts it: called when a result is handed out.
  void settle();

  void* data() const { return data_; }
  size_t bytes() const { return capacity_; }  // at least what was asked for
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  friend class BufferPool;
  Buffer(void* data, size_t capacity, size_t guard, size_t untouched)
      : data_(data), capacity_(capacity), guard_(guard), untouched_(untouched) {}
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(guard_, other.guard_);
    std::swap(untouched_, other.untouched_);
  }

  void* data_ = nullptr;
  size_t capacity_ = 0;
  size_t guard_ = 0;      // where the guard band begins; the capacity if there is none
  size_t untouched_ = 0;  // bytes new from the system, which counts them only once they are written to
};

struct PoolStatistics {
  size_t bytes_in_use;
  size_t bytes_peak;  // the most that were in use at once since the last reset_peak()
  size_t bytes_cached, cap, guard_violations;
};

class BufferPool {
 public:
  static BufferPool& instance();

  // At least `bytes` bytes. Throws std::bad_alloc where the system has none.
  Buffer allocate(size_t bytes);
  void clear();

  // Bytes handed out to calls that still run and, as far as one can know, haven't written to them yet.
  size_t untouched();
  PoolStatistics statistics();
  void reset_peak();

  // For tests: buffers start filled with NaN (all bits one) and end in a guard band that is checked when
  // they come back; guard_violations counts those that were written over.
  void set_poison(bool poison);

 private:
  friend class Buffer;
  BufferPool();
  void release(void* data, size_t capacity, size_t guard) noexcept;

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by capacity
  size_t bytes_in_use_ = 0, bytes_peak_ = 0, bytes_cached_ = 0, untouched_ = 0, cap_, guard_violations_ = 0;
  bool poison_ = false;
};

}  // namespace konv::cpu
