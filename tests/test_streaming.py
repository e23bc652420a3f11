"""Results too large for any cache are streamed, written past the caches: to the same bits as others.

Each op gives a result of a bit more than is kept (`csrc/cpu/streaming.hpp`) from inputs at addresses that no
vector has, and must give what it gives for smaller parts alone, which aren't streamed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from arrays import Array, draw
from cases import ConvCase, each
from konv import _core, ops
from konv.activations import softmax
from konv.losses import CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from reference import Shape
from tolerance import assert_same_bits

STREAMED = 24 << 20
"""Bytes of the largest result that isn't streamed."""

STREAMED_BY_TILE = 4 << 20
"""The same for the tile of direct convolution."""


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
        lambda part: _core.silu(x[part]),
        lambda part: _core.silu_backward(grad[part], x[part]),
        lambda part: _core.dropout(x[part], 3, part.start or 0, 0.5),
    ]
    middle = x.size // 2
    for op in ops_of_parts:
        parts = [op(slice(0, middle)), op(slice(middle, None))]
        assert_same_bits(op(slice(None)), np.concatenate(parts))


@pytest.mark.parametrize("classes", [21, 64])
def test_softmax(isa: str, dtype: np.dtype[Any], classes: int) -> None:
    """Rows of 21 are aligned to no vector, and labels are subtracted behind rows of 64 that are streamed."""
    rows = STREAMED // (classes * dtype.itemsize) + 3
    z = large(5, rows * classes - STREAMED // dtype.itemsize, dtype).reshape(rows, classes)
    last = slice(-3, None)
    assert_same_bits(softmax(z)[last], softmax(z[last]))
    labels = np.arange(rows) % classes
    one_hot = np.eye(classes, dtype=dtype)[labels]
    losses: list[tuple[Loss, Array]] = [
        (SparseCategoricalCrossentropy(from_logits=True), labels),
        (CategoricalCrossentropy(from_logits=True), one_hot),
    ]
    for loss, targets in losses:
        _, gradient = loss.per_sample(targets, z)
        _, alone = loss.per_sample(targets[last], z[last])
        assert_same_bits(gradient(0.5)[last], alone(0.5))


def check_images_alone(case: ConvCase, dtype: np.dtype[Any], streamed: int) -> None:
    """Compare two images, streamed, with each alone, which isn't; `case` has images of float32."""
    if dtype == np.float64:
        case = replace(case, x=(2, case.x[1] // 2, *case.x[2:]))
    x, kernel = draw("x", case.x, dtype), draw("kernel", case.kernel, dtype)
    bias = draw("bias", case.kernel[3:], dtype)
    options = {**case.options, "algorithm": "direct"}

    def both(part: slice) -> tuple[Array, Array]:
        y = ops.conv2d(x[part], kernel, bias, **options, activation="relu")
        return y, ops.conv2d_backward(y, x[part], kernel, **options, needs=("x",))[0]

    whole = both(slice(None))
    larger = max(result.nbytes for result in whole)
    assert larger // 2 <= streamed < larger
    for result, first, second in zip(whole, both(slice(0, 1)), both(slice(1, 2)), strict=True):
        assert_same_bits(result, np.concatenate([first, second]))


@each(
    (
        ConvCase("pointwise", (2, 48, 48, 16), (1, 1, 16, 256)),
        ConvCase("pointwise_gradient", (2, 48, 48, 256), (1, 1, 256, 16)),
        ConvCase("strided", (2, 96, 96, 4), (2, 2, 4, 256), strides=2),
        ConvCase("strided_gradient", (2, 48, 48, 256), (3, 3, 256, 16), strides=2, padding="same"),
        ConvCase("few_channels", (2, 49, 48, 3), (3, 3, 3, 256), padding="same"),
        ConvCase("blocks_of_channels", (2, 49, 48, 256), (3, 3, 256, 16), padding="same"),
        ConvCase("tail_of_filters", (2, 49, 48, 3), (3, 3, 3, 240), padding="same"),
    )
)
def test_direct_convolutions(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    check_images_alone(case, dtype, STREAMED_BY_TILE)


def test_depthwise_convolutions(isa: str, dtype: np.dtype[Any]) -> None:
    case = ConvCase("depthwise", (2, 225, 224, 64), (3, 3, 1, 64), padding="same", groups=64)
    check_images_alone(case, dtype, STREAMED)


@pytest.mark.parametrize(
    ("algorithm", "size", "streamed"),
    [("direct", (49, 48), STREAMED_BY_TILE), ("winograd", (113, 112), STREAMED)],
)
def test_sums_with_convolutions(isa: str, algorithm: str, size: tuple[int, int], streamed: int) -> None:
    """An image alone is not streamed."""
    x, kernel = draw("x", (2, *size, 16), "float32"), draw("kernel", (3, 3, 16, 256), "float32")
    addend = draw("addend", (2, *size, 256), "float32")
    prepared = _core.prepare_conv2d(kernel, x.shape[1:], (1, 1), "same", (1, 1), 1, algorithm)
    whole = _core.apply_prepared(x, prepared, None, True, addend)
    assert whole.nbytes // 2 <= streamed < whole.nbytes
    parts = [_core.apply_prepared(x[i : i + 1], prepared, None, True, addend[i : i + 1]) for i in range(2)]
    assert_same_bits(whole, np.concatenate(parts))


@pytest.mark.parametrize("channels", [16, 21, 64])
def test_pooling(isa: str, dtype: np.dtype[Any], channels: int) -> None:
    shape: Shape = (STREAMED // (16 * channels * dtype.itemsize) + 3, 4, 4, channels)
    x = large(3, shape[0] * 16 * channels - STREAMED // dtype.itemsize, dtype).reshape(shape)
    last = slice(-2, None)
    for size, strides, padding in ((1, 1, 0), (3, 1, 1)):  # results of the size of x
        options: dict[str, Any] = {"strides": strides, "padding": padding}
        y, argmax = ops.max_pool2d_with_argmax(x, size, **options)
        for whole, alone in zip(
            (y, argmax), ops.max_pool2d_with_argmax(x[last], size, **options), strict=True
        ):
            assert_same_bits(whole[last], alone)
        assert_same_bits(ops.avg_pool2d(x, size, **options)[last], ops.avg_pool2d(x[last], size, **options))
        grads = ops.max_pool2d_backward(y, argmax, shape, size, **options)
        alone = ops.max_pool2d_backward(y[last], argmax[last], x[last].shape, size, **options)
        assert_same_bits(grads[last], alone)
        grads = ops.avg_pool2d_backward(y, shape, size, **options)
        assert_same_bits(grads[last], ops.avg_pool2d_backward(y[last], x[last].shape, size, **options))
    grad = np.ascontiguousarray(x[:, ::2, ::2])  # side by side
    _, argmax = ops.max_pool2d_with_argmax(x, 2)
    whole = ops.max_pool2d_backward(grad, argmax, shape, 2)
    assert_same_bits(whole[last], ops.max_pool2d_backward(grad[last], argmax[last], x[last].shape, 2))
    whole = ops.avg_pool2d_backward(grad, shape, 2)
    assert_same_bits(whole[last], ops.avg_pool2d_backward(grad[last], x[last].shape, 2))


@pytest.mark.parametrize("channels", [16, 21])
def test_batch_normalization(isa: str, dtype: np.dtype[Any], channels: int) -> None:
    """Its blocks of rows are cut by the shape, so parts can't be compared: formulas are."""
    rows = STREAMED // (channels * dtype.itemsize) + 3
    x = large(4, rows * channels - STREAMED // dtype.itemsize, dtype).reshape(rows, channels)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    last = slice(-2, None)
    y = ops.batch_norm(x, None, None, mean, variance)
    assert_same_bits(y[last], ops.batch_norm(x[last], None, None, mean, variance))
    options: dict[str, Any] = {"training": False, "activation": "relu"}
    whole = ops.batch_norm_backward(x, x, None, mean, variance, y=y, **options)[0]
    alone = ops.batch_norm_backward(x[last], x[last], None, mean, variance, y=y[last], **options)[0]
    assert_same_bits(whole[last], alone)
    trained, own_mean, own_variance = ops.batch_norm_train(x, None, None, activation="relu")
    assert_same_bits(trained, ops.batch_norm(x, None, None, own_mean, own_variance, activation="relu"))
