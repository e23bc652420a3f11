// Carves typed, aligned arrays out of one scratch buffer.
//
// A layout function takes a Carver and runs twice: on an empty one, which only counts, and on the buffer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace konv::cpu {

class Carver {
 public:
  explicit Carver(void* memory = nullptr) : base_(static_cast<char*>(memory)) {}

  template <class T>
  T* take(int64_t count) {
    T* array = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return array;
  }

  int64_t bytes() const { return used_; }

 private:
  static constexpr int64_t kAlignment = 64;
  char* base_;
  int64_t used_ = 0;
};

}  // namespace konv::cpu
