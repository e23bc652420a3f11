"""Whole runs of `fit` against Keras: history, weights, evaluate, predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import konv
from keras_build import build_model, construct, named_data, run_fit, run_on_batches
from keras_fixtures import Array, Case, cases, for_each_case, rounding

TERMS = 1000
"""No sum of these models has more: 30 images of 36 pixels for gradients, kernels of 18, means over 30."""


def assert_agree(case: Case, key: str, actual: list[Any], expected: list[Array]) -> None:
    """Compare lists of arrays.

    Every step rounds each weight by TERMS roundings of numbers of order 1 at most. The fixture says by how
    much results move (`growth`) when the initial weights do: so by growth * steps * TERMS roundings for all
    steps, and TERMS for the result's own sums. A result above 1 is rounded in proportion. Where Keras rounds
    the optimizer's numbers to float32, or computes a cosine in it, each update, of order 1, is off by a few
    of its roundings."""
    steps = case["iterations"]
    growth = max(1.0, case["growth"][key])
    assert len(actual) == len(expected)
    for one, right in zip(actual, expected, strict=True):
        absolute = growth * (steps + 1) * rounding(case["dtype"], TERMS)
        if case.get("rounded"):
            absolute += growth * steps * rounding(np.float32, 4)
        absolute *= max(1.0, float(np.abs(right[np.isfinite(right)]).max(initial=0.0)))
        np.testing.assert_allclose(one, right, rtol=0, atol=absolute, err_msg=key)


@pytest.mark.filterwarnings("ignore:.*logits.*:UserWarning")
@for_each_case("fits", having="model")
def test_run(case: Case) -> None:
    arrays = cases("fits")["data"].array
    model = build_model(konv, case["model"], case["dtype"])
    model.set_weights(case.arrays("start"))
    callbacks = construct(konv, case.get("callbacks", []))
    history = run_fit(konv, model, case.description, arrays, callbacks)

    names = case["history_names"]
    assert history.epoch == case["epochs"]
    assert set(history.history) == set(names)
    assert_agree(case, "history", [history.history[name] for name in names], case.arrays("history"))
    assert model.stop_training == case["stopped"]
    assert model.optimizer.iterations == case["iterations"]
    assert_agree(case, "final", model.get_weights(), case.arrays("final"))

    data = {key: named_data(value, arrays) for key, value in case["data"].items()}
    data.pop("validation_data", None)
    evaluated = model.evaluate(**data, batch_size=11, verbose=0, return_dict=True)
    assert set(evaluated) == set(case["evaluated_names"])
    results = [evaluated[name] for name in case["evaluated_names"]]
    assert_agree(case, "evaluated", results, case.arrays("evaluated"))
    listed = model.evaluate(**data, batch_size=11, verbose=0)
    assert_agree(case, "listed", list(np.atleast_1d(listed)), case.arrays("listed"))
    predictions = model.predict(data["x"], batch_size=11, verbose=0)
    predictions = predictions if isinstance(predictions, list) else [predictions]
    assert_agree(case, "predictions", predictions, case.arrays("predictions"))


@for_each_case("fits", having="on_batches")
def test_on_batches(case: Case) -> None:
    arrays = cases("fits")["data"].array
    results = run_on_batches(konv, case.description, case.arrays("start"), case["dtype"], arrays)
    assert_agree(case, "on_batches", results, case.arrays("on_batches"))
