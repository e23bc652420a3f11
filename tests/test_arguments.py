"""Arguments of the wrong type or spelling: for each argument of each op, the right error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calls import CALLS, FLAGS, FLOAT_ARRAYS, OPTIONAL, PAIRS, SHAPES, arguments, call, refused
from konv import ops


@pytest.mark.parametrize("op", CALLS)
def test_the_good_calls_are_good(op: str) -> None:
    call(op)


def test_every_op_is_here() -> None:
    assert set(CALLS) == set(ops.__all__)


NOT_ARRAYS = [1.5, "text", [[1.0]], (1.0,), np.float32(1), object()]


@pytest.mark.parametrize(("op", "argument"), arguments(*FLOAT_ARRAYS, "argmax"))
def test_what_is_not_an_array_is_a_type_error(op: str, argument: str) -> None:
    none = [] if argument in OPTIONAL or (op, argument) == ("batch_norm_backward", "y") else [None]
    for value in [*NOT_ARRAYS, *none]:
        refused(TypeError, op, argument, value)


@pytest.mark.parametrize(("op", "argument"), arguments(*FLOAT_ARRAYS))
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "complex64", "object", "U3", ">f4"])
def test_an_array_of_another_dtype_is_a_type_error(op: str, argument: str, dtype: str) -> None:
    refused(TypeError, op, argument, CALLS[op][argument].astype(dtype))


@pytest.mark.parametrize(("op", "argument"), arguments(*FLOAT_ARRAYS))
def test_mixed_precision_is_a_type_error(op: str, argument: str) -> None:
    if sum(name in FLOAT_ARRAYS for name in CALLS[op]) == 1:
        assert call(op, **{argument: CALLS[op][argument].astype(np.float64)}) is not None
    else:
        with pytest.raises(TypeError, match=f"^{op}: all arrays must have one dtype, received .*float32"):
            call(op, **{argument: CALLS[op][argument].astype(np.float64)})


@pytest.mark.parametrize(("op", "argument"), arguments(*FLOAT_ARRAYS, "argmax"))
def test_a_masked_array_is_a_type_error(op: str, argument: str) -> None:
    refused(TypeError, op, argument, np.ma.masked_array(CALLS[op][argument]))


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "float32", ">u2"])
def test_argmax_of_another_dtype_is_a_type_error(dtype: str) -> None:
    refused(TypeError, "max_pool2d_backward", "argmax", np.zeros((2, 4, 4, 4), dtype))


@pytest.mark.parametrize(("op", "argument"), arguments(*PAIRS, "padding", "groups", *SHAPES))
def test_what_is_not_an_int_is_a_type_error(op: str, argument: str) -> None:
    wrong: list[Any] = [
        1.0,
        True,
        np.bool_(True),
        b"same",
        object(),
        {1: 1},
        np.array([1, 1]),
        np.float64(1),
        1j,
    ]
    if argument != "groups" and argument not in SHAPES:
        wrong += [(1, 1.5), (True, 1), [1, None], (1, "1"), (1, (1, 1))]
    if argument == "groups":
        wrong += [(1, 1), [1]]
    if argument in SHAPES:
        wrong += [4, (2, 5, 5, 4.0), (2, 5, 5, True), (None, 5, 5, 4)]
    if argument not in OPTIONAL and not (argument == "strides" and "pool" in op):
        wrong.append(None)
    for value in wrong:
        refused(TypeError, op, argument, value)


@pytest.mark.parametrize(("op", "argument"), arguments(*PAIRS, "padding", *SHAPES))
def test_a_wrong_number_of_ints_is_a_value_error(op: str, argument: str) -> None:
    wrong: list[Any] = [(), (1,), [1, 1, 1], (1, 1, 1, 1, 1)]
    if argument == "padding":
        wrong += [(1, 1, 1, 1), ((1, 1), (1, 1, 1)), ((), ()), "SAME", "full", ""]
    for value in wrong:
        refused(ValueError, op, argument, value)


@pytest.mark.parametrize(("op", "argument"), arguments(*FLAGS))
def test_what_is_not_a_bool_is_a_type_error(op: str, argument: str) -> None:
    for value in (0, 1, None, "False", np.int64(1), np.array([True])):
        refused(TypeError, op, argument, value)
    call(op, **{argument: np.bool_(True)})


@pytest.mark.parametrize(("op", "argument"), arguments("activation", "algorithm"))
def test_names_are_known_strings(op: str, argument: str) -> None:
    for value in (1, True, b"relu", ["relu"], ("direct",)):
        refused(TypeError, op, argument, value)
    for value in ("", "RELU", "gelu", "fast"):
        refused(ValueError, op, argument, value)


@pytest.mark.parametrize(("op", "argument"), arguments("needs"))
def test_needs_holds_known_names(op: str, argument: str) -> None:
    for value in ("x", None, 1, {"x": True}, (1,), ["x", None]):
        refused(TypeError, op, argument, value)
    with pytest.raises(ValueError, match=f"^{op}: needs may name"):
        call(op, needs=("x", "gamma"))
    for needs in ((), ["x"], {"kernel"}, frozenset({"bias", "x"}), ("bias", "bias")):
        given = [gradient is not None for gradient in call(op, needs=needs)]
        assert given == [name in needs for name in ("x", "kernel", "bias")]


@pytest.mark.parametrize(("op", "argument"), arguments("epsilon"))
def test_epsilon_is_a_finite_number_of_at_least_zero(op: str, argument: str) -> None:
    for value in (None, True, "1e-3", 1j, np.array([1e-3]), (1e-3,)):
        refused(TypeError, op, argument, value)
    for value in (-1e-9, -1, float("nan"), float("inf"), np.float32("nan"), 10**400):
        refused(ValueError, op, argument, value)
    for value in (0.0, 1, np.float32(1e-3), np.int8(1), 1e30):
        call(op, epsilon=value)
