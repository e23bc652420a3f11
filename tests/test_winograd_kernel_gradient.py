"""The gradient of the kernel by Winograd against the reference.

From the matrices of F(m x m, r x r) come two bounds:

- The transforms of x and grad have integer coefficients. On small integers they, the products and the sums
  over tiles are exact (below 2^24), and only the last transform rounds. So a lost or wrong term stands out,
  however many there are.
- On other numbers every operation rounds, and a path from input to result takes at most DEPTH roundings
  beside those of the sum over tiles: the error is at most gamma of that depth times the same computation on
  magnitudes (Higham, section 3.1: no coefficient is the difference of two paths).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from arrays import Array, draw, draw_integers
from cases import CHANNEL_TAILS, CONV_CASES, ConvCase, each, pick
from konv import ops
from tolerance import Expected, assert_close, assert_same_bits, gamma
from winograd import matrices

FLOAT32 = np.dtype("float32")
# Roundings of a path, each of the two passes: x 3, grad 3, the last 5 with its rounded coefficient; the
# product is 1.
LAST_DEPTH = 2 * 5
DEPTH = 2 * 3 + 2 * 3 + 1 + LAST_DEPTH
MOST_SPLITS = 16


Tiles = list[tuple[Array, Array]]


def tiles(array: Array, size: int, step: int, counts: tuple[int, int]) -> Array:
    """Tiles (N, rows, columns, size, size, C) of images, zeros behind their ends."""
    heights, widths = ((count - 1) * step + size for count in counts)
    padded = np.zeros((array.shape[0], heights, widths, array.shape[3]))
    rows, columns = min(heights, array.shape[1]), min(widths, array.shape[2])
    padded[:, :rows, :columns] = array[:, :rows, :columns]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.moveaxis(windows[:, ::step, ::step], 3, 5)


def tile_sizes(case: ConvCase) -> tuple[int, int, int]:
    """Pixels of x along an axis of a tile, from one tile to the next, and outputs."""
    outputs = 7 - case.kernel[0]
    return (6, outputs, outputs) if case.strides == 1 else (9, 8, outputs)


def transformed_tiles(case: ConvCase, x: Array, grad: Array, magnitudes: bool = False) -> Tiles:
    """B^T d B and A g A^T of every tile, group by group; with `magnitudes` by the matrices' magnitudes."""
    r = case.kernel[0]
    at = matrices(r, case.strides)
    size, step, m = tile_sizes(case)
    data, outputs = (np.abs(m) if magnitudes else m for m in (at.data, at.outputs))
    window = {name: value for name, value in case.options.items() if name != "groups"}
    top, left = (axis.before for axis in reference.axes(case.x, (r, r), **window))
    height, width = (-(-length // m) for length in grad.shape[1:3])
    shifted = np.zeros((x.shape[0], x.shape[1] + top, x.shape[2] + left, x.shape[3]))
    shifted[:, top:, left:] = x
    return [
        (
            np.einsum("ia,jb,nhwabc->ijnhwc", data, data, d, optimize=True),
            np.einsum("ia,jb,nhwabk->ijnhwk", outputs, outputs, g, optimize=True),
        )
        for d, g in zip(
            np.split(tiles(shifted, size, step, (height, width)), case.groups, axis=5),
            np.split(tiles(grad.astype(np.float64), m, m, (height, width)), case.groups, axis=5),
            strict=True,
        )
    ]


def sums_over_tiles(groups: Tiles) -> Array:
    """The products, summed over tiles: (6, 6, C / groups, K)."""
    products = [np.einsum("ijnhwc,ijnhwk->ijck", d, g, optimize=True) for d, g in groups]
    result: Array = np.concatenate(products, axis=3)
    return result


def last_transform(sums: Array, case: ConvCase, magnitudes: bool = False) -> Array:
    """G^T sums G."""
    taps = matrices(case.kernel[0], case.strides).taps
    if magnitudes:
        sums, taps = np.abs(sums), np.abs(taps)
    result: Array = np.einsum("ir,js,ijck->rsck", taps, taps, sums, optimize=True)
    return result


def terms(case: ConvCase) -> int:
    """Tiles that add up; with a stride, each pixel of theirs where a tap is by itself."""
    n, height, width, _ = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    outputs = tile_sizes(case)[2]
    return n * -(-height // outputs) * -(-width // outputs) * (1 if case.strides == 1 else outputs**2)


def kernel_gradient(case: ConvCase, x: Array, grad: Array, algorithm: str = "winograd") -> Array:
    """What is tested."""
    kernel = np.zeros(case.kernel, x.dtype)
    result = ops.conv2d_backward(grad, x, kernel, **case.options, needs=("kernel",), algorithm=algorithm)[1]
    assert result is not None
    return result


def drawn(case: ConvCase, make: Callable[..., Array]) -> tuple[Array, Array]:
    """Arrays x and grad."""
    y_shape = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    return make(f"{case.name} x", case.x, FLOAT32), make(f"{case.name} grad", y_shape, FLOAT32)


def wanted(case: ConvCase, x: Array, grad: Array) -> Array:
    """What the reference says."""
    kernel = np.zeros(case.kernel, x.dtype)
    expected: Array = reference.conv2d_backward(grad, x, kernel, **case.options)[1]
    return expected


def can_do(case: ConvCase) -> bool:
    kernels = {1: ((3, 3), (4, 4), (5, 5)), 2: ((3, 3),)}
    return case.dilation_rate == 1 and case.kernel[:2] in kernels.get(case.strides, ())


# Tiles of 3x3 kernels have 4x4 outputs; an image of 6 rows and 4 t + 2 columns has t of them. The sum is cut
# by the shape: fused (C * K <= 4096) into blocks of at most 20 tiles and splits of at least 32, more than
# four of them of at least 128, staged into chunks of at most 196.
CASES = (
    *filter(can_do, CONV_CASES),
    ConvCase("no_tile_is_whole", (3, 4, 5, 17), (3, 3, 17, 18)),
    ConvCase("one_output", (2, 3, 3, 17), (3, 3, 17, 18)),
    ConvCase("one_output_4x4", (2, 4, 4, 17), (4, 4, 17, 18)),
    ConvCase("one_output_5x5", (2, 5, 5, 17), (5, 5, 17, 18)),
    ConvCase("all_padding_around_a_pixel", (2, 1, 1, 3), (3, 3, 3, 4), padding=((9, 2), (3, 8))),
    ConvCase("all_padding_5x5", (2, 1, 2, 3), (5, 5, 3, 4), padding=((9, 2), (3, 8))),
    ConvCase("padded_unevenly", (2, 11, 10, 5), (3, 3, 5, 6), padding=((0, 3), (2, 1))),
    ConvCase("padded_unevenly_4x4", (2, 8, 9, 5), (4, 4, 5, 6), padding=((0, 3), (4, 1))),
    ConvCase("padded_unevenly_5x5", (2, 8, 9, 5), (5, 5, 5, 6), padding=((0, 3), (4, 1))),
    ConvCase("ragged_5x5", (2, 9, 10, 20), (5, 5, 20, 35), padding="same"),
    ConvCase("grouped_5x5", (2, 6, 7, 6), (5, 5, 2, 9), padding="same", groups=3),
    ConvCase("block_of_20", (1, 6, 4 * 20 + 2, 5), (3, 3, 5, 6)),
    ConvCase("blocks_of_21", (1, 6, 4 * 21 + 2, 5), (3, 3, 5, 6)),
    ConvCase("blocks_of_41", (1, 6, 4 * 41 + 2, 5), (3, 3, 5, 6)),
    ConvCase("one_split", (1, 6, 4 * 63 + 2, 3), (3, 3, 3, 4)),
    ConvCase("two_splits", (1, 6, 4 * 64 + 2, 3), (3, 3, 3, 4)),
    ConvCase("most_splits", (1, 10, 4 * 1025, 2), (3, 3, 2, 3), padding="same"),
    ConvCase("splits_of_groups", (3, 10, 200, 6), (3, 3, 3, 4), padding="same", groups=2),
    ConvCase("staged", (2, 7, 9, 70), (3, 3, 70, 66), padding="same"),
    ConvCase("staged_4x4", (2, 7, 9, 70), (4, 4, 70, 66), padding="same"),
    ConvCase("staged_5x5", (2, 7, 9, 70), (5, 5, 70, 66), padding="same"),
    ConvCase("staged_one_channel", (2, 7, 9, 1), (3, 3, 1, 4100), padding="same"),
    ConvCase("staged_one_filter", (2, 7, 9, 4100), (3, 3, 4100, 1), padding="same"),
    ConvCase("staged_groups", (2, 5, 6, 140), (3, 3, 70, 132), padding="same", groups=2),
    ConvCase("chunk_of_196", (1, 6, 4 * 196 + 2, 65), (3, 3, 65, 64)),
    ConvCase("chunks_of_197", (1, 6, 4 * 197 + 2, 65), (3, 3, 65, 64)),
    ConvCase("chunks_of_groups", (3, 30, 31, 130), (3, 3, 65, 130), padding="same", groups=2),
    ConvCase("strided_tile", (2, 9, 9, 4), (3, 3, 4, 8), strides=2),
    ConvCase("strided_same", (2, 16, 24, 17), (3, 3, 17, 18), strides=2, padding="same"),
    ConvCase("strided_padded_unevenly", (2, 11, 10, 5), (3, 3, 5, 6), strides=2, padding=((0, 3), (2, 1))),
    ConvCase("strided_all_padding", (2, 1, 1, 3), (3, 3, 3, 4), strides=2, padding=((9, 2), (3, 8))),
    ConvCase("strided_one_output", (2, 4, 3, 5), (3, 3, 5, 6), strides=2),
    ConvCase("strided_empty_batch", (0, 5, 6, 3), (3, 3, 3, 4), strides=2),
    ConvCase("strided_grouped", (2, 13, 12, 34), (3, 3, 17, 38), strides=2, padding=1, groups=2),
    ConvCase("strided_splits", (2, 39, 40, 6), (3, 3, 6, 5), strides=2, padding=1),
    ConvCase("strided_staged", (2, 15, 14, 70), (3, 3, 70, 90), strides=2, padding=1),
    ConvCase("strided_all_staged", (1, 9, 11, 390), (3, 3, 390, 380), strides=2, padding="same"),
    ConvCase("strided_chunks", (1, 7, 8 * 197 + 2, 80), (3, 3, 80, 80), strides=2),
    *(ConvCase(f"strided_{c}_to_{k}", (2, 7, 8, c), (3, 3, c, k), strides=2) for c, k in CHANNEL_TAILS),
    *(
        ConvCase(f"{r}x{r}_channels_{c}_to_{k}", (2, 9, 8, c), (r, r, c, k), padding=1)
        for r in (3, 4, 5)
        for c, k in CHANNEL_TAILS
    ),
)
SEVERAL_TASKS = (
    "most_splits",
    "splits_of_groups",
    "staged",
    "staged_groups",
    "chunks_of_groups",
    "ragged_5x5",
    "strided_splits",
    "strided_grouped",
    "strided_all_staged",
    "strided_chunks",
)


@each(CASES)
def test_the_bounds_are_of_the_right_formula(case: ConvCase) -> None:
    x, grad = drawn(case, draw)
    result = last_transform(sums_over_tiles(transformed_tiles(case, x, grad)), case)
    expected = wanted(case, x, grad)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9 * max(1, terms(case)))


@each(CASES)
def test_integers(isa: str, case: ConvCase) -> None:
    """On integers only the last transform may round."""
    x, grad = drawn(case, draw_integers)
    transformed = transformed_tiles(case, x, grad)
    largest = sums_over_tiles([(np.abs(d), np.abs(g)) for d, g in transformed])
    assert largest.max(initial=0) < 2**24, "the sums are not exact"
    sums = sums_over_tiles(transformed)
    error = gamma(LAST_DEPTH, FLOAT32) * last_transform(sums, case, magnitudes=True)
    assert_close(kernel_gradient(case, x, grad), Expected(wanted(case, x, grad), error), FLOAT32)


@each(CASES)
def test_numbers(isa: str, case: ConvCase) -> None:
    """Every operation may round."""
    x, grad = drawn(case, draw)
    sums = sums_over_tiles(transformed_tiles(case, np.abs(x), np.abs(grad), magnitudes=True))
    magnitude = last_transform(sums, case, magnitudes=True)
    error = gamma(terms(case) + MOST_SPLITS + DEPTH, FLOAT32) * magnitude
    assert_close(kernel_gradient(case, x, grad), Expected(wanted(case, x, grad), error), FLOAT32)


OVER_BLOCKS = (
    ConvCase("blocked_splits", (3, 80, 81, 3), (7, 7, 3, 33), strides=2, padding=3),
    ConvCase("blocked_stages", (3, 30, 31, 20), (5, 5, 20, 66), strides=2, padding="same"),
    ConvCase("blocked_empty_batch", (0, 9, 9, 3), (5, 5, 3, 4), strides=2),
)
"""What comes before and after, test_tile_edges.py tests on every size."""


@each((*pick(CASES, *SEVERAL_TASKS), *OVER_BLOCKS))
def test_threads_do_not_change_a_bit(isa: str, case: ConvCase, set_threads: Callable[[int], None]) -> None:
    x, grad = drawn(case, draw)
    set_threads(1)
    expected = kernel_gradient(case, x, grad)
    for threads in (2, 3, 5, 16):
        set_threads(threads)
        assert_same_bits(kernel_gradient(case, x, grad), expected)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
@each(CASES, "ragged_5x5", "staged", "3x3_channels_17_to_15", "grouped", "strided_same")
def test_a_spoilt_pixel_stays_in_its_channel(isa: str, case: ConvCase, spoilt: float) -> None:
    """Its tile spreads it over all taps, but lanes behind the last channel leak nothing."""
    x, grad = drawn(case, draw)
    expected = kernel_gradient(case, x, grad)
    x[-1, -1, -1, -1] = spoilt
    filters = case.kernel[3] // case.groups
    result = kernel_gradient(case, x, grad)
    assert not np.isfinite(result[:, :, -1, -filters:]).all()
    expected[:, :, -1, -filters:] = result[:, :, -1, -filters:]
    assert_same_bits(result, expected)
    x, grad = drawn(case, draw)
    expected = kernel_gradient(case, x, grad)
    grad[-1, -1, -1, -1] = spoilt
    result = kernel_gradient(case, x, grad)
    assert not np.isfinite(result[:, :, :, -1]).all()
    assert_same_bits(result[..., :-1], expected[..., :-1])


channels = st.integers(1, 6) | st.sampled_from([15, 16, 17, 32, 33, 66])


@st.composite
def winograd_cases(draw: st.DrawFn) -> ConvCase:
    groups, in_group, out_group = draw(st.integers(1, 3)), draw(channels), draw(channels)
    r, padding = draw(st.integers(3, 5)), draw(st.sampled_from(["valid", "same"]) | st.integers(0, 6))
    strides = draw(st.integers(1, 2)) if r == 3 else 1
    smallest = r if padding == "valid" else 1 if padding == "same" else max(1, r - 2 * int(padding))
    size = draw(st.tuples(*[st.integers(smallest, 20)] * 2))
    x = (draw(st.integers(0, 4)), *size, groups * in_group)
    return ConvCase("random", x, (r, r, in_group, groups * out_group), strides, padding, groups=groups)


@given(case=winograd_cases(), threads=st.integers(1, 3))
def test_random_shapes(isa: str, case: ConvCase, threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(threads)
    x, grad = drawn(case, draw_integers)
    sums = sums_over_tiles(transformed_tiles(case, x, grad))
    error = gamma(LAST_DEPTH, FLOAT32) * last_transform(sums, case, magnitudes=True)
    assert_close(kernel_gradient(case, x, grad), Expected(wanted(case, x, grad), error), FLOAT32)


# ---- which algorithm ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "kernel", "options"),
    [
        (np.float64, (3, 3), {}),
        (np.float32, (3, 5), {}),
        (np.float32, (2, 2), {}),
        (np.float32, (1, 1), {}),
        (np.float32, (3, 3), {"strides": (1, 2)}),
        (np.float64, (3, 3), {"strides": 2}),
        (np.float32, (3, 3), {"strides": 3}),
        (np.float32, (3, 3), {"dilation_rate": (2, 1)}),
    ],
)
def test_shapes_that_it_cannot_do(dtype: type, kernel: tuple[int, int], options: dict[str, Any]) -> None:
    case = ConvCase("refused", (1, 9, 9, 4), (*kernel, 4, 5), **options)
    x, grad = drawn(case, draw)
    with pytest.raises(ValueError, match=r"^conv2d_backward: algorithm 'winograd' can't do this shape, exp"):
        kernel_gradient(case, x.astype(dtype), grad.astype(dtype))


@pytest.mark.parametrize(
    ("chosen", "case"),
    [
        ("winograd", ConvCase("large", (8, 28, 28, 32), (3, 3, 32, 64), padding="same")),
        ("winograd", ConvCase("large_strided", (2, 28, 28, 64), (3, 3, 64, 64), strides=2, padding=1)),
        ("direct", ConvCase("few_strided_tiles", (1, 28, 28, 64), (3, 3, 64, 64), strides=2, padding=1)),
        ("direct", ConvCase("few_channels_strided", (4, 28, 28, 32), (3, 3, 32, 64), strides=2, padding=1)),
        ("direct", ConvCase("empty_strided_tiles", (16, 11, 11, 64), (3, 3, 64, 64), strides=2)),
        ("direct", ConvCase("few_tiles", (1, 7, 7, 64), (3, 3, 64, 64), padding="same")),
        ("direct", ConvCase("empty_tiles", (16, 5, 5, 64), (3, 3, 64, 64), padding="same")),
        ("direct", ConvCase("few_channels", (8, 28, 28, 3), (3, 3, 3, 64), padding="same")),
        ("winograd", ConvCase("blocks", (2, 32, 30, 8), (5, 5, 8, 32), strides=2, padding="same")),
        ("direct", ConvCase("few_blocks", (1, 32, 30, 8), (5, 5, 8, 32), strides=2, padding="same")),
        ("direct", ConvCase("blocks_few_channels", (8, 32, 30, 3), (5, 5, 3, 64), strides=2, padding="same")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_auto(case: ConvCase, chosen: str) -> None:
    """The two algorithms round differently."""
    x, grad = drawn(case, draw)
    results = {name: kernel_gradient(case, x, grad, name) for name in ("auto", "winograd", "direct")}
    assert (results["winograd"] != results["direct"]).any()
    assert_same_bits(results["auto"], results[chosen])
