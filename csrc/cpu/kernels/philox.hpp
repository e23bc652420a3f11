// Contracts of kernels that draw words of a Philox4x32-10 stream: words [offset, offset + count) of that of
// `key`, offset >= 0 (see philox.hpp beside the drivers).
#pragma once

#include <stdint.h>

namespace konv::cpu {

struct PhiloxKernels {
  void (*words)(uint64_t key, int64_t offset, int64_t count, uint32_t* words);
  // high 24 bits of each word times 2^-24
  void (*uniform)(uint64_t key, int64_t offset, int64_t count, float* numbers);
};

// Which words keep their element: those whose high 24 bits are at least `least`, in [0, 2^24].
template <class T>
struct DropoutKernels {
  // y = x * scale where the word keeps the element, else +0.0, for NaN and infinities too; `streamed` results
  // are written past the caches, where they are aligned to the vector
  void (*dropout)(const T* x, uint64_t key, int64_t offset, int64_t count, int32_t least, T scale, T* y,
                  bool streamed);
};

}  // namespace konv::cpu
