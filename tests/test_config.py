"""`konv.config`: the number of threads, and the memory that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import konv
from konv import _core, config, ops


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    before = config.get_num_threads()
    yield
    config.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 256, np.int64(2), np.uint8(4)])
def test_the_number_of_threads_is_what_was_set(count: int) -> None:
    config.set_num_threads(count)
    assert config.get_num_threads() == count
    assert type(config.get_num_threads()) is int


@pytest.mark.parametrize("count", [0, -1, 257, 2**31, 2**40, 2**63, 10**30, -(10**30)])
def test_a_number_out_of_range_is_a_value_error(count: int) -> None:
    before = config.get_num_threads()
    with pytest.raises(ValueError, match=r"^set_num_threads: .*must .*received"):
        config.set_num_threads(count)
    assert config.get_num_threads() == before


@pytest.mark.parametrize("count", [1.0, "2", None, True, (2,), np.array([2])])
def test_what_is_not_an_int_is_a_type_error(count: Any) -> None:
    with pytest.raises(TypeError, match=r"^set_num_threads: num_threads must be an int, received"):
        config.set_num_threads(count)


def test_clear_cache_gives_memory_back() -> None:
    ops.relu(np.ones(10_000, np.float32))
    assert _core.pool_info()["bytes_cached"] > 0
    konv.clear_cache()
    assert _core.pool_info()["bytes_cached"] == 0
    assert konv.clear_cache is config.clear_cache
