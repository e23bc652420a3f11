"""Philox against its published answers, and streams that are a function of key and position."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from konv import _core
from konv import _random as random

# kat_vectors of Random123 1.14 (D. E. Shaw Research): philox4x32, 10 rounds: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def integers(text):
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    assert random.philox4x32(integers(counter), integers(key)) == integers(expected)


def drawn_in_python(key, offset, count):
    """The words by `philox4x32`, which shares nothing with the kernel, one block at a time."""
    blocks = range(offset // 4, (offset + count + 3) // 4)
    halves = key & 0xFFFFFFFF, key >> 32
    drawn = [w for b in blocks for w in random.philox4x32((b & 0xFFFFFFFF, b >> 32, 0, 0), halves)]
    return drawn[offset % 4 : offset % 4 + count]


@pytest.mark.parametrize("key", [0, 1, 0x0123456789ABCDEF, 2**64 - 1])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 32_767, 2**34 - 2, 2**63 - 100])
def test_words_are_blocks_in_order(key, offset):
    for count in (0, 1, 2, 3, 4, 5, 7, 8, 70):
        words = random.words(key, count, offset=offset)
        assert (words.dtype, words.shape) == (np.uint32, (count,))
        assert words.tolist() == drawn_in_python(key, offset, count)


@pytest.mark.parametrize("offset", [0, 1, 3, 4, 65_535, 65_536, 2**34 - 2])
def test_a_part_is_what_the_whole_has_there(offset):
    part = random.words(7, 9, offset=offset)
    single = [int(random.words(7, 1, offset=offset + i)[0]) for i in range(9)]
    assert part.tolist() == single


def test_threads_do_not_change_a_bit(set_threads):
    """Several blocks of the driver, of 32,768 words each, and a tail."""
    set_threads(1)
    expected = random.words(3, 140_001), random.uniform(3, (140_001,), offset=5)
    for threads in (2, 3, 4):
        set_threads(threads)
        assert np.array_equal(random.words(3, 140_001), expected[0])
        assert np.array_equal(random.uniform(3, (140_001,), offset=5), expected[1])
    assert expected[0][-9:].tolist() == drawn_in_python(3, 139_992, 9)
    assert np.array_equal(expected[0][70_001:140_001], random.words(3, 70_000, offset=70_001))


def test_uniform_takes_the_high_24_bits():
    numbers = random.uniform(5, (10, 100))
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers.reshape(-1), (random.words(5, 1000) >> 8) / 2.0**24)
    assert np.array_equal(random.uniform(5, (3, 100), offset=700), numbers[7:])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert random.uniform(5, ()).shape == ()
    assert random.uniform(5, (3, 0)).shape == (3, 0)


def test_uniform_is_uniform():
    counts = np.bincount((random.uniform(11, (100_000,)) * 100).astype(int), minlength=100)
    # A bin's count has a standard deviation of 31.5.
    assert np.abs(counts - 1000).max() < 5 * 31.5


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_permutation_is_the_documented_order(count):
    order = random.permutation(9, count)
    words = random.words(9, 2 * count).tolist()
    numbers = [words[2 * i] + (words[2 * i + 1] << 32) for i in range(count)]
    assert order.tolist() == sorted(range(count), key=lambda i: (numbers[i], i))


def test_derived_keys_differ():
    keys = {
        random.derive(seed, *path) for seed in (0, 1) for path in [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]
    }
    assert len(keys) == 12
    assert all(0 <= key < 2**64 for key in keys)
    # Deriving takes none of the words of the key's own stream.
    assert random.derive(0, 0) & 0xFFFFFFFF not in random.words(0, 4)


def test_seeds_of_a_process_differ_between_processes():
    program = "from konv import _random; print(_random.new_seed())"
    seeds = {subprocess.check_output([sys.executable, "-c", program]) for _ in range(2)}
    assert len(seeds) == 2


def test_set_seed_starts_afresh():
    random.set_seed(4)
    first = [random.new_seed() for _ in range(3)]
    random.set_seed(4)
    assert [random.new_seed() for _ in range(3)] == first
    assert len(set(first)) == 3


@pytest.mark.parametrize("draw", [random.words, lambda key, count: random.uniform(key, (count,))])
@pytest.mark.parametrize("count", [2**44, 2**62, 2**70])
def test_more_than_memory_holds_is_a_memory_error(draw, count):
    with pytest.raises(MemoryError, match=r"^philox_(words|uniform): .*(need|exceeds)"):
        draw(0, count)


@pytest.mark.parametrize("draw", [_core.philox_words, _core.philox_uniform])
@pytest.mark.parametrize(
    ("error", "offset", "count", "message"),
    [
        (ValueError, -1, 1, "offset must be at least 0, received -1"),
        (ValueError, 0, -2, "count must be at least 0, received -2"),
        (MemoryError, 2**63 - 1, 1, r"the size of the stream exceeds 2\^63"),
    ],
)
def test_kernels_refuse(draw, error, offset, count, message):
    with pytest.raises(error, match=f"^{draw.__name__}: {message}"):
        draw(0, offset, count)
