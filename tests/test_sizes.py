"""Wrong, degenerate and enormous sizes: for each argument of each op, the right error or the right answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calls import CALLS, FLOAT_ARRAYS, PAIRS, SHAPES, X, arguments, call, error_of, image, refused
from konv import ops

BEYOND_INT64 = [2**63, 10**30, -(2**63) - 1]
POOLS = ["max_pool2d", "avg_pool2d", "sum_pool2d"]

# Shapes that fit no good call, by op and argument.
IMAGES = [(), (4,), (5, 5, 4), (1, 2, 5, 5, 4), (2, 0, 5, 4), (2, 5, 0, 4), (2, 5, 5, 0)]
VECTORS = [(), (1, 4), (3,), (0,)]
BIASES = [(), (1, 8), (7,), (0,)]
MATRICES = [(), (4,), (3, 8), (0, 8), (4, 0), (1, 4, 8)]
GRADS = [(2, 3, 4, 4), (2, 4, 3, 4), (2, 4, 4, 3), (1, 4, 4, 4), (4, 4, 4), (2, 16, 4), (128,), (0, 4, 4, 4)]
WRONG_SHAPES: dict[str, dict[str, list[tuple[int, ...]]]] = {
    "conv2d": {
        "x": [*IMAGES, (2, 5, 5, 3), (2, 5, 5, 8), (2, 2, 5, 4), (2, 5, 2, 4)],
        "kernel": [
            *[(), (3, 3, 4), (1, 3, 3, 4, 8), (3, 3, 3, 8), (6, 3, 4, 8), (3, 6, 4, 8)],
            *[(0, 3, 4, 8), (3, 0, 4, 8), (3, 3, 0, 8), (3, 3, 4, 0), (3, 3, 4, 7)],
        ],
        "bias": BIASES,
    },
    "conv2d_backward": {
        "grad": [(2, 3, 3, 7), (2, 3, 4, 8), (2, 4, 3, 8), (1, 3, 3, 8), (3, 3, 8), (144,), (0, 3, 3, 8)],
        "x": [*IMAGES, (2, 5, 5, 3), (2, 6, 5, 4), (2, 5, 4, 4), (3, 5, 5, 4), (0, 5, 5, 4)],
        "kernel": [(3, 3, 4), (3, 3, 3, 8), (2, 3, 4, 8), (3, 3, 4, 7), (6, 3, 4, 8), (3, 3, 4, 0)],
    },
    "conv2d_transpose": {
        "x": [*IMAGES, (2, 5, 5, 8), (2, 5, 5, 3)],
        "kernel": [(), (3, 3, 8), (1, 3, 3, 8, 4), (3, 3, 8, 3), (0, 3, 8, 4), (3, 3, 0, 4), (3, 3, 8, 0)],
        "bias": BIASES,
    },
    "conv2d_transpose_backward": {
        "grad": [(2, 7, 7, 7), (2, 6, 7, 8), (2, 7, 8, 8), (1, 7, 7, 8), (7, 7, 8), (0, 7, 7, 8)],
        "x": [*IMAGES, (2, 5, 5, 8), (2, 4, 5, 4), (1, 5, 5, 4), (0, 5, 5, 4)],
        "kernel": [(3, 3, 8), (3, 3, 8, 3), (3, 3, 7, 4), (2, 3, 8, 4), (3, 3, 8, 0)],
    },
    "max_pool2d": {"x": [*IMAGES, (2, 1, 5, 4), (2, 5, 1, 4)]},
    "max_pool2d_with_argmax": {"x": [*IMAGES, (2, 1, 5, 4), (2, 5, 1, 4)]},
    "max_pool2d_backward": {
        "grad": GRADS,
        "argmax": GRADS,
        "input_shape": [(2, 6, 5, 4), (2, 5, 4, 4), (2, 5, 5, 3), (1, 5, 5, 4), (0, 5, 5, 4), (2, 1, 5, 4)],
    },
    "avg_pool2d": {"x": [*IMAGES, (2, 1, 5, 4), (2, 5, 1, 4)]},
    "avg_pool2d_backward": {"grad": GRADS, "input_shape": [(2, 6, 5, 4), (1, 5, 5, 4), (2, 5, 5, 3)]},
    "sum_pool2d": {"x": [*IMAGES, (2, 1, 5, 4), (2, 5, 1, 4)]},
    "sum_pool2d_backward": {"grad": GRADS, "input_shape": [(2, 6, 5, 4), (1, 5, 5, 4), (2, 5, 5, 3)]},
    "relu_backward": {"grad": [(), (5, 5, 4), (2, 5, 5, 3), (200,), (0,)], "y": [(2, 5, 5), (2, 5, 4, 5)]},
    "batch_norm": {
        "x": [(), (2, 5, 5, 3), (2, 5, 5, 0), (0,)],
        "gamma": VECTORS,
        "beta": VECTORS,
        "mean": VECTORS,
        "variance": VECTORS,
    },
    "batch_norm_train": {"x": [(), (2, 5, 5, 3), (2, 5, 5, 0)], "gamma": VECTORS, "beta": VECTORS},
    "batch_norm_backward": {
        "grad": [(), (2, 5, 5, 3), (50, 4), (0, 5, 5, 4)],
        "x": [(), (2, 5, 5, 3), (50, 4), (0, 5, 5, 4)],
        "gamma": VECTORS,
        "mean": VECTORS,
        "variance": VECTORS,
        "y": [(), (2, 5, 5, 3), (50, 4), (0, 5, 5, 4)],
    },
    "dense": {"x": [(), (2, 3), (2, 0), (2, 5, 5, 8)], "kernel": MATRICES, "bias": BIASES},
    "dense_backward": {
        "grad": [(), (2, 5, 5, 7), (49, 8), (1, 5, 5, 8), (0, 8)],
        "x": [(), (2, 5, 5, 3), (49, 4), (0, 4)],
        "kernel": [*MATRICES, (4, 7)],
    },
    "conv2d_output_shape": {
        "input_shape": [(2, 5, 5, 3), (2, 2, 5, 4), (2, 5, 2, 4)],
        "kernel_shape": [(3, 3, 3, 8), (6, 3, 4, 8), (3, 6, 4, 8)],
    },
    "conv2d_transpose_output_shape": {"input_shape": [(2, 5, 5, 8)], "kernel_shape": [(3, 3, 8, 3)]},
    "pool2d_output_shape": {"input_shape": [(2, 1, 5, 4), (2, 5, 1, 4)]},
}


@pytest.mark.parametrize(
    ("op", "argument", "shape"),
    [
        (op, argument, shape)
        for op, rows in WRONG_SHAPES.items()
        for argument in rows
        for shape in rows[argument]
    ],
)
def test_a_shape_that_does_not_fit_is_a_value_error(op: str, argument: str, shape: tuple[int, ...]) -> None:
    dtype = np.uint8 if argument == "argmax" else np.float32
    value = shape if argument in SHAPES else np.zeros(shape, dtype)
    with pytest.raises(ValueError, match=f"^{op}"):
        call(op, **{argument: value})


def test_every_array_and_shape_is_tested() -> None:
    tested = {(op, argument) for op, rows in WRONG_SHAPES.items() for argument in rows}
    assert tested == {*arguments(*FLOAT_ARRAYS, *SHAPES, "argmax")} - {("relu", "x")}  # relu takes any shape


@pytest.mark.parametrize(("op", "argument"), arguments(*PAIRS, "groups"))
def test_a_size_below_the_least_is_a_value_error(op: str, argument: str) -> None:
    least = 0 if argument == "output_padding" else 1
    for value in (least - 1, -1, -2, -(2**31), -(2**40), -(2**63)):
        refused(ValueError, op, argument, value)
    if argument != "groups":
        refused(ValueError, op, argument, (least, least - 1))
        refused(ValueError, op, argument, [least - 1, least])


@pytest.mark.parametrize(("op", "argument"), arguments("padding"))
def test_negative_padding_is_a_value_error(op: str, argument: str) -> None:
    for value in (-1, (0, -1), ((0, 0), (0, -1)), ((-1, 1), (0, 0)), -(2**40), -(2**63)):
        refused(ValueError, op, argument, value)


@pytest.mark.parametrize(("op", "argument"), arguments(*SHAPES))
def test_a_dimension_below_one_is_a_value_error(op: str, argument: str) -> None:
    good = CALLS[op][argument]
    for axis in range(4):
        for size in (0, -1, -(2**63)):
            if (axis, size, argument) != (0, 0, "input_shape"):  # a batch may be empty
                with pytest.raises(ValueError, match=f"^{op}: every dimension of .* at least 1, received"):
                    call(op, **{argument: (*good[:axis], size, *good[axis + 1 :])})


@pytest.mark.parametrize(("op", "argument"), arguments(*PAIRS, "padding", "groups", *SHAPES))
@pytest.mark.parametrize("value", BEYOND_INT64)
def test_an_int_beyond_64_bits_is_a_value_error(op: str, argument: str, value: int) -> None:
    if argument in SHAPES:
        refused(ValueError, op, argument, (2, 5, value, 4))
    else:
        refused(ValueError, op, argument, value)
        if argument != "groups":
            refused(ValueError, op, argument, (1, value))


@pytest.mark.parametrize(("op", "argument"), arguments(*PAIRS, "padding", "groups", *SHAPES))
@pytest.mark.parametrize("size", [2**20, 2**31, 2**40, 2**62, 2**63 - 1])
def test_an_enormous_int_gives_an_error_or_an_answer(op: str, argument: str, size: int) -> None:
    values = [(1, 5, size, 4), (size, 5, 5, 4)] if argument in SHAPES else [size]
    # The dtype of argmax follows from pool_size.
    wide = (
        {"argmax": np.zeros((2, 4, 4, 4), np.int32)}
        if (op, argument) == ("max_pool2d_backward", "pool_size")
        else {}
    )
    for value in values:
        error = error_of(op, **{argument: value}, **wide)
        if error is not None:
            assert isinstance(error, (ValueError, MemoryError))
            assert str(error).startswith(op), error


@pytest.mark.parametrize("groups", [3, 5, 2**31, 2**62])
@pytest.mark.parametrize("op", ["conv2d", "conv2d_backward", "conv2d_transpose", "conv2d_transpose_backward"])
def test_groups_that_do_not_divide_the_channels_are_a_value_error(op: str, groups: int) -> None:
    refused(ValueError, op, "groups", groups)


# Results of 4 TiB and more, from arguments of a few bytes. A broadcast view holds one number.
def view(*shape: int) -> np.ndarray:
    return np.broadcast_to(np.float32(1), shape)


ENORMOUS_RESULTS: list[tuple[str, dict[str, Any]]] = [
    ("conv2d", {"x": image(1, 1, 1, 1), "kernel": image(1, 1, 1, 64), "bias": None, "padding": 2**20}),
    ("conv2d", {"x": image(1, 1, 1, 1), "kernel": image(1, 1, 1, 64), "bias": None, "padding": 2**40}),
    ("conv2d", {"x": view(1, 2**20, 2**20, 4)}),
    ("conv2d", {"kernel": view(2**20, 2**20, 4, 8), "padding": "same"}),
    ("conv2d_backward", {"x": view(1, 2**20, 2**20, 4), "strides": 2**19}),
    ("conv2d_backward", {"grad": view(2, 2**20, 2**20, 8)}),
    ("conv2d_transpose", {"strides": 2**20}),
    ("conv2d_transpose", {"strides": 2**40}),
    ("conv2d_transpose", {"strides": 2**62}),
    ("conv2d_transpose", {"x": view(2**40, 5, 5, 4)}),
    ("conv2d_transpose_backward", {"grad": view(2, 2**20, 2**20, 8)}),
    *((op, {"padding": 2**20, "strides": 1, "pool_size": 1}) for op in [*POOLS, "max_pool2d_with_argmax"]),
    *((op, {"x": view(2**40, 5, 5, 4)}) for op in POOLS),
    *(
        (op, {"grad": image(1, 1, 1, 64), "input_shape": (1, 2**20, 2**20, 64), "strides": 2**20})
        for op in ("avg_pool2d_backward", "sum_pool2d_backward")
    ),
    (
        "max_pool2d_backward",
        {"grad": image(1, 1, 1, 64), "argmax": np.zeros((1, 1, 1, 64), np.uint8), "strides": 2**20}
        | {"input_shape": (1, 2**20, 2**20, 64)},
    ),
    ("relu", {"x": view(2**40)}),
    ("relu_backward", {"grad": view(2**40), "y": view(2**40)}),
    ("batch_norm", {"x": view(2**40, 4)}),
    ("batch_norm_train", {"x": view(2**40, 4)}),
    ("batch_norm_backward", {"grad": view(2**40, 4), "x": view(2**40, 4)}),
    ("dense", {"x": image(2**20, 1), "kernel": image(1, 2**20), "bias": None}),
    ("dense_backward", {"grad": view(2**40, 8), "x": view(2**40, 4)}),
]


@pytest.mark.parametrize(("op", "changes"), ENORMOUS_RESULTS)
def test_a_result_beyond_memory_is_a_memory_error_at_once(op: str, changes: dict[str, Any]) -> None:
    with pytest.raises(MemoryError, match=f"^{op}"):
        call(op, **changes)
    call(op)  # and the next call works


# --- enormous sizes that are legal ---


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_one_output_with_an_enormous_stride(size: int) -> None:
    np.testing.assert_array_equal(call("conv2d", strides=size), call("conv2d")[:, :1, :1])
    for op in POOLS:
        np.testing.assert_array_equal(call(op, strides=size), call(op)[:, :1, :1])


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_one_tap_with_an_enormous_dilation(size: int) -> None:
    kernel = image(1, 1, 4, 8)
    np.testing.assert_array_equal(
        call("conv2d", kernel=kernel, dilation_rate=size), call("conv2d", kernel=kernel)
    )
    for op in POOLS:
        np.testing.assert_array_equal(call(op, pool_size=1, dilation_rate=size), X)


@pytest.mark.parametrize("size", [2**20, 2**31, 2**40])
def test_same_padding_with_an_enormous_dilation_reads_the_middle_tap(size: int) -> None:
    kernel = CALLS["conv2d"]["kernel"]
    np.testing.assert_allclose(
        call("conv2d", dilation_rate=size, padding="same"), call("conv2d", kernel=kernel[1:2, 1:2]), rtol=1e-5
    )


@pytest.mark.parametrize("size", [2**31, 2**40])
def test_enormous_padding_with_an_enormous_stride(size: int) -> None:
    kernel = image(1, 1, 4, 8)
    y = call("conv2d", kernel=kernel, bias=None, padding=size, strides=size)
    middle = call("conv2d", kernel=kernel, bias=None)[:, :1, :1]
    np.testing.assert_array_equal(y, np.pad(middle, ((0, 0), (1, 1), (1, 1), (0, 0))))
    for op, outside in (("max_pool2d", -np.inf), ("avg_pool2d", 0), ("sum_pool2d", 0)):
        y = call(op, pool_size=1, padding=size, strides=size)
        expected = np.pad(X[:, :1, :1], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=outside)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("size", [2**20, 2**31, 2**40])
def test_same_padding_with_an_enormous_window_sees_the_whole_image(size: int) -> None:
    whole = X.sum(axis=(1, 2), keepdims=True)
    for strides in (None, 1):
        how: dict[str, Any] = {"pool_size": size, "padding": "same", "strides": strides}
        ones = np.ones_like(X) if strides else np.ones_like(whole)
        np.testing.assert_array_equal(call("max_pool2d", **how), X.max(axis=(1, 2), keepdims=True) * ones)
        np.testing.assert_allclose(call("sum_pool2d", **how), whole * ones, rtol=1e-5)
        np.testing.assert_allclose(call("avg_pool2d", **how), whole / 25 * ones, rtol=1e-5)
        grad = call("sum_pool2d_backward", grad=ones, **how)
        np.testing.assert_array_equal(grad, np.ones_like(X) * (25 if strides else 1))


def test_avg_pool2d_counts_an_enormous_padding() -> None:
    y = call("avg_pool2d", pool_size=2**20, strides=None, padding="same", count_include_pad=True)
    np.testing.assert_allclose(y, X.sum(axis=(1, 2), keepdims=True) / 2**40, rtol=1e-5)


def test_argmax_counts_up_to_int32() -> None:
    how: dict[str, Any] = {"pool_size": (2**15, 2**16), "strides": None, "padding": "same"}  # 2^31 positions
    y, argmax = call("max_pool2d_with_argmax", **how)
    before = ((2**15 - 5) // 2, (2**16 - 5) // 2)
    assert argmax.dtype == np.int32
    assert (argmax == (before[0] + 4) * 2**16 + before[1] + 4).all()  # X grows to its last pixel
    grad = call("max_pool2d_backward", grad=y, argmax=argmax, **how)
    assert np.count_nonzero(grad) == np.count_nonzero(grad[:, 4, 4]) == y.size
    with pytest.raises(ValueError, match=r"^max_pool2d.*argmax"):
        call("max_pool2d_with_argmax", pool_size=2**16, padding="same")
    assert call("max_pool2d", pool_size=2**16, strides=None, padding="same").shape == (2, 1, 1, 4)


@pytest.mark.parametrize("op", [op for op in CALLS if "shape" not in op])
def test_an_empty_batch_gives_an_empty_result_and_zero_gradients(op: str) -> None:
    empty = {name: value[:0] for name, value in CALLS[op].items() if name in ("x", "grad", "y", "argmax")}
    if "input_shape" in CALLS[op]:
        empty["input_shape"] = (0, *X.shape[1:])
    result = call(op, **empty)
    for array in result if isinstance(result, tuple) else (result,):
        assert not array.any()


def test_an_empty_batch_of_enormous_images() -> None:
    x = np.empty((0, 2**20, 2**20, 4), np.float32)
    assert call("conv2d", x=x).shape == (0, 2**20 - 2, 2**20 - 2, 8)
    assert call("max_pool2d", x=x, strides=None).shape == (0, 2**19, 2**19, 4)
    grad = np.empty((0, 2**20 - 2, 2**20 - 2, 8), np.float32)
    _, grad_kernel, grad_bias = call("conv2d_backward", grad=grad, x=x)
    assert not grad_kernel.any()
    assert not grad_bias.any()


def test_output_shapes_agree_with_the_ops() -> None:
    how: dict[str, Any] = {"strides": (2, 3), "padding": ((1, 2), (0, 1)), "dilation_rate": (1, 2)}
    shape = ops.conv2d_output_shape(X.shape, (3, 3, 4, 8), **how)
    assert shape == call("conv2d", **how).shape
    shape = ops.conv2d_transpose_output_shape(X.shape, (3, 3, 8, 4), **how, output_padding=1)
    assert shape == call("conv2d_transpose", **how, output_padding=1).shape
    shape = ops.pool2d_output_shape(X.shape, 2, **how, ceil_mode=True)
    assert shape == call("max_pool2d", **how, ceil_mode=True).shape


@pytest.mark.parametrize("groups", [1, 16])
@pytest.mark.parametrize("stride", [2**34, 2**40])
def test_a_transposed_stride_costs_what_its_taps_reach(stride: int, groups: int) -> None:
    x, kernel = np.ones((1, 1, 1, 16), np.float32), np.ones((1, 1, 16 // groups, 16), np.float32)
    with pytest.raises(MemoryError, match=r"^conv2d_transpose: result and scratch need"):
        ops.conv2d_transpose(x, kernel, strides=(stride, 1), groups=groups)
    empty = ops.conv2d_transpose(x[:0], kernel, strides=(stride, 1), groups=groups)
    assert empty.shape == (0, stride, 1, 16)


def test_phases_of_the_gradient_of_x_take_no_memory_of_their_own() -> None:
    side = 300
    kernel = image(side, side, 1, 2)
    y = ops.conv2d_transpose(np.ones((1, 1, 1, 2), np.float32), kernel, strides=side, groups=2)
    np.testing.assert_array_equal(y[0], kernel[:, :, 0])


@pytest.mark.parametrize("padding", [2**40, 2**60])
def test_an_empty_batch_of_results_beyond_any_array(padding: int) -> None:
    for op in ("conv2d", "avg_pool2d", "max_pool2d"):
        with pytest.raises(MemoryError, match=f"^{op}: "):
            call(op, x=X[:0], padding=padding)


def test_large_windows_keep_their_digits() -> None:
    x = np.ones((1, 5000, 5000, 1), np.float32)
    assert ops.avg_pool2d(x, 5000).item() == 1
