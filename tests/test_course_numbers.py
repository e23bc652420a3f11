"""The worked numbers of the course, by hand: what a student computes on paper is what Konv computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import konv
from konv import ops


def convolve(image: list[list[int]], kernel: list[list[int]], dtype: np.dtype[Any], **options: Any) -> Any:
    """Convolve one plane and return the rows of the result."""
    x, k = np.array(image, dtype), np.array(kernel, dtype)
    return ops.conv2d(x[None, :, :, None], k[:, :, None, None], **options)[0, :, :, 0].tolist()


def test_patch_under_a_filter(isa: str, dtype: np.dtype[Any]) -> None:
    patch = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    kernel = [[0, 2, 3], [2, 4, 1], [0, 3, 0]]
    assert convolve(patch, kernel, dtype) == [[2 + (2 + 4 + 1) + 3]] == [[12]]


def test_binary_image_under_a_cross(isa: str, dtype: np.dtype[Any]) -> None:
    image = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    kernel = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    feature_map = convolve(image, kernel, dtype)
    assert feature_map[0][0] == 4
    assert feature_map == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def test_stride_of_two(isa: str, dtype: np.dtype[Any]) -> None:
    image = [[10 * row + column for column in range(1, 8)] for row in range(8)]
    ones = [[1, 1, 1]] * 3
    feature_map = convolve(image, ones, dtype, strides=2)
    assert feature_map[0][:2] == [108, 126]
    assert feature_map[1][:2] == [288, 306]
    assert feature_map == [[108, 126, 144], [288, 306, 324], [468, 486, 504]]


def test_same_size_with_padding(dtype: np.dtype[Any]) -> None:
    """32x32x3 under ten 5x5 filters, stride 1, pad 2: 32x32x10, as (32 + 2 * 2 - 5) / 1 + 1 = 32."""
    x, kernel = np.ones((1, 32, 32, 3), dtype), np.ones((5, 5, 3, 10), dtype)
    assert ops.conv2d(x, kernel, padding=2).shape == (1, 32, 32, 10)
    assert ops.conv2d_output_shape(x.shape, kernel.shape, padding=2) == (1, 32, 32, 10)
    assert ops.conv2d_output_shape(x.shape, kernel.shape, padding="same") == (1, 32, 32, 10)


def test_number_of_parameters() -> None:
    """Each of the ten filters has 5 * 5 * 3 weights and a bias."""
    model = konv.Sequential([konv.Input((32, 32, 3)), konv.layers.Conv2D(10, 5, padding="same")])
    assert model.output_shape == (None, 32, 32, 10)
    assert model.count_params() == 10 * (5 * 5 * 3 + 1) == 760


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 4), (2, 3), (3, 1), (3, 2), (3, 4), (5, 2)])
def test_dilated_kernel_spans_kernel_plus_gaps(dtype: np.dtype[Any], kernel: int, dilation: int) -> None:
    """A dilated filter spans kernel + (kernel - 1) * (dilation - 1) pixels, as one with zeros in between."""
    span = kernel + (kernel - 1) * (dilation - 1)
    x_shape, kernel_shape = (1, 20, 20, 1), (kernel, kernel, 1, 1)
    size = 20 - span + 1
    assert ops.conv2d_output_shape(x_shape, kernel_shape, dilation_rate=dilation) == (1, size, size, 1)
    x = np.arange(400, dtype=dtype).reshape(x_shape) % 7
    weights = np.arange(1, kernel * kernel + 1, dtype=dtype).reshape(kernel_shape)
    with_gaps = np.zeros((span, span, 1, 1), dtype)
    with_gaps[::dilation, ::dilation] = weights
    np.testing.assert_array_equal(ops.conv2d(x, weights, dilation_rate=dilation), ops.conv2d(x, with_gaps))


def test_size_formula() -> None:
    """(W - F + 2P) / S + 1: a 7x7 input under a 3x3 filter gives 5x5 at stride 1 and 3x3 at stride 2."""
    assert ops.conv2d_output_shape((1, 7, 7, 1), (3, 3, 1, 1)) == (1, 5, 5, 1)
    assert ops.conv2d_output_shape((1, 7, 7, 1), (3, 3, 1, 1), strides=2) == (1, 3, 3, 1)
    assert ops.conv2d_output_shape((1, 227, 227, 3), (11, 11, 3, 96), strides=4) == (1, 55, 55, 96)


def test_pooling_halves_a_feature_map(isa: str, dtype: np.dtype[Any]) -> None:
    image = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
    x = np.array(image, dtype)[None, :, :, None]
    assert ops.max_pool2d(x, 2)[0, :, :, 0].tolist() == [[6, 8], [3, 4]]
    assert ops.avg_pool2d(x, 2)[0, :, :, 0].tolist() == [[3.25, 5.25], [2, 2]]
