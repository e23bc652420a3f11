// Philox4x32-10 (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011); see
// philox.hpp.
//
// Block b of a stream is ten rounds over the counter (low word of b, high word of b, 0, 0): words 4 * b to
// 4 * b + 3. Compilers' vectors over blocks were a third faster at most, so each block is drawn by itself.
#include "cpu/philox.hpp"

#include "cpu/blocks.hpp"
#include "cpu/result.hpp"

namespace konv::cpu {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;  // golden ratio; sqrt(3) - 1
constexpr int kRounds = 10;
constexpr int64_t kBlockWords = 4;
constexpr int64_t kWordNanoseconds = 2;  // 1.6 measured, Zen 4

void draw_block(uint64_t key, uint64_t block, uint32_t (&words)[kBlockWords]) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    const uint64_t product0 = uint64_t{kMultiplier0} * c0, product1 = uint64_t{kMultiplier1} * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(product0);
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

// Writes convert(word) for the words [offset, offset + count) of the stream.
template <class T, class Convert>
Buffer draw(const char* op, uint64_t key, int64_t offset, int64_t count, const Convert& convert) {
  if (offset < 0) fail(op, "offset must be at least 0, received ", offset);
  if (count < 0) fail(op, "count must be at least 0, received ", count);
  checked_add(op, "the stream", offset, count);
  Buffer result = allocate(op, checked_multiply(op, "the result", count, sizeof(T)));
  T* out = result.as<T>();
  for_each_block(count, kWordNanoseconds, [&](int64_t first, int64_t size) {
    uint32_t words[kBlockWords];
    int64_t skipped = (offset + first) % kBlockWords;  // words of the first block
    for (int64_t i = first; i < first + size; skipped = 0) {
      draw_block(key, static_cast<uint64_t>(offset + i) / kBlockWords, words);
      const int64_t taken = std::min(kBlockWords - skipped, first + size - i);
      for (int64_t w = 0; w < taken; ++w) out[i + w] = convert(words[skipped + w]);
      i += taken;
    }
  });
  return result;
}

}  // namespace

Buffer philox_words(const char* op, uint64_t key, int64_t offset, int64_t count) {
  return draw<uint32_t>(op, key, offset, count, [](uint32_t word) { return word; });
}

Buffer philox_uniform(const char* op, uint64_t key, int64_t offset, int64_t count) {
  return draw<float>(op, key, offset, count, [](uint32_t word) {
    return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24f;  // int32: SSE converts no uint32
  });
}

}  // namespace konv::cpu
