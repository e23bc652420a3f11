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


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(("read", "written"), [(1, 1), (16, 5), (5, 16), (1, 1000)])
def test_bandwidth_of_a_mix(read, written):
    assert 1e8 < _core.measure_bandwidth(read << 14, written << 14, 0.01) < 1e13


@pytest.mark.parametrize("seconds", [0, -1, 61, float("nan")])
def test_seconds_must_be_some(seconds):
    with pytest.raises(ValueError, match="seconds must be above 0 and at most 60"):
        _core.measure_flops(seconds)
    with pytest.raises(ValueError, match="seconds must be above 0 and at most 60"):
        _core.measure_bandwidth(1, 1, seconds)


def test_bytes_must_be_some():
    for read, written in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError, match="the bytes read and the bytes written must be at least 1"):
            _core.measure_bandwidth(read, written, 0.01)
    for read, written in ((1 << 60, 1), (1, 1 << 62), ((1 << 63) - 1, 1)):
        with pytest.raises(MemoryError):
            _core.measure_bandwidth(read, written, 0.01)
