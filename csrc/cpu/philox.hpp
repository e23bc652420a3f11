// Words of the stream of a key: Philox4x32-10, see python/konv/_random.py. Integers and exact conversions
// only, so that they are the same on every machine. And dropout, which draws as it goes.
#pragma once

#include <cstdint>

#include "cpu/buffer_pool.hpp"

namespace konv::cpu {

// uint32 words [offset, offset + count) of the stream.
Buffer philox_words(const char* op, uint64_t key, int64_t offset, int64_t count);

// The same as float32 in [0, 1): the high 24 bits of each word times 2^-24.
Buffer philox_uniform(const char* op, uint64_t key, int64_t offset, int64_t count);

// x / (1 - rate) where the uniform number is at least `rate`, in float32, else +0.0: element i takes the
// number at offset + i. A pass that draws again costs less than one that keeps and reads a mask.
template <class T>
Buffer dropout(const char* op, const T* x, uint64_t key, int64_t offset, int64_t count, double rate);

}  // namespace konv::cpu
