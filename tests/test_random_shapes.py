"""Convolution, transposed convolution and pooling on shapes that nobody chose, legal or not.

The numbers are small integers, so every right result equals the reference exactly, except by Winograd's
algorithm (test_winograd.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import reference
from arrays import draw_integers
from cases import ConvCase, PoolCase, TransposeCase
from konv import ops
from tolerance import sum_error


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "auto" take no algorithm that isn't exact."""
    monkeypatch.setenv("KONV_ALGORITHM", "direct")


def pairs(largest: int, smallest: int = 1) -> st.SearchStrategy[Any]:
    """An int or a pair of ints."""
    number = st.integers(smallest, largest)
    return number | st.tuples(number, number)


paddings = (
    st.sampled_from(["valid", "same"]) | pairs(4, 0) | st.tuples(*[st.tuples(*[st.integers(0, 4)] * 2)] * 2)
)
channels = st.integers(1, 5) | st.sampled_from([8, 15, 16, 17, 33])


@st.composite
def conv_cases(draw: st.DrawFn) -> ConvCase:
    groups, in_group, out_group = draw(st.integers(1, 3)), draw(channels), draw(channels)
    size, kernel = [draw(st.tuples(st.integers(1, top), st.integers(1, top))) for top in (10, 4)]
    return ConvCase(
        "random",
        (draw(st.integers(0, 3)), *size, groups * in_group),
        (*kernel, in_group, groups * out_group),
        draw(pairs(4)),
        draw(paddings),
        draw(pairs(3)),
        groups,
    )


@st.composite
def transpose_cases(draw: st.DrawFn) -> TransposeCase:
    conv = draw(conv_cases())
    n, h, w, _ = conv.x
    x = (n, (h + 1) // 2, (w + 1) // 2, conv.kernel[3])
    output_padding = draw(st.none() | pairs(3, 0))
    options = {name: value for name, value in conv.options.items() if name != "strides"}
    return TransposeCase("random", x, conv.kernel, conv.strides, output_padding=output_padding, **options)


@st.composite
def pool_cases(draw: st.DrawFn) -> PoolCase:
    x = (draw(st.integers(0, 3)), draw(st.integers(1, 10)), draw(st.integers(1, 10)), draw(channels))
    strides = draw(st.none() | pairs(4))
    return PoolCase("random", x, draw(pairs(4)), strides, draw(paddings), draw(pairs(3)), draw(st.booleans()))


@given(case=conv_cases())
def test_conv2d(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    shape = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    x, kernel = draw_integers("x", case.x, dtype), draw_integers("kernel", case.kernel, dtype)
    bias = draw_integers("bias", case.kernel[3:], dtype)
    if min(shape[1:3]) < 1:
        with pytest.raises(ValueError, match=r"^conv2d: the output's (height|width) would be"):
            ops.conv2d(x, kernel, bias, **case.options)
        return
    y = ops.conv2d(x, kernel, bias, **case.options)
    np.testing.assert_array_equal(y, reference.conv2d(x, kernel, bias, **case.options))
    grad = draw_integers("grad", shape, dtype)
    exact = reference.conv2d_backward(grad, x, kernel, **case.options)
    for result, expected in zip(ops.conv2d_backward(grad, x, kernel, **case.options), exact, strict=True):
        np.testing.assert_array_equal(result, expected)


@given(case=transpose_cases())
def test_conv2d_transpose(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    shape = reference.conv2d_transpose_output_shape(case.x, case.kernel, **case.options)
    note(f"output {shape}")
    x, kernel = draw_integers("x", case.x, dtype), draw_integers("kernel", case.kernel, dtype)
    bias = draw_integers("bias", shape[3:], dtype)
    legal = min(shape[1:3]) >= 1
    if not legal or reference.conv2d_output_shape(shape, case.kernel, **case.conv_options) != case.x:
        with pytest.raises(ValueError, match=r"^conv2d_transpose: "):
            ops.conv2d_transpose(x, kernel, bias, **case.options)
        return
    y = ops.conv2d_transpose(x, kernel, bias, **case.options)
    np.testing.assert_array_equal(y, reference.conv2d_transpose(x, kernel, bias, **case.options))
    grad = draw_integers("grad", shape, dtype)
    exact = reference.conv2d_transpose_backward(grad, x, kernel, **case.options)
    results = ops.conv2d_transpose_backward(grad, x, kernel, **case.options)
    for result, expected in zip(results, exact, strict=True):
        np.testing.assert_array_equal(result, expected)


@given(case=pool_cases())
def test_pooling(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    size, options = case.pool_size, case.options
    shape = reference.pool2d_output_shape(case.x, size, **options)
    x = draw_integers("x", case.x, dtype)
    if min(shape[1:3]) < 1:
        for op in (ops.max_pool2d, ops.max_pool2d_with_argmax, ops.avg_pool2d, ops.sum_pool2d):
            with pytest.raises(ValueError, match=rf"^{op.__name__}: the output's (height|width) would be"):
                op(x, size, **options)
        return
    y, argmax = ops.max_pool2d_with_argmax(x, size, **options)
    expected, positions = reference.max_pool2d_with_argmax(x, size, **options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(argmax, positions)
    np.testing.assert_array_equal(ops.max_pool2d(x, size, **options), expected)
    np.testing.assert_array_equal(
        ops.sum_pool2d(x, size, **options), reference.sum_pool2d(x, size, **options)
    )
    grad = draw_integers("grad", shape, dtype)
    np.testing.assert_array_equal(
        ops.max_pool2d_backward(grad, argmax, case.x, size, **options),
        reference.max_pool2d_backward(grad, positions, case.x, size, **options),
    )
    np.testing.assert_array_equal(
        ops.sum_pool2d_backward(grad, case.x, size, **options),
        reference.sum_pool2d_backward(grad, case.x, size, **options),
    )
    # A window has at most 16 pixels, and as many windows cover a pixel; 2 more roundings divide.
    error_of_mean = float(sum_error(16 + 2, np.float64(3), dtype))
    for include in (False, True):
        mean = {**options, "count_include_pad": include}
        y, expected = ops.avg_pool2d(x, size, **mean), reference.avg_pool2d(x, size, **mean)
        np.testing.assert_allclose(y, expected, rtol=0, atol=error_of_mean)
        grad_x = ops.avg_pool2d_backward(grad, case.x, size, **mean)
        expected = reference.avg_pool2d_backward(grad, case.x, size, **mean)
        np.testing.assert_allclose(grad_x, expected, rtol=0, atol=16 * error_of_mean)
