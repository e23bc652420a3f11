"""What the machine can do, measured: the roof of every benchmark."""

from __future__ import annotations

import time

import numpy as np
import pytest

from konv import _core, ops


@pytest.mark.usefixtures("isa")
def test_no_kernel_beats_the_peak(set_threads):
    set_threads(1)
    x, kernel = np.ones((64, 8, 8, 64), np.float32), np.ones((1, 1, 64, 64), np.float32)
    ops.conv2d(x, kernel)
    start = time.perf_counter()
    for _ in range(10):
        ops.conv2d(x, kernel)
    seconds = (time.perf_counter() - start) / 10
    assert 2 * 64 * 8 * 8 * 64 * 64 / seconds < 1.5 * _core.measure_flops(0.05)  # clocks change


def test_bandwidth_of_a_copy():
    assert 1e8 < _core.measure_bandwidth(1 << 24, 0.05) < 1e13


@pytest.mark.parametrize("seconds", [0, -1, 61, float("nan")])
def test_seconds_must_be_some(seconds):
    with pytest.raises(ValueError, match="seconds must be above 0 and at most 60"):
        _core.measure_flops(seconds)
    with pytest.raises(ValueError, match="seconds must be above 0 and at most 60"):
        _core.measure_bandwidth(1, seconds)


def test_bytes_must_be_some():
    with pytest.raises(ValueError, match="bytes must be at least 1"):
        _core.measure_bandwidth(0, 0.01)
    with pytest.raises(MemoryError):
        _core.measure_bandwidth(1 << 60, 0.01)
