"""Results too large for any cache are streamed, written past the caches: to the same bits as others.

Each op gives a result of a bit more than 24 MiB (`csrc/cpu/streaming.hpp`) from inputs at addresses that no
vector has, and must give what it gives for smaller parts alone, which aren't streamed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arrays import Array
from konv import _core, ops
from tolerance import assert_same_bits

STREAMED = 24 << 20
"""Bytes of the largest result that isn't streamed."""


def large(seed: int, tail: int, dtype: np.dtype[Any]) -> Array:
    """More than STREAMED bytes of numbers and `tail` elements, from an odd address."""
    count = STREAMED // dtype.itemsize + tail
    return np.random.default_rng(seed).standard_normal(count + 1, np.float32).astype(dtype)[1:]


@pytest.mark.parametrize("tail", [64, 77])
def test_elementwise(isa: str, dtype: np.dtype[Any], tail: int) -> None:
    x, grad = large(1, tail, dtype), large(2, tail, dtype)
    ops_of_parts: list[Callable[[slice], Array]] = [
        lambda part: ops.relu(x[part]),
        lambda part: ops.relu_backward(grad[part], x[part]),
        lambda part: _core.add(x[part], grad[part], False),
        lambda part: _core.add(x[part], grad[part], True),
    ]
    middle = x.size // 2
    for op in ops_of_parts:
        parts = [op(slice(0, middle)), op(slice(middle, None))]
        assert_same_bits(op(slice(None)), np.concatenate(parts))
