"""Whole runs of `fit`: history, weights before and after, evaluate, predict.

`growth` says how far results move when the initial weights move by 1: what rounding does is a small multiple
of it. TensorFlow rounds an optimizer's numbers to float32 on their way to float64: they are ones that float32
holds, but where a case is marked `rounded`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from fit_cases import ARRAYS, CASES
from fixture import Fixture

from keras_build import build_model, construct, named_data, run_fit, run_on_batches

STEP = 1e-9
"""By which initial weights are moved to measure growth."""

RESULTS = ("history", "final", "evaluated", "listed", "predictions", "on_batches")
"""Lists of arrays."""


def record() -> Fixture:
    """Record every run; the arrays that they share come first."""
    fixture = Fixture()
    fixture.add({"name": "data"}, **ARRAYS)
    for number, (name, case) in enumerate(CASES.items()):
        keras.config.set_floatx("float64")
        start = initial_weights(case, np.random.default_rng(200 + number))
        exact = run(case, start, "float64")
        random = np.random.default_rng(9)
        moved = run(case, [w + STEP * random.choice((-1.0, 1.0), w.shape) for w in start], "float64")
        growth = {key: largest_difference(exact[key], moved[key]) / STEP for key in RESULTS}
        dtype = case.get("dtype", "float64")
        keras.config.set_floatx(dtype)
        results = exact if dtype == "float64" else run(case, start, dtype)
        said = {key: results[key] for key in results if key not in RESULTS}
        arrays = {f"start_{i}": values for i, values in enumerate(start)}
        for key in RESULTS:
            arrays |= {f"{key}_{i}": values for i, values in enumerate(results[key])}
        fixture.add({"name": name, "dtype": dtype, **case, **said, "growth": growth}, **arrays)
    return fixture


def initial_weights(case: dict[str, Any], random: np.random.Generator) -> list[Any]:
    """Draw weights about as Keras does, biases too, in steps that float32 holds."""
    weights = []
    for variable in build_model(keras, case["model"], "float64").weights:
        shape, name = tuple(variable.shape), variable.path.split("/")[-1]
        fan = np.prod(shape[:-1]) if len(shape) > 1 else 4.0
        values = random.uniform(-1.5, 1.5, shape) / np.sqrt(fan)
        if name in ("gamma", "moving_variance"):
            values = 1.0 + 0.3 * values
        weights.append(np.round(values * 4096) / 4096)
    return weights


def run(case: dict[str, Any], start: list[Any], dtype: str) -> dict[str, Any]:
    """Train as a case says."""
    model = build_model(keras, case["model"], dtype)
    model.set_weights(start)
    callbacks = construct(keras, case.get("callbacks", []))
    history = run_fit(keras, model, case, ARRAYS.__getitem__, callbacks, jit_compile=False)
    final = model.get_weights()
    data = {key: named_data(value, ARRAYS.__getitem__) for key, value in case["data"].items()}
    data.pop("validation_data", None)
    evaluated = model.evaluate(**data, batch_size=11, verbose=0, return_dict=True)
    listed = model.evaluate(**data, batch_size=11, verbose=0)
    predictions = model.predict(data["x"], batch_size=11, verbose=0)
    return {
        "history": list(history.history.values()),
        "history_names": list(history.history),
        "epochs": history.epoch,
        "final": final,
        "evaluated": list(evaluated.values()),
        "evaluated_names": list(evaluated),
        "listed": list(np.atleast_1d(listed)),
        "on_batches": run_on_batches(keras, case, start, dtype, ARRAYS.__getitem__),
        "predictions": predictions if isinstance(predictions, list) else [predictions],
        "iterations": int(model.optimizer.iterations),
        "stopped": bool(model.stop_training),
    }


def largest_difference(one: list[Any], other: list[Any]) -> float:
    """Return the largest difference of finite numbers, relative to those above 1."""
    largest = 0.0
    for a, b in zip(map(np.asarray, one), map(np.asarray, other), strict=True):
        finite = np.isfinite(a) & np.isfinite(b)
        difference = np.abs(a[finite] - b[finite]) / np.maximum(1.0, np.abs(a[finite]))
        largest = max(largest, float(difference.max(initial=0.0)))
    return largest
