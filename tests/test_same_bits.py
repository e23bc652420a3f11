"""The same bits for any number of threads, in every run, in a forked child, for any batch around an image."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from arrays import Array, draw
from cases import (
    CONV_CASES,
    DENSE_CASES,
    NORM_CASES,
    POOL_CASES,
    TRANSPOSE_CASES,
    ConvCase,
    DenseCase,
    NormCase,
    PoolCase,
    TransposeCase,
)
from konv import _core, ops
from tolerance import assert_same_bits

draw_once = lru_cache(maxsize=None)(draw)

LARGE_CASES = (
    ConvCase("large", (3, 40, 41, 32), (3, 3, 32, 33), padding="same"),
    ConvCase("large_strided", (3, 41, 40, 17), (3, 3, 17, 32), strides=2),
    ConvCase("large_first_layer", (4, 56, 56, 3), (3, 3, 3, 32), padding="same"),
    ConvCase("large_pointwise", (3, 30, 30, 64), (1, 1, 64, 64)),
    ConvCase("large_many_channels", (2, 7, 7, 256), (3, 3, 256, 160), padding="same"),
    ConvCase("large_depthwise", (3, 60, 60, 40), (3, 3, 1, 40), padding="same", groups=40),
    TransposeCase("large", (3, 20, 21, 32), (3, 3, 33, 32), strides=2, padding="same"),
    PoolCase("large", (4, 80, 80, 24), 2),
    PoolCase("large_overlapping", (4, 61, 60, 24), 3, 2, 1),
    DenseCase("large", (300, 400), 130),
    NormCase("large", (8, 40, 40, 24)),
)
"""Work enough that every thread gets a share; the kernels may run the tiny cases on one."""

Case = ConvCase | TransposeCase | PoolCase | DenseCase | NormCase
TINY_CASES = (*CONV_CASES, *TRANSPOSE_CASES, *POOL_CASES, *DENSE_CASES, *NORM_CASES)
CASES: tuple[Case, ...] = (*LARGE_CASES, *TINY_CASES)


def title(case: Case) -> str:
    return f"{type(case).__name__}-{case.name}"


def results(case: Case, x: Array) -> tuple[list[Array], list[Array]]:
    """What is computed image by image, and what adds up over images; outputs serve as their own gradients."""

    def drawn(name: str, *shape: int) -> Array:
        return draw_once(f"{title(case)} {name}", shape, x.dtype)

    if isinstance(case, ConvCase):
        kernel, bias = drawn("kernel", *case.kernel), drawn("bias", case.kernel[3])
        y = ops.conv2d(x, kernel, bias, **case.options)
        grad_x, *grads = ops.conv2d_backward(y, x, kernel, **case.options)
        return [y, grad_x], grads
    if isinstance(case, TransposeCase):
        kernel, bias = drawn("kernel", *case.kernel), drawn("bias", case.kernel[2] * case.groups)
        y = ops.conv2d_transpose(x, kernel, bias, **case.options)
        grad_x, *grads = ops.conv2d_transpose_backward(y, x, kernel, **case.options)
        return [y, grad_x], grads
    if isinstance(case, PoolCase):
        size, options = case.pool_size, case.options
        y, argmax = ops.max_pool2d_with_argmax(x, size, **options)
        mean, total = ops.avg_pool2d(x, size, **options), ops.sum_pool2d(x, size, **options)
        grads = [
            ops.max_pool2d_backward(mean, argmax, x.shape, size, **options),
            ops.avg_pool2d_backward(mean, x.shape, size, **options),
            ops.sum_pool2d_backward(mean, x.shape, size, **options),
        ]
        return [y, argmax, mean, total, *grads], []
    if isinstance(case, DenseCase):
        kernel, bias = drawn("kernel", case.x[-1], case.units), drawn("bias", case.units)
        y = ops.dense(x, kernel, bias)
        grad_x, *grads = ops.dense_backward(y, x, kernel)
        return [y, grad_x], grads
    gamma, beta, mean = (drawn(name, case.x[-1]) for name in ("gamma", "beta", "mean"))
    y = ops.batch_norm(x, gamma, beta, mean, np.abs(gamma))
    grad_x, *grads = ops.batch_norm_backward(y, x, gamma, mean, np.abs(gamma), training=False)
    training = ops.batch_norm_train(x, gamma, beta)
    training_grads = ops.batch_norm_backward(y, x, gamma, *training[1:])
    return [y, grad_x, ops.relu(x), ops.relu_backward(y, x)], [*grads, *training, *training_grads]


def digests(dtype: np.dtype[Any]) -> dict[str, list[str]]:
    """A digest of every result of every case."""
    found = {}
    for case in CASES:
        by_image, over_batch = results(case, draw_once(title(case), case.x, dtype))
        found[title(case)] = [hashlib.blake2b(r.tobytes()).hexdigest() for r in by_image + over_batch]
    return found


def test_threads_do_not_change_a_bit(
    isa: str, dtype: np.dtype[Any], set_threads: Callable[[int], None]
) -> None:
    set_threads(1)
    expected = digests(dtype)
    for threads in (2, 3, 4):
        set_threads(threads)
        assert digests(dtype) == expected, f"{threads} threads"


def test_runs_do_not_differ(isa: str, dtype: np.dtype[Any]) -> None:
    expected = digests(dtype)
    _core.clear_cache()
    assert digests(dtype) == expected
    assert digests(dtype) == expected


def test_concurrent_calls_do_not_differ(
    isa: str, dtype: np.dtype[Any], set_threads: Callable[[int], None]
) -> None:
    set_threads(2)
    expected = digests(dtype)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(digests, [dtype] * 8):
            assert found == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_does_not_differ(
    isa: str, dtype: np.dtype[Any], set_threads: Callable[[int], None]
) -> None:
    set_threads(4)
    expected = digests(dtype)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a threaded process forks
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, hashlib.blake2b(json.dumps(digests(dtype)).encode()).digest())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        answered, _, _ = select.select([reading], [], [], 120)
        if not answered:
            os.kill(child, signal.SIGKILL)
        assert answered, "the forked child hangs"
        assert os.read(reading, 64) == hashlib.blake2b(json.dumps(expected).encode()).digest()
    finally:
        os.close(reading)
        os.waitpid(child, 0)


@pytest.mark.parametrize("case", [case for case in CASES if len(case.x) > 1], ids=title)
def test_an_image_does_not_depend_on_its_batch(isa: str, dtype: np.dtype[Any], case: Case) -> None:
    """Forward and gradient of x: images of a batch of five, alone and in pairs, at other places in memory."""
    x = draw_once(f"{title(case)} five", (5, *case.x[1:]), dtype)
    batch, _ = results(case, x)
    for first, end in ((0, 1), (1, 2), (4, 5), (1, 3)):
        alone, _ = results(case, x[first:end])
        for result, whole in zip(alone, batch, strict=True):
            assert_same_bits(result, whole[first:end])
