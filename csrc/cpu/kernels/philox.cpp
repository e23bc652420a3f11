// Philox4x32-10 (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and dropout by
// its words; contracts: philox.hpp.
//
// Block b of a stream is ten rounds over the counter (low word of b, high word of b, 0, 0): words 4 * b to
// 4 * b + 3. A vector holds one word of several blocks, in 64-bit lanes: a product of two words is then one
// instruction, which reads the low halves alone, so that the high halves need no clearing. Words come in
// chunks that stay in L1, whose readers need not know where a block begins.
#include "cpu/kernels/philox.hpp"

#include "cpu/kernels/chunks.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;  // below 2^32
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;              // golden ratio; sqrt(3) - 1
constexpr int kRounds = 10;
constexpr int64_t kBlockWords = 4;

constexpr int kBlocks = kLanes<double>;  // of a vector
typedef Chunk<uint64_t, kBlocks> Blocks;
constexpr int64_t kVectorWords = kBlocks * kBlockWords;

constexpr int64_t kChunkWords = 1024;
// Words of a chunk may begin inside its first block and end inside its last vector of blocks.
constexpr int64_t kDrawnWords = kChunkWords + kVectorWords;

// The low halves of the lanes times `factor`; compilers see no such product in the vectors' own.
KONV_INLINE Blocks multiply_low(Blocks a, uint64_t factor) {
  const Blocks b = Blocks{} + factor;
#if KONV_VECTOR_BYTES == 64
  // GCC 12 warns of _mm512_mul_epu32's own code.
  return reinterpret_cast<Blocks>(
      _mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif KONV_VECTOR_BYTES == 32
  return reinterpret_cast<Blocks>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__x86_64__)
  return reinterpret_cast<Blocks>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xFFFFFFFF) * b;
#endif
}

// Lane l takes block l / 2 of the even lanes' half or of the odd lanes', which lets neighbours be joined
// within 128 bits.
KONV_INLINE Blocks lane_blocks() {
  Blocks blocks{};
  for (int l = 0; l < kBlocks; ++l) blocks[l] = static_cast<uint64_t>(l % 2 * (kBlocks / 2) + l / 2);
  return blocks;
}

// Even (or odd) lanes of a and b in turns.
template <int Odd>
KONV_INLINE Blocks join_lanes(Blocks a, Blocks b) {
  Blocks lanes{};
  for (int l = 0; l < kBlocks; ++l) lanes[l] = static_cast<uint64_t>(l / 2 * 2 + Odd + l % 2 * kBlocks);
  return __builtin_shuffle(a, b, lanes);
}

// The words of kBlocks blocks.
KONV_INLINE void draw_vector(uint64_t key, uint64_t first_block, uint32_t* words) {
  Blocks c0 = first_block + lane_blocks(), c1 = c0 >> 32, c2{}, c3{};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < kRounds; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    const Blocks product0 = multiply_low(c0, kMultiplier0), product1 = multiply_low(c2, kMultiplier1);
    c0 = (product1 >> 32) ^ c1 ^ k0;
    c1 = product1;
    c2 = (product0 >> 32) ^ c3 ^ k1;
    c3 = product0;
  }
  const Blocks low = (c0 & 0xFFFFFFFF) | c1 << 32, high = (c2 & 0xFFFFFFFF) | c3 << 32;
  const Blocks first = join_lanes<0>(low, high), second = join_lanes<1>(low, high);
  store_chunk(words, first);
  store_chunk(words + kVectorWords / 2, second);
}

// Words [offset, offset + count) of the stream of a key.
struct Drawn {
  uint64_t key;
  int64_t offset, count;
};

// Calls body(i, words, size) on chunks that cover [0, d.count): `words` are those at d.offset + i.
template <class Body>
KONV_INLINE void for_each_drawn(const Drawn& d, const Body& body) {
  alignas(64) uint32_t drawn[kDrawnWords];
  const int64_t skipped = d.offset % kBlockWords;  // words of the first block
  uint64_t block = static_cast<uint64_t>(d.offset / kBlockWords);
  for (int64_t i = 0; i < d.count; i += kChunkWords, block += kChunkWords / kBlockWords) {
    const int64_t size = minimum(kChunkWords, d.count - i);
    for (int64_t w = 0; w < skipped + size; w += kVectorWords)
      draw_vector(d.key, block + static_cast<uint64_t>(w / kBlockWords), drawn + w);
    body(i, drawn + skipped, size);
  }
}

void draw_words(uint64_t key, int64_t offset, int64_t count, uint32_t* words) {
  for_each_drawn({key, offset, count}, [&](int64_t i, const uint32_t* drawn, int64_t size) {
    __builtin_memcpy(words + i, drawn, size * sizeof(uint32_t));
  });
}

void draw_uniform(uint64_t key, int64_t offset, int64_t count, float* numbers) {
  for_each_drawn({key, offset, count}, [&](int64_t i, const uint32_t* drawn, int64_t size) {
    for (int64_t j = 0; j < size; ++j)  // int32: SSE converts no uint32
      numbers[i + j] = static_cast<float>(static_cast<int32_t>(drawn[j] >> 8)) * 0x1p-24f;
  });
}

// A word for each lane, as the integers that select lanes of T.
template <class T>
KONV_INLINE auto high_bits_of(const uint32_t* words) {
  constexpr int kLane = kLanes<T>;
  const auto bits = load_chunk<kLane>(words) >> 8;
  return convert_chunk<typename SignedOf<sizeof(T)>::Type, int32_t, kLane>(
      reinterpret_cast<Chunk<int32_t, kLane>>(bits));
}

template <class Access, class T>
KONV_INLINE void drop(const Drawn& d, const T* x, int32_t least, T scale, T* y) {
  for_each_drawn(d, [&](int64_t i, const uint32_t* drawn, int64_t size) {
    for_each_vector<T, Access>(size, [&](int64_t j, auto access) {
      const auto kept = high_bits_of<T>(drawn + j) >= least;
      access.store(y + i + j, kept ? access.load(x + i + j) * scale : Vector<T>{});
    });
  });
}

template <class T>
void dropout(const T* x, uint64_t key, int64_t offset, int64_t count, int32_t least, T scale, T* y,
             bool streamed) {
  const Drawn d = {key, offset, count};
  if (!streamed || !is_aligned(y)) return drop<WholeVector<T>>(d, x, least, scale, y);
  drop<StreamedVector<T>>(d, x, least, scale, y);
  stream_fence();
}

template <class T>
constexpr DropoutKernels<T> kDropout = {dropout<T>};

}  // namespace

extern const PhiloxKernels kPhilox = {draw_words, draw_uniform};
extern const DropoutKernels<float> kDropoutFloat32 = kDropout<float>;
extern const DropoutKernels<double> kDropoutFloat64 = kDropout<double>;

}  // namespace konv::cpu::KONV_ISA
