// Fetches stretches of memory into L2, some lines a turn, so that a tile's own loads don't wait for them.
// Included by kernel files only.
#pragma once

#include "cpu/kernels/conv2d_direct.hpp"
#include "cpu/kernels/simd.hpp"

namespace konv::cpu::KONV_ISA {
namespace {

// Lines of a turn, at least: what is fetched sooner leaves more tiles to the shorter loop.
constexpr int64_t kFetchedLines = 4;

// Where the fetching of stretches stands.
struct FetchAhead {
  const MemoryStretch *stretch, *end;
  int64_t line;   // of the stretch
  int64_t lines;  // of a turn
};

// All of them in so many turns.
KONV_INLINE FetchAhead fetch_in_turns(const MemoryStretch* stretches, int64_t count, int64_t turns) {
  int64_t lines = 0;
  for (int64_t i = 0; i < count; ++i) lines += stretches[i].lines;
  const bool few = turns == 0 || lines < turns * kFetchedLines;
  return {stretches, stretches + count, 0, few ? kFetchedLines : (lines + turns - 1) / turns};
}

KONV_INLINE void fetch_some(FetchAhead& ahead) {
  for (int64_t i = 0; i < ahead.lines && ahead.stretch < ahead.end; ++i) {
    prefetch_to_l2(static_cast<const char*>(ahead.stretch->first) + 64 * ahead.line);
    if (++ahead.line == ahead.stretch->lines) {
      ahead.line = 0;
      ++ahead.stretch;
    }
  }
}

}  // namespace
}  // namespace konv::cpu::KONV_ISA
