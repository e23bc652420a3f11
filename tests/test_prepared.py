"""Prepared kernels: the bits of the plain call, for any batch, whatever happens to the array afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from arrays import draw
from cases import CONV_CASES, DENSE_CASES, ConvCase, DenseCase
from konv import _core, ops
from konv._arguments import pads, pair
from tolerance import assert_same_bits

DTYPES = ("float32", "float64")


def prepare(case: ConvCase, kernel: np.ndarray, algorithm: str = "auto") -> _core.PreparedKernel:
    return _core.prepare_conv2d(
        kernel,
        case.x[1:],
        pair("test", "strides", case.strides),
        pads("test", case.padding),
        pair("test", "dilation_rate", case.dilation_rate),
        case.groups,
        algorithm,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ["auto", "direct", "reference"])
@pytest.mark.parametrize("case", CONV_CASES, ids=lambda case: case.name)
def test_conv2d(case: ConvCase, algorithm: str, dtype: str) -> None:
    kernel = draw("kernel", case.kernel, dtype)
    bias = draw("bias", case.kernel[-1:], dtype)
    prepared = prepare(case, kernel, algorithm)
    plain = kernel.copy()
    kernel[...] = np.nan  # the prepared kernel is a copy
    for images in (case.x[0], 1, 3):
        x = draw("x", (images, *case.x[1:]), dtype)
        expected = ops.conv2d(x, plain, bias, **case.options, activation="relu", algorithm=algorithm)
        assert_same_bits(_core.apply_prepared(x, prepared, bias, True, None), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ["auto", "direct", "reference"])
@pytest.mark.parametrize("case", CONV_CASES, ids=lambda case: case.name)
def test_addend(case: ConvCase, algorithm: str, dtype: str) -> None:
    """The bits of three passes: convolution and bias, sum, ReLU."""
    kernel, bias = draw("kernel", case.kernel, dtype), draw("bias", case.kernel[-1:], dtype)
    prepared = prepare(case, kernel, algorithm)
    for images in (case.x[0], 3):
        x = draw("x", (images, *case.x[1:]), dtype)
        for added in (bias, None):
            y = ops.conv2d(x, kernel, added, **case.options, algorithm=algorithm)
            addend = draw("addend", y.shape, dtype)
            total = _core.apply_prepared(x, prepared, added, False, addend)
            assert_same_bits(total, y + addend)
            assert_same_bits(_core.apply_prepared(x, prepared, added, True, addend), ops.relu(total))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", DENSE_CASES, ids=lambda case: case.name)
def test_dense(case: DenseCase, dtype: str) -> None:
    kernel = draw("kernel", (case.x[-1], case.units), dtype)
    prepared = _core.prepare_dense(kernel)
    for x in (draw("x", case.x, dtype), draw("x", (2, 3, case.x[-1]), dtype), draw("x", case.x[-1:], dtype)):
        assert_same_bits(_core.apply_prepared(x, prepared, None, False, None), ops.dense(x, kernel))


def test_counts_its_bytes() -> None:
    kernel = draw("kernel", (3, 3, 32, 32), "float32")
    before = _core.pool_info()["bytes_in_use"]
    prepared = _core.prepare_conv2d(kernel, (8, 8, 32), (1, 1), "valid", (1, 1), 1, "direct")
    assert prepared.nbytes >= kernel.nbytes
    assert _core.pool_info()["bytes_in_use"] == before + prepared.nbytes
    del prepared
    assert _core.pool_info()["bytes_in_use"] == before


def test_messages() -> None:
    kernel = draw("kernel", (3, 3, 4, 8), "float32")
    prepared = _core.prepare_conv2d(kernel, (5, 6, 4), (1, 1), "valid", (1, 1), 1, "auto")
    x = draw("x", (2, 5, 6, 4), "float32")
    with pytest.raises(ValueError, match=r"apply_prepared: x must end in the dimensions \(5, 6, 4\) of the"):
        _core.apply_prepared(x[:, :, :5].copy(), prepared, None, False, None)
    with pytest.raises(ValueError, match=r"apply_prepared: x must end in .*, received \(4,\)"):
        _core.apply_prepared(draw("x", (4,), "float32"), prepared, None, False, None)
    with pytest.raises(TypeError, match="apply_prepared: x must have the dtype float32"):
        _core.apply_prepared(x.astype("float64"), prepared, None, False, None)
    with pytest.raises(ValueError, match=r"apply_prepared: bias must have"):
        _core.apply_prepared(x, prepared, draw("bias", (7,), "float32"), False, None)
    for shape in ((2, 3, 4, 7), (1, 3, 4, 8), (3, 4, 8)):
        message = (
            rf"apply_prepared: addend must have the shape \(2, 3, 4, 8\), received \({str(shape)[1:-1]}\)"
        )
        with pytest.raises(ValueError, match=message):
            _core.apply_prepared(x, prepared, None, False, draw("addend", shape, "float32"))
    with pytest.raises(TypeError, match="apply_prepared: addend must have the dtype float32"):
        _core.apply_prepared(x, prepared, None, False, draw("addend", (2, 3, 4, 8), "float64"))
    with pytest.raises(ValueError, match="prepare_conv2d: algorithm"):
        _core.prepare_conv2d(kernel, (5, 6, 4), (1, 1), "valid", (1, 1), 1, "magic")
    with pytest.raises(ValueError, match=r"prepare_dense: kernel must have 2 dimensions \(C, units\)"):
        _core.prepare_dense(kernel)
