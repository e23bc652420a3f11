"""Mutants of the random numbers.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

WORDS = "test_random.py::test_words_are_blocks_in_order"
UNIFORM = "test_random.py::test_uniform_takes_the_high_24_bits"
REFUSED = "test_random.py::test_kernels_refuse"

DROPOUT = "test_dropout.py::test_the_kernel_is_its_formula"
EQUALS = "test_dropout.py::test_a_number_that_equals_the_rate_is_kept"

MUTANTS = {
    "cpu/kernels/philox.cpp": [
        ("a round is missing", "constexpr int kRounds = 10;", "constexpr int kRounds = 9;", WORDS),
        ("the key stays the same", "k0 += kWeyl0, k1 += kWeyl1", "k0 += kWeyl0", WORDS),
        ("the high half of the key is ignored", "static_cast<uint32_t>(key >> 32)", "0", WORDS),
        ("the high word of the block is ignored", "c1 = c0 >> 32", "c1{}", WORDS),
        ("words are exchanged", "join_lanes<0>(low, high)", "join_lanes<0>(high, low)", WORDS),
        ("the first block is never a part", "d.offset % kBlockWords", "0", WORDS),
        ("the low 24 bits are taken", "drawn[j] >> 8", "drawn[j] & 0xFFFFFF", UNIFORM),
        ("a number that equals the rate is dropped", "(drawn + j) >= least", "(drawn + j) > least", EQUALS),
        ("the scale is left out", "access.load(x + i + j) * scale", "access.load(x + i + j)", DROPOUT),
    ],
    "cpu/philox.cpp": [
        ("a negative offset passes", "if (offset < 0)", "if (false)", REFUSED),
        ("a stream beyond 2^63 passes", 'checked_add(op, "the stream", offset, count);', "", REFUSED),
    ],
}
