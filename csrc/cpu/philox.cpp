// Driver of random numbers and dropout; see philox.hpp.
#include "cpu/philox.hpp"

#include <cmath>

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/streaming.hpp"

namespace konv::cpu {
namespace {

// Calls run(first, size, result) on blocks of the `count` elements that take words from `offset` on.
template <class T, class Run>
Buffer draw(const char* op, int64_t offset, int64_t count, const Run& run) {
  if (offset < 0) fail(op, "offset must be at least 0, received ", offset);
  if (count < 0) fail(op, "count must be at least 0, received ", count);
  checked_add(op, "the stream", offset, count);
  Buffer result = allocate(op, checked_multiply(op, "the result", count, sizeof(T)));
  T* out = result.as<T>();
  for_each_block(count, 1, [&](int64_t first, int64_t size) { run(first, size, out + first); });
  return result;
}

}  // namespace

Buffer philox_words(const char* op, uint64_t key, int64_t offset, int64_t count) {
  const auto kernel = philox_kernels().words;
  return draw<uint32_t>(op, offset, count, [&](int64_t first, int64_t size, uint32_t* words) {
    kernel(key, offset + first, size, words);
  });
}

Buffer philox_uniform(const char* op, uint64_t key, int64_t offset, int64_t count) {
  const auto kernel = philox_kernels().uniform;
  return draw<float>(op, offset, count, [&](int64_t first, int64_t size, float* numbers) {
    kernel(key, offset + first, size, numbers);
  });
}

template <class T>
Buffer dropout(const char* op, const T* x, uint64_t key, int64_t offset, int64_t count, double rate) {
  if (!(rate >= 0 && rate <= 1)) fail(op, "rate must be in [0, 1], received ", rate);
  const auto kernel = kernels<T>().dropout->dropout;
  const bool streamed = worth_streaming(count * static_cast<int64_t>(sizeof(T)));
  // Of the uniform numbers, multiples of 2^-24, the first that is at least the rate in float32.
  const int32_t least = static_cast<int32_t>(std::ceil(static_cast<float>(rate) * 0x1p24f));
  const T scale = rate < 1 ? static_cast<T>(1 / (1 - rate)) : 0;
  return draw<T>(op, offset, count, [&](int64_t first, int64_t size, T* y) {
    kernel(x + first, key, offset + first, size, least, scale, y, streamed);
  });
}

template Buffer dropout<float>(const char*, const float*, uint64_t, int64_t, int64_t, double);
template Buffer dropout<double>(const char*, const double*, uint64_t, int64_t, int64_t, double);

}  // namespace konv::cpu
