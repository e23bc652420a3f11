"""Winograd's matrices, and how far its results may lie from the exact ones.

F(m x m, r x r) with m + r - 1 = 6 and the points 0, 1, -1, 2, -2 and infinity, made from the points alone
(Cook and Toom; A. Lavin and S. Gray, CVPR 2016), without a look at csrc.

A result is a sum of products of inputs and coefficients; no two paths from an input to a result cancel, and
none takes more than n roundings. So the error is at most gamma_n times the same computation on magnitudes
(Higham, section 3.1; for these algorithms: B. Barabasz, A. Anderson, K. Soodhalter, D. Gregg, Error Analysis
and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, ACM TOMS 46, 2020). Where all
magnitudes are 1, that computation gives the square of `growth`: docs/kernels-cpu.md has the constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arrays import Array
from cases import ConvCase, TransposeCase
from tolerance import Expected, gamma

TILE = 6
POINTS = (0, 1, -1, 2, -2)  # and infinity


PAIR_POINTS = (0, 1, -1, 2)  # and infinity: of two taps, F(4, 2)


def block_taps(r: int, stride: int) -> int:
    """Taps of an axis once blocks of pixels are its pixels; 3 with stride 2 go through phases instead."""
    return r if (r, stride) == (3, 2) else -(-r // stride)


@dataclass(frozen=True)
class Matrices:
    """Of r taps, a row for each point: data (6, 6), outputs (6, m) and taps (6, r); B^T, A and G.

    With a stride, data (9, 9), outputs (9, 4) and taps (9, 3).
    """

    data: Array
    outputs: Array
    taps: Array


def matrices(r: int, stride: int = 1) -> Matrices:
    """The Toom-Cook matrices, scaled so that only `taps` has fractions."""
    return toom_cook(POINTS, outputs_of(r), r) if stride == 1 else strided_matrices()


def toom_cook(points: tuple[int, ...], m: int, r: int) -> Matrices:
    """F(m, r) on these points and infinity."""
    tile = len(points) + 1
    others = [[q for q in points if q != p] for p in points]
    data = np.zeros((tile, tile))
    for i, roots in enumerate(others):
        data[i, :-1] = np.poly(roots)[::-1]
    data[-1] = np.poly(points)[::-1]
    scale = np.array([*(np.prod(np.subtract(p, rest)) for p, rest in zip(points, others, strict=True)), 1.0])

    def powers(count: int) -> Array:
        rows = np.vander(points, count, increasing=True).astype(np.float64)
        return np.vstack([rows, np.eye(count)[-1:]])

    return Matrices(data, powers(m), powers(r) / scale[:, None])


def strided_matrices() -> Matrices:
    """Of 3 taps with stride 2: even inputs meet two taps, F(4, 2), and odd ones the middle tap."""
    pair = toom_cook(PAIR_POINTS, 4, 2)
    data, taps = np.zeros((9, 9)), np.zeros((9, 3))
    data[:5, ::2], taps[:5, ::2] = pair.data, pair.taps
    data[5:, 1::2], taps[5:, 1] = np.eye(4), 1
    return Matrices(data, np.vstack([pair.outputs, np.eye(4)]), taps)


def outputs_of(r: int) -> int:
    """Outputs m of a tile, along an axis."""
    return TILE - r + 1


def growth(r: int, of: str, stride: int = 1) -> float:
    """The greatest sum of magnitudes of an axis: of "y", of "x" or of "kernel", where all inputs are 1.

    Of x, as the adjoint computes it: tiles of 6 pixels lie m apart and add up where they overlap. With a
    stride every pixel of x is a forward pass of its own, of two taps or of one.
    """
    if stride == 2 and of == "x":
        at = toom_cook(PAIR_POINTS, 4, 2)
        of = "y"
    else:
        at = matrices(r, stride)
    data, outputs, taps = np.abs(at.data), np.abs(at.outputs), np.abs(at.taps)
    if of == "y":
        sums = outputs.T @ (taps.sum(axis=1) * data.sum(axis=1))
    elif of == "kernel":
        sums = taps.T @ (data.sum(axis=1) * outputs.sum(axis=1))
    else:
        sums = data.T @ (taps.sum(axis=1) * outputs.sum(axis=1))
        sums = np.array([sums[i :: outputs_of(r)].sum() for i in range(outputs_of(r))])
    return float(sums.max())


ROUNDINGS = {
    (3, "y"): 20,
    (4, "y"): 20,
    (5, "y"): 22,
    (3, "x"): 21,
    (4, "x"): 21,
    (5, "x"): 26,
    (3, "kernel"): 20,
    (4, "kernel"): 20,
    (5, "kernel"): 18,
}
"""Those of a path through the transforms, beside one for each term of the sum over channels or tiles."""

STRIDED_ROUNDINGS = {"y": 21, "x": 18, "kernel": 18}


def normwise_bound(
    r: int, of: str, terms: int, most_x: float, most_y: float, strides: int | tuple[int, int] = 1
) -> float:
    """The greatest error of any element, where `terms` channels, filters or tiles add up.

    `most_x` and `most_y` are the greatest magnitudes of the two arrays that are multiplied. With strides the
    channels of y are those of a block of pixels, but for 3x3 with stride 2.
    """
    down, across = (strides, strides) if isinstance(strides, int) else strides
    if (r, down, across) == (3, 2, 2):
        roundings, most = STRIDED_ROUNDINGS[of], growth(r, of, 2)
    else:
        taps = block_taps(r, down)
        terms *= down * across if of == "y" else 1
        roundings = ROUNDINGS[taps, of]
        # Of x: the adjoint or the rotated kernel.
        most = growth(taps, of) if of != "x" else max(growth(taps, "x"), growth(taps, "y"))
    return float(gamma(terms + roundings, np.float32)) * most**2 * terms * most_x * most_y


def can_do(case: ConvCase | TransposeCase) -> bool:
    """Whether there is a row of that name for forward and gradient of x, in float32."""
    strides = (case.strides, case.strides) if isinstance(case.strides, int) else case.strides
    if (case.kernel[:2], strides) == ((3, 3), (2, 2)):
        return case.dilation_rate == 1
    down, across = map(block_taps, case.kernel[:2], strides)
    fits = down == across and 3 <= down <= 5 and (strides == (1, 1) or case.groups == 1)
    return fits and case.dilation_rate == 1


def with_winograd(
    expected: Expected, of: str, case: ConvCase | TransposeCase, data: Array, kernel: Array, channels: int
) -> Expected:
    """Allow for Winograd's error where "auto" may choose it: float32 with enough channels."""
    few = channels < 16 if case.strides == 1 else kernel.shape[3] < 32
    if data.dtype != np.float32 or not can_do(case) or few:
        return expected
    most_data, most_kernel = (float(np.abs(array).max(initial=0)) for array in (data, kernel))
    strides = case.strides if isinstance(case.strides, int) else (case.strides[0], case.strides[1])
    bound = normwise_bound(kernel.shape[0], of, channels, most_data, most_kernel, strides)
    return Expected(expected.value, expected.error + bound)
