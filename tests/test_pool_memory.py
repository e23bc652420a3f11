"""What the pool of buffers holds: its peak, and that calls leave nothing behind."""

from __future__ import annotations

import numpy as np

from konv import _core, ops


def test_the_peak_is_the_most_in_use_at_once() -> None:
    x = np.ones(1 << 20, np.float32)
    _core.reset_pool_peak()
    before = _core.pool_info()["bytes_in_use"]
    assert _core.pool_info()["bytes_peak"] == before
    first, second = ops.relu(x), ops.relu(x)
    both = _core.pool_info()["bytes_in_use"]
    assert both >= before + first.nbytes + second.nbytes
    del first, second
    third = ops.relu(x)
    assert _core.pool_info()["bytes_in_use"] < both
    assert _core.pool_info()["bytes_peak"] == both
    _core.reset_pool_peak()
    assert _core.pool_info()["bytes_peak"] == _core.pool_info()["bytes_in_use"] >= third.nbytes


def test_thousands_of_calls_hold_no_more_than_one() -> None:
    x = np.ones((2, 12, 12, 8), np.float32)

    def calls() -> None:
        y, mean, variance = ops.batch_norm_train(x, None, None)
        pooled, argmax = ops.max_pool2d_with_argmax(y, 2)
        grad = ops.max_pool2d_backward(pooled, argmax, x.shape, 2)
        ops.batch_norm_backward(_core.add(grad, y, True), x, None, mean, variance)

    calls()
    before = _core.pool_info()
    _core.reset_pool_peak()
    calls()
    peak = _core.pool_info()["bytes_peak"]
    for _ in range(3000):
        calls()
    after = _core.pool_info()
    assert after["bytes_peak"] == peak
    assert (after["bytes_in_use"], after["bytes_cached"]) == (before["bytes_in_use"], before["bytes_cached"])
