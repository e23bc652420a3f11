"""Layers against Keras: outputs, gradients of inputs and weights, order and start of weights, moving
statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import konv
from keras_build import build_model, construct_layer
from keras_fixtures import Array, Case, cases, for_each_case, rounding
from konv.layers import Context

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
FLOAT32_CONSTANTS = ("activation_leaky_relu", "activation_gelu")
"""What TensorFlow computes with constants of float32 whatever the dtype."""


def built(case: Case, dtype: str) -> Any:
    """Return the layer of a case, with its weights."""
    layer = construct_layer(konv, case["layer"], dtype)
    shapes = [(None, *x.shape[1:]) for x in case.arrays("input")]
    layer.build(shapes if layer.several_inputs else shapes[0])
    layer.set_weights(case.arrays("weight"))
    return layer


def run(layer: Any, inputs: list[Array], upstream: Array, *, training: bool) -> dict[str, list[Array]]:
    """Return outputs and gradients by the names of the fixture."""
    inputs, upstream = [x.astype(layer.dtype) for x in inputs], upstream.astype(layer.dtype)
    several = layer.several_inputs
    outputs, saved = layer.forward(inputs if several else inputs[0], Context(training=training))
    by_inputs, by_weights = layer.backward(upstream, saved, needs_input=True)
    return {"output": [outputs], "by_input": by_inputs if several else [by_inputs], "by_weight": by_weights}


def assert_agrees(case: Case, mode: str, results: dict[str, list[Array]], dtype: str) -> None:
    """Compare with what was recorded.

    No sum has more terms than the largest array has elements, and none of its partial sums, of terms of
    magnitude 1, is far above the largest result: so an error is below that many roundings of the largest
    result, and of 1.
    """
    terms = max(
        array.size for array in (*case.arrays("input"), *case.arrays("weight"), case.array("upstream"))
    )
    precision = "float32" if case["name"] in FLOAT32_CONSTANTS else dtype
    for key, arrays in results.items():
        expected = [case.array(f"{mode}_output")] if key == "output" else case.arrays(f"{mode}_{key}")
        assert len(arrays) == len(expected), key
        for array, right in zip(arrays, expected, strict=True):
            assert array.dtype == dtype
            assert array.shape == right.shape
            largest = max(1.0, float(np.abs(right).max()))
            np.testing.assert_allclose(
                array, right, rtol=0, atol=rounding(precision, terms) * largest, err_msg=key
            )


@DTYPES
@for_each_case("layers")
def test_inference(case: Case, dtype: str) -> None:
    layer, inputs = built(case, dtype), case.arrays("input")
    assert_agrees(case, "inference", run(layer, inputs, case.array("upstream"), training=False), dtype)
    expected = [weight.astype(dtype) for weight in case.arrays("weight")]
    for weight, before in zip(layer.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, before)


@DTYPES
@for_each_case("layers", "(?!dropout)")
def test_training(case: Case, dtype: str) -> None:
    """What training does not change was not recorded twice."""
    layer, inputs = built(case, dtype), case.arrays("input")
    mode = "training" if "training_output" in case else "inference"
    assert_agrees(case, mode, run(layer, inputs, case.array("upstream"), training=True), dtype)
    moved = case.arrays("moved")
    if moved:
        run(layer, [x * 0.5 + 1.0 for x in inputs], case.array("upstream"), training=True)
    # A moving statistic is a mean, of a hundred terms of order 1, mixed in twice.
    for weight, expected in zip(layer.get_weights(), moved or case.arrays("weight"), strict=True):
        np.testing.assert_allclose(
            weight, expected, rtol=0, atol=rounding(dtype, 200) * np.abs(expected).max()
        )


def test_what_training_changes_was_recorded() -> None:
    names = {case["name"] for case in cases("layers").values() if "training_output" in case}
    assert names == {
        name for name in cases("layers") if name.startswith("batch_normalization") and "frozen" not in name
    }


@for_each_case("layers")
def test_shapes_and_weights(case: Case) -> None:
    layer = built(case, "float32")
    shapes = [(None, *x.shape[1:]) for x in case.arrays("input")]
    output_shape = layer.compute_output_shape(shapes if layer.several_inputs else shapes[0])
    assert output_shape == (None, *case.array("inference_output").shape[1:])
    assert [variable.name for variable in layer.variables] == case["weights"]
    assert layer.count_params() == case["count"]


@for_each_case("initial", having="layer")
def test_initial_weights(case: Case) -> None:
    """A mean of n draws of deviation s is off by 5 s / sqrt(n) once in a million; their deviation by as much
    less; two of them, Keras's and Konv's, by sqrt(2) of that. The largest of n uniform draws is below its
    bound by 20 / n of it once in e^20; that of truncated normal ones by a hundred times more, as few lie
    there."""
    layer = construct_layer(konv, case["layer"], "float64")
    layer.build((None, *case["input_shape"][1:]))
    assert len(layer.variables) == len(case["weights"])
    for variable, expected in zip(layer.variables, case["weights"], strict=True):
        values, n = variable.value, math.prod(expected["shape"])
        assert (variable.name, list(values.shape)) == (expected["name"], expected["shape"])
        off = 5 * math.sqrt(2 / n) * expected["deviation"]
        assert values.mean() == pytest.approx(expected["mean"], abs=off)
        assert values.std() == pytest.approx(expected["deviation"], abs=off)
        normal = "normal" in str(case["layer"]) and "normalization" not in case["name"]
        largest = pytest.approx(expected["largest"], rel=min(1.0, (2000 if normal else 20) / n))
        assert np.abs(values).max() == (largest if expected["deviation"] else expected["largest"])


def test_order_of_weights_of_the_courses_network() -> None:
    case = cases("initial")["course_network"]
    model = build_model(konv, case["model"], "float32")
    assert model.count_params() == case["count"] == 601_578
    assert [list(variable.shape) for variable in model.variables] == case["shapes"]
    assert [list(variable.shape) for variable in model.trainable_variables] == case["trainable_shapes"]
