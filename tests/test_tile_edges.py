"""Every size of output around the tiles of 6x6 points and the register tiles, with tails of channels.

On numbers whose sums are exact: x and gradients are -1, 0 or 1, and the kernel 576 times that, which
Winograd's transform divides by 4, 6 or 24 along each axis. Only its gradient of the kernel rounds, by less
than the half that would turn one whole number into another.
"""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

import reference
from arrays import Array, draw_integers
from cases import ConvCase
from konv import ops
from winograd import block_taps, normwise_bound, outputs_of

FLOAT32 = np.dtype("float32")
SIZES = range(1, 10)
TAILS = (1, 15, 16, 17, 33)


@cache
def cases(r: int, stride: int = 1) -> list[ConvCase]:
    """A case for each size of the output, with paddings of 0 to 2 and tails that a fixed seed draws."""
    drawn, found = random.Random(r), []
    for p in SIZES:
        for q in SIZES:
            before_h, after_h, before_w, after_w = (drawn.randint(0, 2) for _ in range(4))
            h, w = (p - 1) * stride + r - before_h - after_h, (q - 1) * stride + r - before_w - after_w
            c, k = drawn.choice(TAILS), drawn.choice(TAILS)
            if min(h, w) > 0:
                padding = ((before_h, after_h), (before_w, after_w))
                found.append(ConvCase(f"{p}x{q}", (2, h, w, c), (r, r, c, k), stride, padding))
    return found


@cache
def arrays(case: ConvCase) -> tuple[Array, Array, Array]:
    """x, kernel and the gradient of y."""
    shapes = (case.x, case.kernel, reference.conv2d_output_shape(case.x, case.kernel, **case.options))
    x, kernel, grad = (np.sign(draw_integers(f"{case.name} {shape}", shape, FLOAT32)) for shape in shapes)
    return x, 576 * kernel, grad


@cache
def exact(case: ConvCase) -> list[Array]:
    """The output, and the gradients of x and of the kernel."""
    x, kernel, grad = arrays(case)
    y = reference.conv2d(x, kernel, None, **case.options)
    return [y, *reference.conv2d_backward(grad, x, kernel, **case.options)[:2]]


def results(case: ConvCase, algorithm: str, needs: tuple[str, ...] = ("x", "kernel")) -> list[Array]:
    x, kernel, grad = arrays(case)
    options = {**case.options, "algorithm": algorithm}
    y = ops.conv2d(x, kernel, **options)
    return [y, *ops.conv2d_backward(grad, x, kernel, **options, needs=needs)[:2]]


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("r", [3, 4, 5])
def test_every_size(isa: str, r: int, algorithm: str) -> None:
    assert len(cases(r)) > 70
    for case in cases(r):
        y, grad_x, grad_kernel = results(case, algorithm)
        exact_y, exact_x, exact_kernel = exact(case)
        np.testing.assert_array_equal(y, exact_y, str(case))
        np.testing.assert_array_equal(grad_x, exact_x, str(case))
        n, p, q, _ = y.shape
        tiles = n * -(-p // outputs_of(r)) * -(-q // outputs_of(r))
        error = normwise_bound(r, "kernel", tiles, 1, 1) if algorithm == "winograd" else 0
        assert error < 0.5
        np.testing.assert_allclose(grad_kernel, exact_kernel, rtol=0, atol=error, err_msg=str(case))


@pytest.mark.parametrize(("r", "stride"), [(5, 2), (6, 2), (7, 2), (9, 2), (11, 4)])
def test_every_size_over_blocks(isa: str, r: int, stride: int) -> None:
    assert len(cases(r, stride)) > 70
    for case in cases(r, stride):
        y, grad_x, grad_kernel = results(case, "winograd")
        exact_y, exact_x, exact_kernel = exact(case)
        np.testing.assert_array_equal(y, exact_y, str(case))
        np.testing.assert_array_equal(grad_x, exact_x, str(case))
        taps = block_taps(r, stride)
        tiles = y.shape[0] * -(-y.shape[1] // outputs_of(taps)) * -(-y.shape[2] // outputs_of(taps))
        error = normwise_bound(r, "kernel", tiles, 1, 1, stride)
        assert error < 0.5
        np.testing.assert_allclose(grad_kernel, exact_kernel, rtol=0, atol=error, err_msg=str(case))


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_every_size_with_a_stride(isa: str, algorithm: str) -> None:
    assert len(cases(3, 2)) > 70
    for case in cases(3, 2):
        y, grad_x, _ = results(case, algorithm, needs=("x",))
        np.testing.assert_array_equal(y, exact(case)[0], str(case))
        np.testing.assert_array_equal(grad_x, exact(case)[1], str(case))
