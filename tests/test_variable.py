"""Weights: the ways in which they change, each of which gives them another version."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from konv.initializers import Initializer
from konv.layers import Dense, Layer
from konv.layers.variable import Variable
from konv.optimizers import SGD, Adam, Optimizer
from tolerance import assert_same_bits


def built(**options: Any) -> Variable:
    layer = Dense(2, **options)
    layer.build((None, 3))
    variable: Variable = layer.kernel
    return variable


def changed(variable: Variable, change: Any) -> bool:
    before = variable.version
    change()
    return variable.version != before


def test_value_is_read_only() -> None:
    variable = built()
    for value in (variable.value, variable.value[:1], np.asarray(variable.value)):
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0.0
    variable.assign(np.ones((3, 2)))
    with pytest.raises(ValueError, match="read-only"):
        variable.value[...] = 0.0


@pytest.mark.parametrize("shape", [(3, 2), ()])
def test_value_stays_read_only(shape: tuple[int, ...]) -> None:
    variable = Layer().add_weight("mine", shape, "ones")
    for value in (variable.value, variable.value.view(), variable.value.T):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            value.flags.writeable = True
        assert not isinstance(value.base, np.ndarray) or not value.base.flags.writeable


def test_copies_are_of_the_caller() -> None:
    variable = built()
    kept = variable.value.copy()
    for copied in (variable.numpy(), np.array(variable)):
        copied[...] = 7.0
    assert_same_bits(variable.value, kept)


def test_an_array_that_an_initializer_keeps_is_copied() -> None:
    class Mine(Initializer):
        def __init__(self) -> None:
            self.array = np.ones((3, 2), np.float32)

        def __call__(self, shape: tuple[int, ...], key: int) -> np.ndarray:
            return self.array

    initializer = Mine()
    variable = built(kernel_initializer=initializer)
    assert (variable.value == 1.0).all()
    initializer.array[...] = 2.0
    assert (variable.value == 1.0).all()


def test_an_assigned_array_is_copied() -> None:
    variable, array = built(), np.ones((3, 2), np.float32)
    variable.assign(array)
    array[...] = 2.0
    assert (variable.value == 1.0).all()


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam()], ids=["SGD", "momentum", "Adam"])
def test_each_change_gives_another_version(optimizer: Optimizer) -> None:
    variable = built()
    gradient = np.ones((3, 2), np.float32)
    assert not changed(variable, lambda: variable.value)
    assert changed(variable, lambda: variable.assign(gradient))
    assert changed(variable, lambda: optimizer.apply([gradient], [variable]))
    assert changed(variable, lambda: optimizer.apply([gradient], [variable]))
    assert not changed(variable, variable.numpy)


def test_a_version_that_was_read_during_a_change_is_outdated() -> None:
    variable = built()
    with variable.changing() as array:
        array[0] = 1.0
        during = variable.version
        array[1] = 1.0
    assert variable.version != during


def test_an_update_that_fails_gives_another_version() -> None:
    class Failing(SGD):
        def update(self, value: np.ndarray, *arguments: Any) -> None:
            value[0] = 1.0
            raise ArithmeticError

    variable = built()
    before = variable.version
    with pytest.raises(ArithmeticError):
        Failing().apply([np.ones((3, 2), np.float32)], [variable])
    assert variable.version != before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_change_by_themselves(copied: Any) -> None:
    variable = built()
    value = variable.value.copy()
    twin = copied(variable)
    assert_same_bits(twin.value, value)
    with twin.changing() as array:
        array[...] = 5.0
    assert (twin.value == 5.0).all()
    assert_same_bits(variable.value, value)


def test_a_pickle_holds_the_value_once() -> None:
    variable = built()
    assert variable.value.nbytes == 24
    small = len(pickle.dumps(variable))
    layer = Dense(1000)
    layer.build((None, 100))
    assert layer.kernel.value.nbytes == 400_000
    assert len(pickle.dumps(layer.kernel)) < 400_000 + 2 * small
