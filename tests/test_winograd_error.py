"""The errors of Winograd's three passes on data that should bring out the worst, against a derived bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import reference
from arrays import Array
from cases import ConvCase, each
from konv import ops
from reference import Shape
from tolerance import assert_within
from winograd import Matrices, block_taps, matrices, normwise_bound, outputs_of

FLOAT32 = np.dtype("float32")
PASSES = ("y", "x", "kernel")

CASES = (
    ConvCase("one_tile", (1, 6, 6, 1), (3, 3, 1, 3)),
    ConvCase("one_tile_5x5", (1, 6, 6, 1), (5, 5, 1, 3)),
    ConvCase("one_tile_4x4", (1, 6, 6, 1), (4, 4, 1, 3)),
    ConvCase("one_tile_of_channels", (1, 6, 6, 64), (3, 3, 64, 33)),
    ConvCase("one_tile_of_channels_5x5", (1, 6, 6, 64), (5, 5, 64, 33)),
    ConvCase("one_tile_of_channels_4x4", (1, 6, 6, 64), (4, 4, 64, 33)),
    ConvCase("ragged", (2, 11, 9, 17), (3, 3, 17, 20), padding="same"),
    ConvCase("ragged_5x5", (2, 11, 9, 17), (5, 5, 17, 20), padding="same"),
    ConvCase("ragged_4x4", (2, 11, 9, 17), (4, 4, 17, 20), padding="same"),
    ConvCase("valid", (3, 13, 15, 33), (3, 3, 33, 16)),
    ConvCase("valid_5x5", (3, 13, 15, 33), (5, 5, 33, 16)),
    ConvCase("valid_4x4", (3, 13, 15, 33), (4, 4, 33, 16)),
    ConvCase("many_channels", (1, 7, 7, 300), (3, 3, 300, 40), padding="same"),
    ConvCase("blocked_tile", (1, 24, 24, 1), (11, 11, 1, 3), strides=4),
    ConvCase("blocked_tile_of_channels", (1, 12, 12, 64), (7, 7, 64, 33), strides=2),
    ConvCase("blocked_ragged", (2, 26, 22, 5), (11, 11, 5, 20), strides=4, padding=2),
    ConvCase("blocked_to_5x5", (2, 21, 22, 5), (9, 9, 5, 20), strides=2, padding="same"),
    ConvCase("many_tiles", (4, 30, 31, 3), (3, 3, 3, 8), padding="same"),
)

STRIDED_CASES = (
    ConvCase("one_tile_strided", (1, 9, 9, 1), (3, 3, 1, 3), strides=2),
    ConvCase("one_tile_of_channels_strided", (1, 9, 9, 64), (3, 3, 64, 33), strides=2),
    ConvCase("ragged_strided", (2, 19, 14, 17), (3, 3, 17, 20), strides=2, padding="same"),
    ConvCase("padded_strided", (3, 28, 30, 33), (3, 3, 33, 16), strides=2, padding=1),
    ConvCase("many_channels_strided", (1, 14, 14, 300), (3, 3, 300, 40), strides=2, padding=1),
)


# ---- data -----------------------------------------------------------------------------------------------

Draw = Callable[[np.random.Generator, Shape], Array]


def one_spike(generator: np.random.Generator, shape: Shape) -> Array:
    """Beside which all else is small: its rounding spreads over the tile."""
    array = 1e-6 * generator.standard_normal(shape)
    array[tuple(generator.integers(shape[:3]))] = 0.7
    return array


def alternating(generator: np.random.Generator, shape: Shape) -> Array:
    signs: Array = (-1.0) ** np.indices(shape[:3]).sum(axis=0)
    return signs[..., None] * generator.uniform(0.9, 1.0, shape)


def mixed_magnitudes(generator: np.random.Generator, shape: Shape) -> Array:
    return 10 ** generator.uniform(-7, 7, shape) * generator.choice((-1, 1), shape)


DATA: dict[str, Draw] = {
    "constant": lambda generator, shape: np.full(shape, 0.3),
    "signs": lambda generator, shape: generator.choice((-1.0, 1.0), shape) * 0.3,
    "alternating": alternating,
    "one_spike": one_spike,
    "non_negative": lambda generator, shape: np.maximum(generator.standard_normal(shape), 0),
    "far_from_zero": lambda generator, shape: 1000 + generator.standard_normal(shape),
    "mixed_magnitudes": mixed_magnitudes,
    "normal": lambda generator, shape: generator.standard_normal(shape),
}
"""What x, kernel and the gradient of y hold."""


def drawn(case: ConvCase, kind: str) -> list[Array]:
    """Arrays x, kernel and grad."""
    generator = np.random.default_rng(7)
    shapes = (case.x, case.kernel, reference.conv2d_output_shape(case.x, case.kernel, **case.options))
    return [DATA[kind](generator, shape).astype(np.float32) for shape in shapes]


def worst_signs(case: ConvCase, of: str) -> list[Array]:
    """All of about magnitude 1, signed so that at one point of a tile's transforms everything adds up.

    The point is the one that weighs most in the result; the rest of the result cancels it.
    """
    stride = int(case.strides)
    taps = block_taps(case.kernel[0], stride)
    at = matrices(taps, stride if taps == case.kernel[0] else 1)
    weights = {"y": at.outputs, "x": at.data, "kernel": at.taps}[of]
    inputs = {"y": (at.data, at.taps), "x": (at.outputs, at.taps), "kernel": (at.data, at.outputs)}[of]
    most = np.prod([np.abs(m).sum(axis=1) for m in inputs], axis=0) * np.abs(weights).max(axis=1)
    point = int(np.argmax(most))

    def signed(matrix: Array, shape: Shape, block: int = 1) -> Array:
        signs = np.repeat(np.where(matrix[point] < 0, -1.0, 1.0), block)
        row = np.resize(signs, max(shape))
        return row[: shape[0], None] * row[None, : shape[1]]

    generator = np.random.default_rng(7)
    x, kernel, grad = (generator.uniform(0.7, 1.0, array.shape) for array in drawn(case, "constant"))
    block = 1 if taps == case.kernel[0] else stride
    x *= signed(at.data, case.x[1:3], block)[..., None]
    kernel *= signed(at.taps, case.kernel, block)[..., None, None]
    grad *= signed(at.outputs, grad.shape[1:3])[..., None]
    return [array.astype(np.float32) for array in (x, kernel, grad)]


# ---- one pass -------------------------------------------------------------------------------------------


def computed(case: ConvCase, of: str, arrays: list[Array], algorithm: str = "winograd") -> Array:
    """What is tested."""
    x, kernel, grad = arrays
    options = {**case.options, "algorithm": algorithm}
    if of == "y":
        return ops.conv2d(x, kernel, **options)
    result = ops.conv2d_backward(grad, x, kernel, **options, needs=(of,))[0 if of == "x" else 1]
    assert result is not None
    return result


def exact(case: ConvCase, of: str, arrays: list[Array]) -> Array:
    """What the reference says."""
    x, kernel, grad = arrays
    if of == "y":
        return reference.conv2d(x, kernel, None, **case.options)
    result: Array = reference.conv2d_backward(grad, x, kernel, **case.options)[0 if of == "x" else 1]
    return result


def bound(case: ConvCase, of: str, arrays: list[Array]) -> float:
    x, kernel, grad = (float(np.abs(array).max(initial=0)) for array in arrays)
    r, m = case.kernel[0], outputs_of(block_taps(case.kernel[0], int(case.strides)))
    if of == "y":
        return normwise_bound(r, of, case.x[3], x, kernel, case.strides)
    if of == "x":
        return normwise_bound(r, of, case.kernel[3], grad, kernel, case.strides)
    n, p, q, _ = arrays[2].shape
    return normwise_bound(r, of, n * -(-p // m) * -(-q // m), x, grad, case.strides)


@pytest.mark.parametrize("of", PASSES)
@pytest.mark.parametrize("kind", DATA)
@each((*CASES, *STRIDED_CASES))
def test_error(isa: str, case: ConvCase, kind: str, of: str) -> None:
    arrays = drawn(case, kind)
    assert_within(computed(case, of, arrays), exact(case, of, arrays), bound(case, of, arrays), FLOAT32)


@pytest.mark.parametrize("of", ["y", "kernel"])
@each(STRIDED_CASES)
def test_error_where_a_point_of_a_strided_tile_adds_up(isa: str, case: ConvCase, of: str) -> None:
    arrays = worst_signs(case, of)
    assert_within(computed(case, of, arrays), exact(case, of, arrays), bound(case, of, arrays), FLOAT32)


@pytest.mark.parametrize("of", PASSES)
@each(CASES)
def test_error_where_a_point_adds_up(isa: str, case: ConvCase, of: str) -> None:
    arrays = worst_signs(case, of)
    assert_within(computed(case, of, arrays), exact(case, of, arrays), bound(case, of, arrays), FLOAT32)


@pytest.mark.parametrize("of", PASSES)
@each(CASES, "ragged", "ragged_4x4", "ragged_5x5")
def test_it_is_not_the_direct_algorithm(case: ConvCase, of: str) -> None:
    """Whose errors would be within any bound."""
    arrays = drawn(case, "normal")
    assert (computed(case, of, arrays) != computed(case, of, arrays, "direct")).any()


# ---- the bound itself -----------------------------------------------------------------------------------


def one_tile(at: Matrices, of: str, arrays: list[Array]) -> Array:
    """A pass over one tile, in float64."""
    x, kernel, grad = (np.float64(array) for array in arrays)
    points = {
        "x": np.einsum("ia,jb,abc->ijc", at.data, at.data, x[0]),
        "kernel": np.einsum("ia,jb,abck->ijck", at.taps, at.taps, kernel),
        "y": np.einsum("ia,jb,abk->ijk", at.outputs, at.outputs, grad[0]),
    }
    if of == "y":
        products = np.einsum("ijc,ijck->ijk", points["x"], points["kernel"])
        return np.einsum("ia,jb,ijk->abk", at.outputs, at.outputs, products)[None]
    if of == "x":
        products = np.einsum("ijk,ijck->ijc", points["y"], points["kernel"])
        return np.einsum("ia,jb,ijc->abc", at.data, at.data, products)[None]
    products = np.einsum("ijc,ijk->ijck", points["x"], points["y"])
    result: Array = np.einsum("ia,jb,ijck->abck", at.taps, at.taps, products)
    return result


ONE_TILE = [
    *((case, of) for case in CASES[:3] for of in PASSES),
    (STRIDED_CASES[0], "y"),
    (STRIDED_CASES[0], "kernel"),
]
every_pass_of_a_tile = pytest.mark.parametrize(
    ("case", "of"), ONE_TILE, ids=[f"{case.name}-{of}" for case, of in ONE_TILE]
)


@every_pass_of_a_tile
def test_the_matrices_are_right(case: ConvCase, of: str) -> None:
    arrays = drawn(case, "normal")
    error = np.abs(
        one_tile(matrices(case.kernel[0], case.strides), of, arrays) - exact(case, of, arrays)
    ).max()
    assert error <= 1e-6 * bound(case, of, arrays)


@every_pass_of_a_tile
def test_the_bound_notices_a_wrong_coefficient(case: ConvCase, of: str) -> None:
    """Each one in turn, wrong by an eighth of itself or of 1."""
    right = matrices(case.kernel[0], case.strides)
    arrays = drawn(case, "normal")
    for name, matrix in vars(right).items():
        for position in np.ndindex(matrix.shape):
            wrong = matrix.copy()
            wrong[position] += (abs(wrong[position]) or 1) / 8
            result = one_tile(replace(right, **{name: wrong}), of, arrays)
            error = np.abs(result - exact(case, of, arrays)).max()
            assert error > bound(case, of, arrays), f"{name}{position}"
