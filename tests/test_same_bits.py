"""The same bits for any number of threads, in every run and process, for any batch around an image.

With every algorithm: the environment variable KONV_ALGORITHM steers all passes, and leaves a pass to "auto"
where the algorithm can't do it.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import konv
import winograd
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
    pick,
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
    ConvCase("large_ragged", (2, 21, 26, 72), (3, 3, 72, 65), padding=((2, 0), (0, 1))),
    ConvCase("large_5x5", (2, 19, 21, 24), (5, 5, 24, 40), padding="same"),
    ConvCase("large_grouped", (3, 19, 22, 40), (3, 3, 10, 60), padding="same", groups=4),
    # Few tiles, so that threads share out the filters of a group.
    ConvCase("groups_of_many_filters", (1, 8, 8, 32), (3, 3, 16, 1040), padding="same", groups=2),
    ConvCase("groups_of_many_filters_strided", (1, 9, 9, 32), (3, 3, 16, 1040), strides=2, groups=2),
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


def winograd_can_do(case: Case) -> bool:
    return isinstance(case, ConvCase | TransposeCase) and winograd.can_do(case)


CASES_OF: dict[str, tuple[Case, ...]] = {
    "auto": CASES,
    "winograd": tuple(filter(winograd_can_do, CASES)),
    "direct": tuple(filter(winograd_can_do, CASES)),  # where "auto" may take another
    "reference": tuple(pick(CONV_CASES, "dilated_strided", "grouped_tail", "same_asymmetric")),
}


@pytest.fixture(params=CASES_OF)
def algorithm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with each algorithm."""
    monkeypatch.setenv("KONV_ALGORITHM", request.param)
    name: str = request.param
    return name


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


def digests(dtype: np.dtype[Any], algorithm: str = "auto") -> dict[str, list[str]]:
    """A digest of every result of every case; the algorithm is already steered to."""
    found = {}
    for case in CASES_OF[algorithm]:
        by_image, over_batch = results(case, draw_once(title(case), case.x, dtype))
        found[title(case)] = [hashlib.blake2b(r.tobytes()).hexdigest() for r in by_image + over_batch]
    return found


def test_threads_do_not_change_a_bit(
    isa: str, dtype: np.dtype[Any], algorithm: str, set_threads: Callable[[int], None]
) -> None:
    set_threads(1)
    expected = digests(dtype, algorithm)
    for threads in (2, 3, 4):
        set_threads(threads)
        assert digests(dtype, algorithm) == expected, f"{threads} threads"


def test_runs_do_not_differ(isa: str, dtype: np.dtype[Any], algorithm: str) -> None:
    expected = digests(dtype, algorithm)
    _core.clear_cache()
    assert digests(dtype, algorithm) == expected
    assert digests(dtype, algorithm) == expected


@pytest.mark.parametrize("most_threads", ["2", "100"])
def test_new_processes_do_not_differ(isa: str, dtype: np.dtype[Any], most_threads: str) -> None:
    """Other addresses, another number of threads, and an ISA that is chosen at import. OpenMP may give fewer
    threads than are asked for.
    """
    code = (
        f"import json, numpy, test_same_bits as t; print(json.dumps(t.digests(numpy.dtype({dtype.name!r}))))"
    )
    paths = [str(Path(__file__).parent), str(Path(_core.__file__).parents[1]), *sys.path]
    environment = {
        "PYTHONPATH": os.pathsep.join(paths),
        "KONV_ISA": isa,
        "KONV_NUM_THREADS": "3",
        "OMP_THREAD_LIMIT": most_threads,
    }
    printed = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **environment})
    assert json.loads(printed) == digests(dtype)


def test_concurrent_calls_do_not_differ(
    isa: str, dtype: np.dtype[Any], algorithm: str, set_threads: Callable[[int], None]
) -> None:
    set_threads(2)
    expected = digests(dtype, algorithm)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(digests, [dtype] * 4, [algorithm] * 4):
            assert found == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_does_not_differ(
    isa: str, dtype: np.dtype[Any], algorithm: str, set_threads: Callable[[int], None]
) -> None:
    set_threads(4)
    expected = digests(dtype, algorithm)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a threaded process forks
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, hashlib.blake2b(json.dumps(digests(dtype, algorithm)).encode()).digest())
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


def test_an_image_does_not_depend_on_its_batch(
    isa: str, dtype: np.dtype[Any], algorithm: str, set_threads: Callable[[int], None]
) -> None:
    """Forward and gradient of x: images of a batch of five, alone and in groups, at other places in memory.

    On more threads than the batch, whose images are work enough for one each.
    """
    for case in CASES_OF[algorithm]:
        if len(case.x) == 1:
            continue
        x = draw_once(f"{title(case)} five", (5, *case.x[1:]), dtype)
        set_threads(1)
        batch, _ = results(case, x)
        set_threads(3)
        for first, end in ((0, 1), (1, 2), (4, 5), (1, 3), (2, 5)):
            alone, _ = results(case, x[first:end])
            for result, whole in zip(alone, batch, strict=True):
                assert_same_bits(result, whole[first:end], f"{title(case)}, images {first} to {end}")


def test_a_kernel_packed_late_changes_no_bit(isa: str, set_threads: Callable[[int], None]) -> None:
    """A 1x1 convolution packs its kernel task by task, some filters at a time, where one or two blocks hold
    all pixels: for one or two images of 160, not for three, nor if prepared. Its 512 channels of float64 are
    two blocks, whose sums meet in the result.
    """
    set_threads(2)
    float64 = np.dtype("float64")
    x = draw_once("packed late x", (3, 10, 16, 512), float64)
    kernel = draw_once("packed late kernel", (1, 1, 512, 200), float64)
    bias = draw_once("packed late bias", (200,), float64)
    prepared = _core.prepare_conv2d(kernel, (10, 16, 512), (1, 1), "valid", (1, 1), 1, "auto")
    batch = ops.conv2d(x, kernel, bias)
    for first, end in ((0, 1), (1, 2), (0, 2), (1, 3), (0, 3)):
        images, whole, where = x[first:end], batch[first:end], f"images {first} to {end}"
        assert_same_bits(ops.conv2d(images, kernel, bias), whole, where)
        assert_same_bits(
            _core.apply_prepared(images, prepared, bias, False, None), whole, f"{where}, prepared"
        )


def test_predictions_of_an_image_do_not_depend_on_its_batch(
    isa: str, set_threads: Callable[[int], None]
) -> None:
    """Through layers that are fused, with kernels that were prepared for another number of images."""
    layers = konv.layers
    model = konv.Sequential(
        [
            konv.Input((18, 17, 3)),
            layers.Conv2D(20, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(33, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(24, 5, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    x = draw_once("predict", (5, 18, 17, 3), np.dtype("float32"))
    set_threads(1)
    batch = model.predict(x, batch_size=5, verbose=0)
    for threads in (1, 2, 4):
        set_threads(threads)
        for size in (1, 2, 3):
            assert_same_bits(model.predict(x, batch_size=size, verbose=0), batch, f"{threads} threads")
