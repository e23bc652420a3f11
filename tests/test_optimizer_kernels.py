"""One-pass steps of SGD and Adam against their formulas in float64, and that they touch nothing else.

Rates and decays are powers of two, exact in float32. Bounds follow `tolerance`: a step is a sum of at most
three products, each of a handful of factors, so that so many roundings of the sum of magnitudes cover it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arrays import GUARD, Array, draw
from konv import _core
from tolerance import Expected, assert_close, assert_same_bits, sum_error

LENGTHS = (*range(70), 1000)
LONG = 3 * 65_536 + 5  # several blocks of the driver and a tail

SGD_RATE, SGD_MOMENTUM = 0.25, 0.5
ADAM_RATE, BETA_1, BETA_2, EPSILON = 0.125, 0.75, 0.875, 0.0625
DECAYS = (0.0, 0.03125)

every_decay = pytest.mark.parametrize("decay", DECAYS)
every_sgd = pytest.mark.parametrize("kind", ["plain", "momentum", "nesterov"])
every_adam = pytest.mark.parametrize("amsgrad", [False, True])


def sgd_arrays(kind: str, length: int, dtype: Any) -> list[Array]:
    """Value and gradient, and velocity if there is one."""
    names = ("value", "gradient") if kind == "plain" else ("value", "gradient", "velocity")
    return [draw(f"sgd {name}", (length,), dtype) for name in names]


def sgd_step(kind: str, arrays: list[Array], decay: float, rate: float = SGD_RATE) -> None:
    value, gradient, *velocity = arrays
    momentum, nesterov = SGD_MOMENTUM, kind == "nesterov"
    _core.sgd_step(value, gradient, velocity[0] if velocity else None, rate, momentum, nesterov, decay)


def adam_arrays(amsgrad: bool, length: int, dtype: Any) -> list[Array]:
    """Value, gradient, momentum, velocity, and the largest velocity for amsgrad; velocities are positive."""
    arrays = [draw(f"adam {name}", (length,), dtype) for name in ("value", "gradient", "momentum")]
    positive = [draw(f"adam {name}", (length,), dtype) for name in ("velocity", "largest")[: 1 + amsgrad]]
    for array in positive:
        np.abs(array, out=array)
    return arrays + positive


def adam_step(arrays: list[Array], decay: float, rate: float = ADAM_RATE) -> None:
    *most, velocity = arrays if len(arrays) == 5 else [*arrays, None]
    _core.adam_step(*most, velocity, rate, BETA_1, BETA_2, EPSILON, decay)


def float64(arrays: list[Array]) -> list[Array]:
    return [array.astype(np.float64) for array in arrays]


def expect_sgd(kind: str, arrays: list[Array], decay: float) -> list[Expected]:
    value, gradient, *rest = float64(arrays)
    step = SGD_RATE * gradient
    magnitude = abs(value) * (1 + decay) + abs(step)
    value = value - value * decay
    if kind == "plain":
        return [Expected(value - step, sum_error(4, magnitude, arrays[0].dtype))]
    velocity = SGD_MOMENTUM * rest[0] - step
    velocity_magnitude = SGD_MOMENTUM * abs(rest[0]) + abs(step)
    value += SGD_MOMENTUM * velocity - step if kind == "nesterov" else velocity
    return [
        Expected(value, sum_error(8, magnitude + velocity_magnitude, arrays[0].dtype)),
        Expected(velocity, sum_error(3, velocity_magnitude, arrays[0].dtype)),
    ]


def expect_adam(amsgrad: bool, arrays: list[Array], decay: float) -> list[Expected]:
    """The relative error of the change is at most those of the momentum and of half the velocity under the
    root, and five roundings more."""
    value, gradient, momentum, velocity, *rest = float64(arrays)
    momentum_magnitude = abs(momentum) + (1 - BETA_1) * (abs(gradient) + abs(momentum))
    velocity_magnitude = velocity + (1 - BETA_2) * (gradient**2 + velocity)
    momentum = momentum + (1 - BETA_1) * (gradient - momentum)
    velocity = velocity + (1 - BETA_2) * (gradient**2 - velocity)
    expected = [
        Expected(momentum, sum_error(3, momentum_magnitude, arrays[0].dtype)),
        Expected(velocity, sum_error(4, velocity_magnitude, arrays[0].dtype)),
    ]
    error = velocity_magnitude / velocity
    if amsgrad:
        velocity = np.maximum(velocity, rest[0])
        expected.append(Expected(velocity, sum_error(4, velocity_magnitude, arrays[0].dtype)))
    scale = ADAM_RATE / (np.sqrt(velocity) + EPSILON)
    change = momentum_magnitude * scale * (1 + error)
    result = value - value * decay - momentum * scale
    magnitude = abs(value) * (1 + decay) + change
    return [Expected(result, sum_error(12, magnitude, arrays[0].dtype)), *expected]


@every_decay
@every_sgd
def test_sgd(isa: str, dtype: np.dtype[Any], kind: str, decay: float) -> None:
    for length in LENGTHS:
        arrays = sgd_arrays(kind, length, dtype)
        expected = expect_sgd(kind, arrays, decay)
        sgd_step(kind, arrays, decay)
        for array, wanted in zip((arrays[0], *arrays[2:]), expected, strict=True):
            assert_close(array, wanted, dtype)
        assert_same_bits(arrays[1], sgd_arrays(kind, length, dtype)[1])


@every_decay
@every_adam
def test_adam(isa: str, dtype: np.dtype[Any], amsgrad: bool, decay: float) -> None:
    for length in LENGTHS:
        arrays = adam_arrays(amsgrad, length, dtype)
        expected = expect_adam(amsgrad, arrays, decay)
        adam_step(arrays, decay)
        for array, wanted in zip((arrays[0], *arrays[2:]), expected, strict=True):
            assert_close(array, wanted, dtype)
        assert_same_bits(arrays[1], adam_arrays(amsgrad, length, dtype)[1])


STEPS: dict[str, tuple[Callable[..., list[Array]], Callable[..., None]]] = {
    "sgd": (
        lambda length, dtype: sgd_arrays("nesterov", length, dtype),
        lambda arrays, **rate: sgd_step("nesterov", arrays, DECAYS[1], **rate),
    ),
    "adam": (
        lambda length, dtype: adam_arrays(True, length, dtype),
        lambda arrays, **rate: adam_step(arrays, DECAYS[1], **rate),
    ),
}
every_step = pytest.mark.parametrize(("make", "step"), STEPS.values(), ids=STEPS)


@every_step
def test_nothing_beside_the_arrays_is_written(isa: str, dtype: np.dtype[Any], make: Any, step: Any) -> None:
    for length in range(40):
        arrays = make(length, dtype)
        outside = [[array.base[:GUARD], array.base[GUARD + length :]] for array in arrays]
        for before, behind in outside:
            before[:], behind[:] = 2.0, 2.0  # a step would change them; NaN it would leave
        step(arrays)
        for before, behind in outside:
            assert (before == 2.0).all()
            assert (behind == 2.0).all()


@every_step
def test_an_element_does_not_depend_on_its_place(
    isa: str, dtype: np.dtype[Any], make: Any, step: Any
) -> None:
    """Whole vectors, the last partial one and a single element go through the same instructions."""
    whole = make(100, dtype)
    step(whole)
    for first, end in ((0, 1), (1, 2), (3, 40), (16, 49), (99, 100)):
        part = [array[first:end].copy() for array in make(100, dtype)]
        step(part)
        for array, of_whole in zip(part, whole, strict=True):
            assert_same_bits(array, of_whole[first:end])


@every_step
def test_threads_do_not_change_a_bit(
    isa: str, dtype: np.dtype[Any], set_threads: Callable[[int], None], make: Any, step: Any
) -> None:
    set_threads(1)
    expected = make(LONG, dtype)
    step(expected)
    for threads in (2, 3, 4):
        set_threads(threads)
        arrays = make(LONG, dtype)
        step(arrays)
        for array, wanted in zip(arrays, expected, strict=True):
            assert_same_bits(array, wanted)


def test_blocks_are_all_changed(dtype: np.dtype[Any], set_threads: Callable[[int], None]) -> None:
    set_threads(2)
    for kind in ("plain", "nesterov"):
        arrays = sgd_arrays(kind, LONG, dtype)
        expected = expect_sgd(kind, arrays, 0.0)
        sgd_step(kind, arrays, 0.0)
        for array, wanted in zip((arrays[0], *arrays[2:]), expected, strict=True):
            assert_close(array, wanted, dtype)
    for amsgrad in (False, True):
        arrays = adam_arrays(amsgrad, LONG, dtype)
        expected = expect_adam(amsgrad, arrays, 0.0)
        adam_step(arrays, 0.0)
        for array, wanted in zip((arrays[0], *arrays[2:]), expected, strict=True):
            assert_close(array, wanted, dtype)


def test_shapes_of_any_rank(dtype: np.dtype[Any]) -> None:
    value, gradient = draw("value", (3, 4, 5), dtype), draw("gradient", (3, 4, 5), dtype)
    expected = value - gradient
    _core.sgd_step(value, gradient, None, 1.0, 0.0, False, 0.0)
    assert_same_bits(value, expected)
    scalar = np.array(2.0, dtype)
    _core.sgd_step(scalar, np.array(3.0, dtype), None, 1.0, 0.0, False, 0.0)
    assert scalar == -1.0


def test_non_finite_gradients_go_where_the_formulas_take_them(isa: str, dtype: np.dtype[Any]) -> None:
    gradient = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max, 1.0] * 5, dtype)
    value, velocity = np.ones(25, dtype), np.zeros(25, dtype)
    _core.sgd_step(value, gradient, velocity, 4.0, 0.5, False, 0.0)
    np.testing.assert_array_equal(velocity[:5], [np.nan, -np.inf, np.inf, -np.inf, -4.0])
    np.testing.assert_array_equal(value[:5], [np.nan, -np.inf, np.inf, -np.inf, -3.0])

    value, momentum, velocity, largest = np.ones(25, dtype), *np.zeros((3, 25), dtype)
    _core.adam_step(value, gradient, momentum, velocity, largest, 1.0, 0.5, 0.5, 0.0, 0.0)
    np.testing.assert_array_equal(velocity[:5], [np.nan, np.inf, np.inf, np.inf, 0.5])
    np.testing.assert_array_equal(largest, velocity)
    # inf / inf is NaN; a finite momentum over a velocity that overflowed is 0.
    np.testing.assert_array_equal(np.isnan(value[:5]), [True, True, True, False, False])
    assert value[3] == 1.0
    for array in (value, momentum, velocity, largest):
        np.testing.assert_array_equal(array, np.tile(array[:5], 5))


def test_without_decay_an_infinite_weight_stays(dtype: np.dtype[Any]) -> None:
    value = np.array([np.inf, -np.inf], dtype)
    _core.sgd_step(value, np.ones(2, dtype), None, 1.0, 0.0, False, 0.0)
    assert value.tolist() == [np.inf, -np.inf]
    _core.sgd_step(value, np.ones(2, dtype), None, 1.0, 0.0, False, 0.5)
    assert np.isnan(value).all()


def test_a_rate_beyond_float32_is_infinite() -> None:
    value = np.zeros(3, np.float32)
    _core.sgd_step(value, np.array([1, -1, 0], np.float32), None, 1e300, 0.0, False, 0.0)
    np.testing.assert_array_equal(value, [-np.inf, np.inf, np.nan])
    _core.sgd_step(value := np.ones(1, np.float32), np.ones(1, np.float32), None, 1.0, 0.0, False, -1e300)
    assert value.tolist() == [np.inf]


ONES, OTHER, THIRD = np.ones(4, np.float32), np.ones(4, np.float32), np.ones(4, np.float32)
READ_ONLY = np.ones(4, np.float32)
READ_ONLY.flags.writeable = False
BAND = np.ones(6, np.float32)


@pytest.mark.parametrize(
    ("error", "arrays", "message"),
    [
        (
            ValueError,
            (ONES, np.ones(3, np.float32), None),
            r"gradient must have the shape \(4,\), received \(3,\)",
        ),
        (ValueError, (ONES, OTHER, np.ones((2, 2), np.float32)), r"velocity must have the shape \(4,\)"),
        (ValueError, (ONES, ONES, None), "gradient must share no memory with value, received overlapping"),
        (ValueError, (BAND[:4], OTHER, BAND[3:]), r"velocity must have the shape \(4,\)"),
        (ValueError, (BAND[:4], OTHER, BAND[2:]), "velocity must share no memory with value"),
        (ValueError, (ONES, BAND[2:], BAND[:4]), "velocity must share no memory with gradient"),
        (ValueError, (READ_ONLY, OTHER, None), "value must be writable, received a read-only array"),
        (ValueError, (ONES, OTHER, READ_ONLY), "velocity must be writable"),
        (TypeError, (ONES, OTHER.astype(float), None), "gradient must have the dtype float32 of the first"),
        (
            TypeError,
            (ONES.astype(int), OTHER, None),
            "value must have the dtype float32 or float64, received",
        ),
        (TypeError, (np.ones(8, np.float32)[::2], OTHER, None), "value must be C-contiguous and aligned"),
        (TypeError, (ONES, OTHER, np.ones(8, np.float32)[::2]), "velocity must be C-contiguous and aligned"),
    ],
)
def test_sgd_refuses(error: type[Exception], arrays: tuple[Any, ...], message: str) -> None:
    with pytest.raises(error, match=f"^sgd_step: {message}"):
        _core.sgd_step(*arrays, 1.0, 0.5, False, 0.0)
    assert (ONES == 1).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((ONES, OTHER, ONES, THIRD, None), "momentum must share no memory with value"),
        ((ONES, OTHER, THIRD, THIRD, None), "velocity must share no memory with momentum"),
        ((ONES, OTHER, THIRD, BAND[:4], BAND[1:5]), "velocity_hat must share no memory with velocity"),
        ((ONES, OTHER, THIRD, BAND[:3], None), r"velocity must have the shape \(4,\), received \(3,\)"),
        ((ONES, OTHER, THIRD, BAND[:4], READ_ONLY), "velocity_hat must be writable"),
    ],
)
def test_adam_refuses(arrays: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^adam_step: {message}"):
        _core.adam_step(*arrays, 1.0, 0.5, 0.5, 0.0, 0.0)
    assert (ONES == 1).all()
