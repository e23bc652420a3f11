"""A layer of several inputs takes lists of arrays and of shapes, and refuses what is none."""

from __future__ import annotations

import numpy as np
import pytest

from konv.layers import Layer

NAMED = {"name": "mine"}


class Sum(Layer):
    several_inputs = True

    def build(self, input_shape):
        self.shapes = input_shape

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs, context):
        return sum(inputs), len(inputs)

    def backward(self, grad, saved, *, needs_input):
        return [grad] * saved if needs_input else None, []


def test_a_layer_of_several_inputs():
    layer = Sum()
    y = layer([np.ones((2, 3), np.uint8), np.full((2, 3), 4.0)])
    assert (y.dtype, y.tolist()) == (np.float32, [[5.0] * 3] * 2)
    assert layer.shapes == [(None, 3), (None, 3)]
    layer = Sum()
    layer.build([[None, 3], (None, 3)])
    assert layer.shapes == [(None, 3), (None, 3)]


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: Sum(**NAMED)(np.ones((1, 1))), r"\(Sum\): inputs must be a list of arrays"),
        (TypeError, lambda: Sum(**NAMED)([]), r"\(Sum\): inputs must be a list of arrays"),
        (TypeError, lambda: Sum(**NAMED)([np.ones(1), 3]), r"\(Sum\): inputs\[1\] must be an array"),
        (TypeError, lambda: Sum(**NAMED).build(3), r"\(Sum\): input_shape must be a list of shapes"),
        (TypeError, lambda: Sum(**NAMED).build((None, 3)), r"\(Sum\): input_shape \(each of the list\) must"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
