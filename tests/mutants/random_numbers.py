"""Mutants of the random numbers.

By file (below csrc/): what is broken, the text, its replacement, the tests that must notice.
"""

from __future__ import annotations

WORDS = "test_random.py::test_words_are_blocks_in_order"
UNIFORM = "test_random.py::test_uniform_takes_the_high_24_bits"
REFUSED = "test_random.py::test_kernels_refuse"

MUTANTS = {
    "cpu/philox.cpp": [
        ("a round is missing", "constexpr int kRounds = 10;", "constexpr int kRounds = 9;", WORDS),
        ("the key stays the same", "k0 += kWeyl0, k1 += kWeyl1", "k0 += kWeyl0", WORDS),
        ("the high half of the key is ignored", "static_cast<uint32_t>(key >> 32)", "0", WORDS),
        ("the high word of the block is ignored", "c1 = static_cast<uint32_t>(block >> 32)", "c1 = 0", WORDS),
        (
            "words are exchanged",
            "words[2] = c2;\n  words[3] = c3;",
            "words[2] = c3;\n  words[3] = c2;",
            WORDS,
        ),
        ("the first block is never a part", "(offset + first) % kBlockWords", "0", WORDS),
        ("the low 24 bits are taken", "word >> 8", "word & 0xFFFFFF", UNIFORM),
        ("a negative offset passes", "if (offset < 0)", "if (false)", REFUSED),
        ("a stream beyond 2^63 passes", 'checked_add(op, "the stream", offset, count);', "", REFUSED),
    ],
}
