"""Add and Concatenate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from konv.layers import Add, Concatenate, Context, add, concatenate
from numeric_gradient import numeric_gradient

# name: (layer, shapes of the inputs)
CASES = {
    "add": (Add, [(2, 3, 4), (2, 3, 4)]),
    "add one": (Add, [(2, 3)]),
    "add three": (Add, [(2, 3), (2, 3), (2, 3)]),
    "add repeated": (Add, [(2, 1, 4), (2, 3, 1), (2, 1, 1), (2, 3, 4)]),
    "add of several ranks": (Add, [(2, 4), (2, 3, 3, 4), (2, 3, 1)]),
    "concatenate": (Concatenate, [(2, 3, 4), (2, 3, 1), (2, 3, 2)]),
    "concatenate one": (Concatenate, [(2, 3)]),
    "concatenate along 1": (lambda: Concatenate(1), [(2, 3, 4), (2, 1, 4)]),
}


@pytest.fixture(params=CASES)
def case(request):
    make, shapes = CASES[request.param]
    layer = make()
    layer.build([(None, *shape[1:]) for shape in shapes])
    random = np.random.default_rng(0)
    inputs = [random.normal(size=shape) for shape in shapes]
    y, saved = layer.forward(inputs, Context(training=True))
    return layer, inputs, y, saved, random.normal(size=y.shape)


def test_gradients(case):
    layer, inputs, _, saved, grad = case
    grads, weights = layer.backward(grad, saved, needs_input=True)
    assert weights == []
    for number, x in enumerate(inputs):

        def forward(changed, number=number):
            return layer.forward([*inputs[:number], changed, *inputs[number + 1 :]], Context())[0]

        numeric = numeric_gradient(forward, x, grad, 1e-3)
        np.testing.assert_allclose(grads[number], numeric, rtol=1e-9, atol=1e-10)
    assert layer.backward(grad, saved, needs_input=False) == (None, [])


def test_shape_is_as_computed(case):
    layer, inputs, y, _, _ = case
    assert layer.compute_output_shape([x.shape for x in inputs]) == y.shape
    assert layer.compute_output_shape([(None, *x.shape[1:]) for x in inputs]) == (None, *y.shape[1:])


def test_inputs_and_gradient_do_not_change(case):
    layer, inputs, _, saved, grad = case
    before = [x.copy() for x in inputs], grad.copy()
    layer.forward(inputs, Context())
    layer.backward(grad, saved, needs_input=True)
    assert all(np.array_equal(*pair) for pair in zip(before[0], inputs, strict=True))
    assert np.array_equal(before[1], grad)


def test_an_image_does_not_depend_on_its_batch(case):
    layer, inputs, y, saved, grad = case
    grads, _ = layer.backward(grad, saved, needs_input=True)
    for i in range(2):
        single, saved = layer.forward([x[i : i + 1] for x in inputs], Context())
        assert np.array_equal(single[0], y[i])
        single_grads, _ = layer.backward(grad[i : i + 1], saved, needs_input=True)
        assert all(np.array_equal(own[0], whole[i]) for own, whole in zip(single_grads, grads, strict=True))


def test_empty_batch(case):
    layer, inputs, y, _, grad = case
    empty, saved = layer.forward([x[:0] for x in inputs], Context())
    assert empty.shape == (0, *y.shape[1:])
    grads, _ = layer.backward(grad[:0], saved, needs_input=True)
    assert [each.shape for each in grads] == [(0, *x.shape[1:]) for x in inputs]


def test_config_makes_a_twin(case):
    layer, inputs, y, _, _ = case
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert np.array_equal(twin.forward(inputs, Context())[0], y)


def test_values_by_hand():
    a, b = np.array([[1.0, 2.0]], np.float32), np.array([[10.0]], np.float32)
    assert add([a, b]).tolist() == [[11, 12]]
    assert add([b, a, b]).tolist() == [[21, 22]]
    assert concatenate([a, b, a]).tolist() == [[1, 2, 10, 1, 2]]
    assert concatenate([a[..., None], b[..., None]], axis=1).tolist() == [[[1], [2], [10]]]


def test_overflow_is_infinite_without_a_warning():
    large = np.array([[3e38]], np.float32)
    assert np.isinf(add([large, large, large]))


def test_unknown_sizes():
    assert Add().compute_output_shape([(None, None, 3), (None, 4, 3)]) == (None, None, 3)
    assert Add().compute_output_shape([(None, None, 3), (5, 1, 1)]) == (5, None, 3)
    assert Concatenate().compute_output_shape([(None, None, 3), (None, 4, 2)]) == (None, 4, 5)
    assert Concatenate(1).compute_output_shape([(None, None, 3), (6, 4, 3)]) == (6, None, 3)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda: Add(name="mine").build([(None, 3), (None, 4)]),
            r"inputs must have equal sizes, or 1 except in the batch, received shapes \[\(None, 3\), ",
        ),
        (
            ValueError,
            lambda: Add(name="mine")([np.ones((2, 3)), np.ones((1, 3))]),
            "inputs must have equal sizes, or 1 except in the batch",
        ),
        (TypeError, lambda: Add(name="mine")(np.ones((2, 3))), "inputs must be a list of"),
        (TypeError, lambda: Add(name="mine")([]), "inputs must be a list of"),
        (TypeError, lambda: Add(name="mine").build((None, 3)), "input_shape"),
        (TypeError, lambda: Concatenate("1", name="mine"), "axis must be an int, received '1'"),
        (
            ValueError,
            lambda: Concatenate(0, name="mine").build([(None, 3)]),
            r"axis must be one of the axes after the batch's, received 0 for inputs of shapes",
        ),
        (ValueError, lambda: Concatenate(2, name="mine").build([(None, 3)]), "axis must be one of the axes"),
        (ValueError, lambda: Concatenate(-2, name="mine").build([(None, 3)]), "axis must be one of the axes"),
        (
            ValueError,
            lambda: Concatenate(name="mine").build([(None, 3), (None, 3, 1)]),
            "inputs must have as many axes each",
        ),
        (
            ValueError,
            lambda: Concatenate(name="mine").build([(None, 3, 1), (None, 4, 1)]),
            "inputs must have equal sizes except along axis -1",
        ),
        (
            ValueError,
            lambda: concatenate([np.ones((2, 3)), np.ones((3, 3))], name="mine"),
            "inputs must have equal sizes except along axis -1",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=r"^layer 'mine' \((Add|Concatenate)\): " + message):
        call()
