"""Seeds and one-hot rows."""

from __future__ import annotations

import random as python_random

import numpy as np
import pytest

from konv import _random as random
from konv.utils import set_random_seed, to_categorical


def test_set_random_seed_repeats_everything():
    def draw():
        set_random_seed(3)
        return random.new_seed(), np.random.random(), python_random.random()

    assert draw() == draw()
    set_random_seed(4)
    assert random.new_seed() != draw()[0]


@pytest.mark.parametrize(
    ("error", "seed", "message"),
    [
        (TypeError, 1.0, r"set_random_seed: seed must be an int, received 1.0 \(float\)"),
        (TypeError, True, "seed must be an int"),
        (ValueError, -1, "seed must be an int of at least 0, received -1"),
        (ValueError, 2**32, r"seed must be below 2\*\*32, received 4294967296"),
        (ValueError, 10**400, "seed must fit in 64 bits"),
    ],
)
def test_wrong_seeds(error, seed, message):
    with pytest.raises(error, match=message):
        set_random_seed(seed)


def test_to_categorical():
    assert to_categorical(np.array([[1], [0]])).tolist() == [[0, 1], [1, 0]]
    assert to_categorical([[2, 0], [1, 1]], 3).shape == (2, 2, 3)
    assert to_categorical(np.array([3], np.uint8), num_classes=np.int64(5)).tolist() == [[0, 0, 0, 1, 0]]
    assert to_categorical([], 4).shape == (0, 4)


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (TypeError, ([0.5],), "x must hold integers, received dtype float64"),
        (TypeError, (["a"],), "x must hold integers"),
        (TypeError, ([[1, 2], [3]],), "^to_categorical: x must be an array of integers, received"),
        (TypeError, (np.ma.array([1, 2], mask=[0, 1]),), "^to_categorical: x must not be masked, received"),
        (ValueError, ([-1],), "labels must be at least 0, received -1 to -1"),
        (ValueError, ([3], 3), "labels must be from 0 to 2, received 3 to 3"),
        (ValueError, ([0], 0), "num_classes must be an int of at least 1, received 0"),
        (TypeError, ([0], 2.0), "num_classes must be an int, received 2.0"),
        (MemoryError, ([2**62],), "to_categorical: "),
        (ValueError, ([0], 10**30), "num_classes must fit in 64 bits"),
        (MemoryError, ([0, 1], 2**62), "to_categorical: "),
    ],
)
def test_wrong_labels(error, arguments, message):
    with pytest.raises(error, match=message):
        to_categorical(*arguments)
