"""Depthwise convolutions of images that are cut into bands, of results that kernels write past the caches,
and of pixels that aren't finite."""

from __future__ import annotations

import numpy as np
import pytest

from arrays import draw, draw_integers
from konv import ops
from tolerance import assert_same_bits

OPTIONS = {"strides": 1, "padding": "same", "groups": 32}


def test_streamed_results_are_those_of_single_images(isa: str) -> None:
    x = draw("x", (3, 300, 299, 32), np.dtype(np.float32))  # 11 MiB an image: only the batch is streamed
    kernel, bias = (
        draw(name, shape, x.dtype) for name, shape in (("kernel", (3, 3, 1, 32)), ("bias", (32,)))
    )
    y = ops.conv2d(x, kernel, bias, activation="relu", **OPTIONS)
    grad_x = ops.conv2d_backward(x, x, kernel, needs=("x",), **OPTIONS)[0]
    for i in range(len(x)):
        one = x[i : i + 1]
        assert_same_bits(y[i : i + 1], ops.conv2d(one, kernel, bias, activation="relu", **OPTIONS))
        expected = ops.conv2d_backward(one, one, kernel, needs=("x",), **OPTIONS)[0]
        assert_same_bits(grad_x[i : i + 1], expected)


@pytest.mark.parametrize("strides", [1, 2])
def test_bands_make_the_whole_image(isa: str, strides: int) -> None:
    # 538 KiB an image: bands of rows in every pass. Sums of small integers are exact in any order.
    options = {"strides": strides, "padding": 1, "groups": 48}
    x = draw_integers("x", (2, 70, 41, 48), np.dtype(np.float32))
    kernel, bias = (
        draw_integers(name, shape, x.dtype) for name, shape in (("kernel", (3, 3, 1, 48)), ("bias", (48,)))
    )
    y = ops.conv2d(x, kernel, bias, **options)
    np.testing.assert_array_equal(y, ops.conv2d(x, kernel, bias, algorithm="reference", **options))
    grad = draw_integers("grad", y.shape, x.dtype)
    expected = ops.conv2d_backward(grad, x, kernel, algorithm="reference", **options)
    for found, wanted in zip(ops.conv2d_backward(grad, x, kernel, **options), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("channels", "filters"), [(1, 1), (1, 3), (3, 3)], ids=str)  # of a group
@pytest.mark.parametrize("strides", [1, 2])
def test_dilated_taps_at_the_edge(isa: str, strides: int, channels: int, filters: int) -> None:
    # The first row lacks a tap, and so its first pixel lies behind that of the second row; the last row, too.
    options = {"strides": strides, "padding": 1, "dilation_rate": 3, "groups": 32}
    x = draw_integers("x", (1, 15, 15, 32 * channels), np.dtype(np.float32))
    kernel = draw_integers("kernel", (3, 3, channels, 32 * filters), x.dtype)
    y = ops.conv2d(x, kernel, **options)
    np.testing.assert_array_equal(y, ops.conv2d(x, kernel, algorithm="reference", **options))
    expected = ops.conv2d_backward(y, x, kernel, algorithm="reference", **options)
    for found, wanted in zip(ops.conv2d_backward(y, x, kernel, **options), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("corner", [0, -1])
def test_an_infinite_pixel_spoils_only_the_taps_that_read_it(isa: str, strides: int, corner: int) -> None:
    options = {"strides": strides, "padding": 1, "groups": 16, "needs": ("kernel",)}
    x = draw("x", (1, 15, 15, 16), np.dtype(np.float32))
    x[0, corner, corner] = np.inf
    y_size = -(-15 // strides)
    grad = draw("grad", (1, y_size, y_size, 16), x.dtype)
    kernel = np.zeros((3, 3, 1, 16), np.float32)
    found = ops.conv2d_backward(grad, x, kernel, **options)[1]
    expected = ops.conv2d_backward(grad, x, kernel, algorithm="reference", **options)[1]
    assert not np.isfinite(expected).all()
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
