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


@dataclass(frozen=True)
class Matrices:
    """Of r taps, a row for each point: data (6, 6), outputs (6, m) and taps (6, r); B^T, A and G."""

    data: Array
    outputs: Array
    taps: Array


def matrices(r: int) -> Matrices:
    """The Toom-Cook matrices, scaled so that only `taps` has fractions."""
    others = [[q for q in POINTS if q != p] for p in POINTS]
    data = np.zeros((TILE, TILE))
    for i, roots in enumerate(others):
        data[i, :5] = np.poly(roots)[::-1]
    data[5] = np.poly(POINTS)[::-1]
    scale = np.array([*(np.prod(np.subtract(p, rest)) for p, rest in zip(POINTS, others, strict=True)), 1.0])

    def powers(count: int) -> Array:
        rows = np.vander(POINTS, count, increasing=True).astype(np.float64)
        return np.vstack([rows, np.eye(count)[-1:]])

    return Matrices(data, powers(outputs_of(r)), powers(r) / scale[:, None])


def outputs_of(r: int) -> int:
    """Outputs m of a tile, along an axis."""
    return TILE - r + 1


def growth(r: int, of: str) -> float:
    """The greatest sum of magnitudes of an axis: of "y", of "x" or of "kernel", where all inputs are 1.

    Of x, as the adjoint computes it: tiles of 6 pixels lie m apart and add up where they overlap.
    """
    at = matrices(r)
    data, outputs, taps = np.abs(at.data), np.abs(at.outputs), np.abs(at.taps)
    if of == "y":
        sums = outputs.T @ (taps.sum(axis=1) * data.sum(axis=1))
    elif of == "kernel":
        sums = taps.T @ (data.sum(axis=1) * outputs.sum(axis=1))
    else:
        sums = data.T @ (taps.sum(axis=1) * outputs.sum(axis=1))
        sums = np.array([sums[i :: outputs_of(r)].sum() for i in range(outputs_of(r))])
    return float(sums.max())


ROUNDINGS = {(3, "y"): 20, (5, "y"): 22, (3, "x"): 21, (5, "x"): 26, (3, "kernel"): 20, (5, "kernel"): 18}
"""Those of a path through the transforms, beside one for each term of the sum over channels or tiles."""


def normwise_bound(r: int, of: str, terms: int, most_x: float, most_y: float) -> float:
    """The greatest error of any element, where `terms` channels, filters or tiles add up.

    `most_x` and `most_y` are the greatest magnitudes of the two arrays that are multiplied.
    """
    growths = [growth(r, of)] if of != "x" else [growth(r, "x"), growth(r, "y")]  # adjoint or rotated kernel
    return float(gamma(terms + ROUNDINGS[r, of], np.float32)) * max(growths) ** 2 * terms * most_x * most_y


def with_winograd(
    expected: Expected, of: str, case: ConvCase | TransposeCase, data: Array, kernel: Array, channels: int
) -> Expected:
    """Allow for Winograd's error where "auto" may choose it: float32, 3x3 or 5x5, at least 16 channels."""
    slides_by_one = (case.strides, case.dilation_rate) == (1, 1)
    square = kernel.shape[:2] in ((3, 3), (5, 5))
    if data.dtype != np.float32 or not square or not slides_by_one or channels < 16:
        return expected
    most_data, most_kernel = (float(np.abs(array).max(initial=0)) for array in (data, kernel))
    bound = normwise_bound(kernel.shape[0], of, channels, most_data, most_kernel)
    return Expected(expected.value, expected.error + bound)
