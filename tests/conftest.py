"""Fixtures of every test: the ISAs and dtypes to run on, and memory that shows what touches it wrongly.

Results and scratch of the kernels start as NaN and end in a guard band. So an element that a kernel
forgets to write is NaN, and one that it writes too many fails the test that did it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from konv import _core

settings.register_profile(
    "konv",
    derandomize=True,  # the same examples every time
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("konv")


@pytest.fixture(scope="session", autouse=True)
def poison() -> Iterator[None]:
    """Fill every buffer of the pool with NaN before a kernel gets it, and end it in a guard band."""
    _core.clear_cache()
    _core.set_poison(True)
    yield
    _core.set_poison(False)


@pytest.fixture(autouse=True)
def guard_bands() -> Iterator[None]:
    """Fail a test that wrote past the end of a result or of scratch."""
    before = _core.pool_info()["guard_violations"]
    yield
    violations = _core.pool_info()["guard_violations"] - before
    assert violations == 0, f"{violations} buffers were written past their end"


@pytest.fixture(params=_core.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on each ISA that this machine has."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype[np.floating[Any]]:
    """Run the test for each dtype of the CPU."""
    parameter: str = request.param
    return np.dtype(parameter)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for this test only, and use them however small the work."""
    threads, work = _core.get_num_threads(), _core.set_thread_work(0)
    yield _core.set_num_threads
    _core.set_num_threads(threads)
    _core.set_thread_work(work)
