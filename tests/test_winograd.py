"""Winograd's convolution, forward and gradient of x, against the reference, on every ISA.

Its transforms divide by 4, 6 and 24 along each axis. With small integers for x and 576 times small integers
for the kernel every number on the way is an integer below 2^24, so the right result is exact: one wrong or
lost term of thousands shows. On other numbers the error is bounded for the whole array.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from arrays import Array, draw, draw_integers, with_non_finite
from cases import CHANNEL_TAILS, ConvCase, TransposeCase, each
from konv import _core, ops
from konv._arguments import pads, pair
from tolerance import assert_same_bits
from winograd import normwise_bound

FLOAT32 = np.dtype("float32")
conv2d = partial(ops.conv2d, algorithm="winograd")

CASES = (
    ConvCase("one_tile", (2, 6, 6, 4), (3, 3, 4, 8)),
    ConvCase("one_tile_4x4", (2, 6, 6, 4), (4, 4, 4, 8)),
    ConvCase("one_tile_5x5", (2, 6, 6, 4), (5, 5, 4, 8)),
    ConvCase("whole_tiles", (2, 12, 8, 5), (3, 3, 5, 7), padding="same"),
    ConvCase("ragged_tiles", (2, 11, 13, 5), (3, 3, 5, 7), padding="same"),
    ConvCase("ragged_tiles_4x4", (2, 10, 14, 5), (4, 4, 5, 7), padding="same"),
    ConvCase("ragged_tiles_5x5", (2, 9, 12, 5), (5, 5, 5, 7), padding="same"),
    ConvCase("one_pixel", (2, 1, 1, 5), (3, 3, 5, 6), padding="same"),
    ConvCase("one_pixel_4x4", (2, 1, 1, 5), (4, 4, 5, 6), padding="same"),
    ConvCase("one_pixel_5x5", (2, 1, 1, 5), (5, 5, 5, 6), padding="same"),
    ConvCase("one_output", (2, 3, 3, 5), (3, 3, 5, 6)),
    ConvCase("one_output_4x4", (2, 4, 4, 5), (4, 4, 5, 6)),
    ConvCase("one_output_5x5", (2, 5, 5, 5), (5, 5, 5, 6)),
    ConvCase("one_row", (2, 1, 9, 4), (3, 3, 4, 5), padding="same"),
    ConvCase("two_columns_5x5", (2, 9, 2, 4), (5, 5, 4, 5), padding="same"),
    ConvCase("three_columns_5x5", (2, 8, 3, 4), (5, 5, 4, 5), padding=2),
    ConvCase("padded_asymmetric", (2, 5, 6, 4), (3, 3, 4, 5), padding=((2, 0), (1, 3))),
    ConvCase("padded_asymmetric_4x4", (2, 5, 7, 4), (4, 4, 4, 5), padding=((0, 3), (4, 1))),
    ConvCase("padded_asymmetric_5x5", (2, 5, 8, 4), (5, 5, 4, 5), padding=((0, 3), (4, 1))),
    ConvCase("padding_beyond_kernel", (2, 3, 2, 4), (3, 3, 4, 5), padding=((4, 3), (5, 2))),
    ConvCase("padding_beyond_tile_5x5", (2, 3, 2, 4), (5, 5, 4, 5), padding=((8, 7), (6, 9))),
    ConvCase("empty_batch", (0, 5, 6, 3), (3, 3, 3, 4), padding="same"),
    ConvCase("many_images", (37, 3, 4, 5), (3, 3, 5, 7), padding="same"),
    # "valid" on small images: the gradient of x has fewer tiles as the adjoint of the forward pass.
    ConvCase("adjoint", (5, 10, 10, 6), (3, 3, 6, 9)),
    ConvCase("adjoint_ragged", (3, 9, 7, 6), (3, 3, 6, 9)),
    ConvCase("adjoint_4x4", (5, 9, 8, 6), (4, 4, 6, 9)),
    ConvCase("adjoint_many_images_4x4", (40, 6, 6, 5), (4, 4, 5, 34)),
    ConvCase("adjoint_5x5", (5, 10, 8, 6), (5, 5, 6, 9)),
    ConvCase("adjoint_many_images", (40, 6, 6, 5), (3, 3, 5, 34)),
    ConvCase("adjoint_many_tiles", (2, 34, 26, 5), (3, 3, 5, 6)),
    ConvCase("adjoint_padded", (3, 11, 7, 6), (3, 3, 6, 9), padding=((0, 1), (0, 0))),
    ConvCase("blocks_of_tiles", (3, 25, 30, 6), (3, 3, 6, 7), padding="same"),
    ConvCase("grouped", (2, 7, 6, 34), (3, 3, 17, 38), padding="same", groups=2),
    ConvCase("grouped_adjoint", (2, 10, 10, 6), (3, 3, 2, 9), groups=3),
    ConvCase("depthwise", (2, 7, 8, 5), (3, 3, 1, 5), padding="same", groups=5),
    ConvCase("block_of_channels", (1, 6, 6, 512), (3, 3, 512, 5)),
    ConvCase("blocks_of_channels", (1, 6, 6, 530), (3, 3, 530, 70)),
    ConvCase("blocks_of_filters", (2, 9, 8, 10), (3, 3, 10, 530)),
    ConvCase("strided_tile", (2, 9, 9, 4), (3, 3, 4, 8), strides=2),
    ConvCase("strided_same", (2, 16, 24, 5), (3, 3, 5, 7), strides=2, padding="same"),
    ConvCase("strided_padded", (3, 15, 14, 6), (3, 3, 6, 9), strides=2, padding=1),
    ConvCase("strided_ragged", (2, 11, 26, 5), (3, 3, 5, 7), strides=2, padding="same"),
    ConvCase("strided_asymmetric", (2, 6, 7, 4), (3, 3, 4, 5), strides=2, padding=((2, 0), (1, 3))),
    ConvCase("strided_far", (2, 3, 2, 4), (3, 3, 4, 5), strides=2, padding=((4, 3), (5, 2))),
    ConvCase("strided_one_pixel", (2, 1, 1, 5), (3, 3, 5, 6), strides=2, padding="same"),
    ConvCase("strided_one_output", (2, 4, 3, 5), (3, 3, 5, 6), strides=2),
    ConvCase("strided_one_row", (2, 1, 9, 4), (3, 3, 4, 5), strides=2, padding="same"),
    ConvCase("strided_empty_batch", (0, 5, 6, 3), (3, 3, 3, 4), strides=2, padding="same"),
    ConvCase("strided_many_images", (37, 5, 8, 5), (3, 3, 5, 7), strides=2, padding="same"),
    ConvCase("strided_grouped", (2, 13, 12, 34), (3, 3, 17, 38), strides=2, padding=1, groups=2),
    ConvCase("strided_blocks", (2, 11, 13, 130), (3, 3, 130, 200), strides=2, padding=1),
    *(ConvCase(f"strided_{c}_to_{k}", (2, 7, 8, c), (3, 3, c, k), strides=2) for c, k in CHANNEL_TAILS),
    # Over blocks of as many pixels as the strides, which pixels outside of the image fill up, and taps.
    ConvCase("blocked_tile", (2, 24, 24, 3), (11, 11, 3, 8), strides=4),
    ConvCase("blocked_11x11", (2, 31, 38, 3), (11, 11, 3, 7), strides=4, padding=2),
    ConvCase("blocked_7x7", (2, 19, 26, 3), (7, 7, 3, 7), strides=2, padding=3),
    ConvCase("blocked_padding_alone", (2, 1, 1, 2), (9, 9, 2, 3), strides=3, padding=((13, 0), (13, 0))),
    ConvCase("blocked_10x10", (2, 19, 26, 3), (10, 10, 3, 7), strides=2, padding=4),
    ConvCase("blocked_same", (2, 16, 25, 5), (5, 5, 5, 7), strides=2, padding="same"),
    ConvCase("blocked_whole", (2, 18, 22, 4), (6, 6, 4, 5), strides=2),
    ConvCase("blocked_asymmetric", (2, 15, 16, 4), (9, 9, 4, 5), strides=3, padding=((0, 3), (4, 1))),
    ConvCase("blocked_far", (2, 3, 2, 4), (5, 5, 4, 5), strides=2, padding=((9, 8), (7, 6))),
    ConvCase("blocked_padding_alone", (2, 1, 1, 4), (5, 5, 4, 5), strides=2, padding=((7, 0), (0, 6))),
    ConvCase("blocked_one_pixel", (2, 1, 1, 5), (5, 5, 5, 6), strides=2, padding="same"),
    ConvCase("blocked_one_output", (2, 7, 8, 3), (7, 7, 3, 6), strides=2),
    ConvCase("blocked_ends_early", (2, 17, 18, 4), (7, 7, 4, 5), strides=3),
    ConvCase("blocked_unequal", (2, 15, 20, 3), (7, 11, 3, 5), strides=(2, 3), padding=1),
    ConvCase("blocked_columns", (2, 9, 20, 17), (3, 9, 17, 5), strides=(1, 3), padding=1),
    ConvCase("blocked_rows", (2, 20, 9, 5), (9, 3, 5, 5), strides=(3, 1), padding=2),
    ConvCase("blocked_empty_batch", (0, 9, 9, 3), (5, 5, 3, 4), strides=2, padding="same"),
    ConvCase("blocked_many_images", (37, 7, 9, 5), (5, 5, 5, 7), strides=2, padding="same"),
    ConvCase("blocked_blocks_of_channels", (1, 9, 8, 130), (5, 5, 130, 70), strides=2, padding=1),
    *(ConvCase(f"blocked_{c}_to_{k}", (2, 9, 11, c), (5, 5, c, k), strides=2) for c, k in CHANNEL_TAILS),
    # Kernels beyond 24 MiB once transformed, taken panel by panel: in several rounds of tiles, and with
    # rounds of several chunks where there are fewer panels than threads.
    ConvCase("panels", (26, 5, 5, 130), (3, 3, 130, 1350), padding="same"),
    ConvCase("panels_4x4", (2, 4, 5, 418), (4, 4, 418, 420), padding="same"),
    ConvCase("panels_5x5", (2, 4, 5, 418), (5, 5, 418, 420), padding="same"),
    ConvCase("panels_grouped", (1, 5, 3, 840), (3, 3, 420, 840), padding="same", groups=2),
    ConvCase("few_panels", (4, 14, 10, 2750), (3, 3, 2750, 64), padding="same"),
    ConvCase("few_panels_adjoint", (45, 6, 6, 64), (3, 3, 64, 2750)),
    *(ConvCase(f"channels_{c}_to_{k}", (2, 5, 4, c), (3, 3, c, k), padding="same") for c, k in CHANNEL_TAILS),
    *(ConvCase(f"adjoint_{c}_to_{k}", (2, 10, 6, c), (3, 3, c, k)) for c, k in CHANNEL_TAILS),
)
every_case = each(CASES)


def gradient_of_x(case: ConvCase, grad: Array, kernel: Array, images: int) -> Array:
    x = np.zeros((images, *case.x[1:]), grad.dtype)
    options = {**case.options, "algorithm": "winograd", "needs": ("x",)}
    return ops.conv2d_backward(grad, x, kernel, **options)[0]


@cache
def integers(case: ConvCase) -> tuple[Array, Array, Array, Array]:
    """x, kernel, bias, gradient of y: numbers on which Winograd is exact."""
    y_shape = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    x, grad = (np.sign(draw_integers(f"{case.name} {shape}", shape, FLOAT32)) for shape in (case.x, y_shape))
    kernel = 576 * np.sign(draw_integers(f"{case.name} kernel", case.kernel, FLOAT32))
    return x, kernel, draw_integers(f"{case.name} bias", case.kernel[3:], FLOAT32), grad


@cache
def exact(case: ConvCase) -> tuple[Array, Array]:
    """The output, and the gradient of x."""
    x, kernel, bias, grad = integers(case)
    grad_x, _, _ = reference.conv2d_backward(grad, x, kernel, **case.options)
    return reference.conv2d(x, kernel, bias, **case.options), grad_x


@every_case
def test_forward_is_exact_on_integers(isa: str, case: ConvCase) -> None:
    x, kernel, bias, _ = integers(case)
    y = conv2d(x, kernel, bias, **case.options)
    assert y.dtype == FLOAT32
    np.testing.assert_array_equal(y, exact(case)[0])
    np.testing.assert_array_equal(conv2d(x, kernel, **case.options), exact(case)[0] - bias)


@every_case
def test_gradient_of_x_is_exact_on_integers(isa: str, case: ConvCase) -> None:
    _, kernel, _, grad = integers(case)
    np.testing.assert_array_equal(gradient_of_x(case, grad, kernel, case.x[0]), exact(case)[1])


@every_case
def test_relu_comes_last(isa: str, case: ConvCase) -> None:
    x, kernel, bias, _ = integers(case)
    y = conv2d(x, kernel, bias, **case.options, activation="relu")
    assert_same_bits(y, ops.relu(conv2d(x, kernel, bias, **case.options)))


@every_case
def test_an_addend_comes_between_bias_and_relu(isa: str, case: ConvCase) -> None:
    x, kernel, bias, _ = integers(case)
    y = conv2d(x, kernel, bias, **case.options)
    addend = draw(f"{case.name} addend", y.shape, FLOAT32) * np.abs(y).max(initial=0)
    padding = pads("test", case.padding)
    strides = pair("test", "strides", case.strides)
    prepared = _core.prepare_conv2d(kernel, case.x[1:], strides, padding, (1, 1), case.groups, "winograd")
    assert_same_bits(_core.apply_prepared(x, prepared, bias, True, addend), ops.relu(y + addend))


@every_case
def test_errors_are_bounded(isa: str, case: ConvCase) -> None:
    """On numbers of magnitude 0.5 to 1.5."""
    x, kernel = draw(f"{case.name} x", case.x, FLOAT32), draw(f"{case.name} kernel", case.kernel, FLOAT32)
    y = conv2d(x, kernel, **case.options)
    value = reference.conv2d(x, kernel, **case.options)
    most_x, most_kernel = (float(np.abs(array).max(initial=0)) for array in (x, kernel))
    strides = pair("test", "strides", case.strides)
    error = normwise_bound(case.kernel[0], "y", case.kernel[2], most_x, most_kernel, strides)
    np.testing.assert_allclose(y, value, rtol=0, atol=error)
    grad = draw(f"{case.name} grad", y.shape, FLOAT32)
    value = reference.conv2d_backward(grad, x, kernel, **case.options)[0]
    most_grad = float(np.abs(grad).max(initial=0))
    filters = case.kernel[3] // case.groups
    error = normwise_bound(case.kernel[0], "x", filters, most_grad, most_kernel, case.strides)
    np.testing.assert_allclose(gradient_of_x(case, grad, kernel, case.x[0]), value, rtol=0, atol=error)


@st.composite
def random_cases(draw: st.DrawFn) -> ConvCase:
    channels = st.integers(1, 5) | st.sampled_from([8, 15, 16, 17, 33])
    taps, groups = draw(st.integers(3, 5)), draw(st.integers(1, 2))
    in_group, out_group = draw(channels), draw(channels)
    size = draw(st.tuples(st.integers(taps, 15), st.integers(taps, 15)))
    padding = draw(st.sampled_from(["valid", "same"]) | st.tuples(*[st.tuples(*[st.integers(0, 7)] * 2)] * 2))
    x, kernel = (
        (draw(st.integers(0, 5)), *size, groups * in_group),
        (taps, taps, in_group, groups * out_group),
    )
    strides = draw(st.integers(1, 2)) if taps == 3 else 1
    return ConvCase("random", x, kernel, strides, padding, groups=groups)


@st.composite
def random_blocked_cases(draw: st.DrawFn) -> ConvCase:
    taps = draw(st.integers(3, 5))
    strides = draw(st.tuples(*[st.integers(1, 4)] * 2).filter(lambda pair: pair != (1, 1)))
    window = [draw(st.integers((taps - 1) * stride + 1, taps * stride)) for stride in strides]
    size = [draw(st.integers(1, 30)) for _ in window]
    padding = draw(st.tuples(*[st.tuples(*[st.integers(0, 20)] * 2)] * 2))
    tops = [
        max(0, r - h - before - after) for r, h, (before, after) in zip(window, size, padding, strict=True)
    ]
    padding = tuple((before + top, after) for top, (before, after) in zip(tops, padding, strict=True))
    channels, filters = draw(st.integers(1, 18)), draw(st.sampled_from([1, 2, 15, 17, 33]))
    x, kernel = (draw(st.integers(0, 3)), *size, channels), (*window, channels, filters)
    return ConvCase("random", x, kernel, strides, padding)


@given(case=random_cases() | random_blocked_cases())
def test_random_shapes_are_exact_on_integers(isa: str, case: ConvCase) -> None:
    x, kernel, bias, grad = integers(case)
    y, grad_x = exact(case)
    np.testing.assert_array_equal(conv2d(x, kernel, bias, **case.options), y)
    np.testing.assert_array_equal(gradient_of_x(case, grad, kernel, case.x[0]), grad_x)


# ---- same bits ------------------------------------------------------------------------------------------

BITS_CASES = each(
    (
        *CASES,
        ConvCase("many_tiles", (3, 40, 41, 33), (3, 3, 33, 65), padding="same"),
        ConvCase("many_filters", (3, 9, 9, 33), (3, 3, 33, 300), padding="same"),
        ConvCase("many_strided_tiles", (3, 40, 41, 33), (3, 3, 33, 65), strides=2, padding="same"),
        ConvCase("many_strided_filters", (1, 9, 9, 33), (3, 3, 33, 300), strides=2, padding="same"),
        ConvCase("many_blocked_tiles", (3, 80, 81, 3), (7, 7, 3, 65), strides=2, padding=3),
        ConvCase("many_adjoint_tiles", (3, 26, 26, 33), (3, 3, 33, 65)),
    )
)


def both(case: ConvCase, x: Array, grad: Array) -> tuple[Array, Array]:
    """The output and the gradient of x, on numbers that every change of order would show."""
    kernel = draw(f"{case.name} kernel", case.kernel, FLOAT32)
    bias = draw(f"{case.name} bias", case.kernel[3:], FLOAT32)
    return conv2d(x, kernel, bias, **case.options), gradient_of_x(case, grad, kernel, len(x))


def drawn(case: ConvCase, images: int) -> tuple[Array, Array]:
    shape = (images, *case.x[1:])
    y_shape = reference.conv2d_output_shape(shape, case.kernel, **case.options)
    return draw(f"{case.name} x", shape, FLOAT32), draw(f"{case.name} grad", y_shape, FLOAT32)


@BITS_CASES
def test_threads_do_not_change_a_bit(isa: str, case: ConvCase, set_threads: Callable[[int], None]) -> None:
    inputs = drawn(case, case.x[0])
    set_threads(1)
    expected = both(case, *inputs)
    for threads in (2, 3, 4, 7):
        set_threads(threads)
        for result, wanted in zip(both(case, *inputs), expected, strict=True):
            assert_same_bits(result, wanted)


@BITS_CASES
def test_an_image_does_not_depend_on_its_batch(
    isa: str, case: ConvCase, set_threads: Callable[[int], None]
) -> None:
    """Batches of other sizes have their blocks of tiles elsewhere."""
    x, grad = drawn(case, 11)
    set_threads(3)
    expected = both(case, x, grad)
    for first, end in ((0, 1), (1, 3), (3, 10), (10, 11)):
        for result, wanted in zip(both(case, x[first:end], grad[first:end]), expected, strict=True):
            assert_same_bits(result, wanted[first:end])


@each(CASES, "panels", "panels_4x4", "panels_5x5", "panels_grouped", "few_panels", "blocked_11x11")
def test_prepared_kernels_have_the_same_bits(isa: str, case: ConvCase) -> None:
    """They are transformed beforehand, and streamed; others as the products need them."""
    x, kernel = draw(f"{case.name} x", case.x, FLOAT32), draw(f"{case.name} kernel", case.kernel, FLOAT32)
    padding = pads("test", case.padding)
    strides = pair("test", "strides", case.strides)
    prepared = _core.prepare_conv2d(kernel, case.x[1:], strides, padding, (1, 1), case.groups, "winograd")
    y = _core.apply_prepared(x, prepared, None, False, None)
    assert_same_bits(y, conv2d(x, kernel, **case.options))


def test_streamed_results_have_the_same_bits(isa: str) -> None:
    """Two images make a result of 27 MiB, which is written past the caches; one does not."""
    x = draw("streamed x", (2, 231, 231, 3), FLOAT32)
    kernel = draw("streamed kernel", (3, 3, 3, 64), FLOAT32)
    y = conv2d(x, kernel, padding="same", activation="relu")
    assert y.nbytes > 24 << 20
    for image in range(2):
        one = conv2d(x[image : image + 1], kernel, padding="same", activation="relu")
        assert_same_bits(y[image : image + 1], one)


# ---- non-finite values ----------------------------------------------------------------------------------


@each(
    CASES,
    "ragged_tiles",
    "ragged_tiles_5x5",
    "padded_asymmetric",
    "grouped",
    "adjoint",
    "adjoint_5x5",
    "strided_ragged",
    "blocked_7x7",
    "blocked_asymmetric",
    "blocked_ends_early",
)
def test_what_reads_a_non_finite_value_is_non_finite(isa: str, case: ConvCase) -> None:
    """It may spread over its tile, but no further than a tile reaches, and not to other images."""
    x, kernel, bias, grad = integers(case)
    x, grad = (with_non_finite(a)[:1].repeat(2, axis=0) for a in (x, grad))
    x[1], grad[1] = 1, 1
    with np.errstate(invalid="ignore"):
        value = reference.conv2d(x, kernel, bias, **case.options)
        value_x = reference.conv2d_backward(grad, x, kernel, **case.options)[0]
    for result, wanted in (
        (conv2d(x, kernel, bias, **case.options), value),
        (gradient_of_x(case, grad, kernel, 2), value_x),
    ):
        finite = np.isfinite(result)
        assert np.isfinite(wanted[finite]).all()
        np.testing.assert_array_equal(result[finite], wanted[finite])
        assert finite[1].all()


def test_a_non_finite_value_stays_near(isa: str) -> None:
    """The tiles that read pixel (11, 11) make the outputs 8 to 15 along each axis."""
    x, kernel = np.ones((1, 24, 24, 3), FLOAT32), np.ones((3, 3, 3, 5), FLOAT32)
    x[0, 11, 11, 1] = np.nan
    y = conv2d(x, kernel, padding="same")
    near = np.zeros((24, 24), bool)
    near[8:16, 8:16] = True
    assert np.isfinite(y[0, ~near]).all()
    assert np.isnan(y[0, 10:13, 10:13]).all()


@each(CASES, "ragged_tiles", "ragged_tiles_4x4", "ragged_tiles_5x5", "adjoint")
def test_non_finite_kernels_spoil_their_filters_only(isa: str, case: ConvCase) -> None:
    x, kernel, bias, _ = integers(case)
    kernel = kernel.copy()
    kernel[1, 2, 0, 3] = np.nan
    y = conv2d(x, kernel, bias, **case.options)
    others = np.arange(case.kernel[3]) != 3
    assert np.isnan(y[:, 1:-1, 1:-1, 3]).all()
    np.testing.assert_array_equal(y[..., others], exact(case)[0][..., others])


@each(CASES, "blocked_ends_early")
def test_what_no_window_reads_leaves_no_trace(isa: str, case: ConvCase) -> None:
    """Even where it shares a block with what a window does read."""
    x, kernel, bias, grad = integers(case)
    rest = x.copy()
    rest[:, 16:], rest[:, :, 16:] = np.nan, np.nan
    assert_same_bits(conv2d(rest, kernel, bias, **case.options), conv2d(x, kernel, bias, **case.options))
    arguments = {**case.options, "algorithm": "winograd"}
    results = [ops.conv2d_backward(grad, images, kernel, **arguments) for images in (x, rest)]
    assert_same_bits(results[0][1], results[1][1])
    grad = draw("unread grad", grad.shape, FLOAT32)
    grad_x = gradient_of_x(case, grad, kernel, len(x))
    assert (grad_x[:, 16:] == 0).all()
    assert (grad_x[:, :, 16:] == 0).all()
    assert (grad_x[:, :16, :16] != 0).all()


# ---- what it can do -------------------------------------------------------------------------------------


@each(
    (
        TransposeCase("same", (2, 9, 8, 6), (3, 3, 7, 6), padding="same"),
        TransposeCase("valid", (3, 8, 8, 6), (3, 3, 7, 6)),
        TransposeCase("padded_5x5", (2, 4, 5, 6), (5, 5, 7, 6), padding=1),
        TransposeCase("grouped", (2, 4, 5, 6), (3, 3, 4, 6), groups=2),
        TransposeCase("strided", (2, 9, 8, 6), (3, 3, 7, 6), strides=2, padding="same"),
        TransposeCase("blocked", (2, 9, 8, 6), (5, 5, 7, 6), strides=2, padding="same"),
        TransposeCase("blocked_beyond", (2, 4, 5, 6), (8, 8, 7, 6), strides=3, output_padding=2),
    )
)
def test_transposed_convolutions(isa: str, case: TransposeCase) -> None:
    x = np.sign(draw_integers("x", case.x, FLOAT32))
    kernel = 576 * np.sign(draw_integers("kernel", case.kernel, FLOAT32))
    bias = draw_integers("bias", (case.kernel[2] * case.groups,), FLOAT32)
    y = ops.conv2d_transpose(x, kernel, bias, **case.options, algorithm="winograd")
    np.testing.assert_array_equal(y, reference.conv2d_transpose(x, kernel, bias, **case.options))


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3), {"strides": (1, 2)}),
        ((3, 3), {"strides": 3}),
        ((5, 5), {"strides": 2, "dilation_rate": 2}),
        ((5, 5), {"strides": 2, "dtype": "float64"}),
        ((5, 5), {"strides": (1, 2)}),
        ((5, 5), {"strides": 3}),
        ((6, 7), {"strides": 2}),
        ((3, 3), {"strides": 2, "dilation_rate": 1, "dtype": "float64"}),
        ((3, 3), {"dilation_rate": (1, 2)}),
        ((3, 5), {}),
        ((1, 1), {}),
        ((7, 7), {}),
        ((3, 3), {"dtype": "float64"}),
    ],
)
def test_other_shapes_are_a_value_error(kernel: tuple[int, int], options: dict[str, Any]) -> None:
    dtype = options.pop("dtype", "float32")
    x, kernels = np.ones((1, 9, 9, 2), dtype), np.ones((*kernel, 2, 3), dtype)
    with pytest.raises(
        ValueError, match=r"^conv2d: algorithm 'winograd' can't do this shape, expected one of"
    ):
        conv2d(x, kernels, **options)


def test_groups_with_blocks_are_a_value_error() -> None:
    x, kernel = np.ones((1, 9, 9, 4), FLOAT32), np.ones((5, 5, 2, 6), FLOAT32)
    with pytest.raises(ValueError, match=r"^conv2d: algorithm 'winograd' can't do this shape"):
        conv2d(x, kernel, strides=2, groups=2)


@pytest.mark.parametrize(
    ("chosen", "x", "kernel", "strides"),
    [
        ("winograd", (1, 64, 61, 3), (11, 11, 3, 32), 4),
        ("winograd", (1, 32, 31, 8), (5, 5, 8, 32), 2),
        ("direct", (1, 32, 31, 3), (5, 5, 3, 32), 2),
        ("direct", (1, 32, 31, 8), (5, 5, 8, 31), 2),
        ("direct", (1, 32, 24, 8), (5, 5, 8, 32), 2),
        ("winograd", (1, 26, 25, 7), (7, 7, 7, 32), 2),
        ("direct", (1, 26, 25, 1), (7, 7, 1, 32), 2),
    ],
)
def test_auto_over_blocks(chosen: str, x: tuple[int, ...], kernel: tuple[int, ...], strides: int) -> None:
    case = ConvCase("auto blocks", x, kernel, strides, "same")
    data, grad = drawn(case, 1)
    weights = draw("auto kernel", kernel, FLOAT32)
    y = {
        name: ops.conv2d(data, weights, **case.options, algorithm=name)
        for name in ("auto", "winograd", "direct")
    }
    assert (y["winograd"] != y["direct"]).any()
    assert_same_bits(y["auto"], y[chosen])
    grads = {
        name: ops.conv2d_backward(grad, data, weights, **case.options, needs=("x",), algorithm=name)[0]
        for name in ("auto", "winograd", "direct")
    }
    assert_same_bits(grads["auto"], grads[chosen])


@pytest.mark.parametrize(
    ("chosen", "x", "kernel"),
    [
        ("winograd", (2, 26, 25, 32), (3, 3, 32, 40)),
        ("direct", (2, 24, 25, 32), (3, 3, 32, 40)),
        ("direct", (2, 26, 25, 31), (3, 3, 31, 40)),
        ("direct", (2, 26, 25, 32), (3, 3, 32, 31)),
    ],
    ids=["large", "few_tiles", "few_channels", "few_filters"],
)
def test_auto_with_a_stride(chosen: str, x: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    """The two algorithms round differently."""
    case = ConvCase("auto", x, kernel, strides=2, padding="same")
    data, grad = drawn(case, 2)
    weights = draw("auto kernel", kernel, FLOAT32)

    def both_by(algorithm: str) -> tuple[Array, Array]:
        options = {**case.options, "algorithm": algorithm}
        return (
            ops.conv2d(data, weights, **options),
            ops.conv2d_backward(grad, data, weights, **options, needs=("x",))[0],
        )

    results = {name: both_by(name) for name in ("auto", "winograd", "direct")}
    for auto, same, by_winograd, by_direct in zip(
        results["auto"], results[chosen], results["winograd"], results["direct"], strict=True
    ):
        assert (by_winograd != by_direct).any()
        assert_same_bits(auto, same)
