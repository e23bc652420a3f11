"""Optimizers: two weights after each of 15 steps on given gradients.

TensorFlow rounds Python's numbers to float32 on their way to a float64 tensor. So all numbers but the
defaults are ones that float32 holds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from fixture import Fixture

from keras_build import construct

STEPS = 15
SHAPES = {"kernel": (3, 4), "bias": (4,)}

COSINE = {
    "class": "optimizers.schedules.CosineDecay",
    "arguments": {
        "initial_learning_rate": 2**-6,
        "decay_steps": 6,
        "alpha": 0.125,
        "warmup_target": 0.25,
        "warmup_steps": 4,
    },
}
STAIRS = {
    "class": "optimizers.schedules.PiecewiseConstantDecay",
    "arguments": {"boundaries": [3, 8], "values": [0.125, 0.0625, 0.03125]},
}
EXPONENTIAL = {
    "class": "optimizers.schedules.ExponentialDecay",
    "arguments": {"initial_learning_rate": 0.0625, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
}

RATE: dict[str, Any] = {"learning_rate": 0.125}
FAST: dict[str, Any] = RATE | {"momentum": 0.875}
BETAS: dict[str, Any] = {"learning_rate": 0.0625, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-23}
COARSE: dict[str, Any] = BETAS | {"epsilon": 0.125}  # else Adam undoes what clipping does

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("sgd_defaults", "SGD", {}),
    ("sgd", "SGD", RATE),
    ("sgd_momentum", "SGD", FAST),
    ("sgd_nesterov", "SGD", FAST | {"nesterov": True}),
    ("sgd_decay", "SGD", RATE | {"weight_decay": 0.25}),
    ("sgd_momentum_decay", "SGD", FAST | {"weight_decay": 0.25}),
    ("sgd_clipnorm", "SGD", RATE | {"clipnorm": 1.5}),
    ("sgd_clipvalue", "SGD", FAST | {"clipvalue": 0.75}),
    ("sgd_global_clipnorm", "SGD", RATE | {"global_clipnorm": 2.0}),
    ("sgd_clipnorm_decay", "SGD", RATE | {"clipnorm": 1.5, "weight_decay": 0.5}),
    ("sgd_stairs", "SGD", {"learning_rate": STAIRS, "momentum": 0.875}),
    ("sgd_exponential_decay", "SGD", {"learning_rate": EXPONENTIAL, "weight_decay": 0.5}),
    ("adam_defaults", "Adam", {}),
    ("adam", "Adam", BETAS),
    ("adam_epsilon", "Adam", BETAS | {"epsilon": 0.0078125}),
    ("adam_amsgrad", "Adam", BETAS | {"beta_2": 0.5, "amsgrad": True}),
    ("adam_decay", "Adam", BETAS | {"weight_decay": 0.25}),
    ("adam_clipnorm", "Adam", COARSE | {"clipnorm": 0.5}),
    ("adam_clipvalue", "Adam", COARSE | {"clipvalue": 0.25}),
    ("adam_global_clipnorm", "Adam", COARSE | {"global_clipnorm": 0.5}),
    ("adam_cosine", "Adam", BETAS | {"learning_rate": COSINE}),
    ("adamw_defaults", "AdamW", {}),
    ("adamw", "AdamW", BETAS | {"weight_decay": 0.5, "amsgrad": True}),
    ("adamw_cosine", "AdamW", BETAS | {"learning_rate": COSINE, "weight_decay": 0.125, "clipnorm": 1.0}),
]


def record() -> Fixture:
    """Record every optimizer on gradients of order 1 that change sign, and on some near epsilon."""
    fixture = Fixture()
    random = np.random.default_rng(5)
    size = random.lognormal(0.0, 1.0, (STEPS, 1))  # of a step's gradients: some clip, some don't
    start = {name: random.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = {
        name: random.normal(size=(STEPS, *shape)) * size.reshape(STEPS, *[1] * len(shape))
        for name, shape in SHAPES.items()
    }
    gradients["kernel"][:, 0, :] *= 1e-7  # of the order of Adam's epsilon
    gradients["kernel"][:, 1, 1] = 0.0
    inputs = {f"start_{name}": value for name, value in start.items()}
    inputs |= {f"gradients_{name}": value for name, value in gradients.items()}
    fixture.add({"name": "given"}, **inputs)
    for name, optimizer, arguments in CASES:
        description = {"class": f"optimizers.{optimizer}", "arguments": arguments}
        add(fixture, name, description, start, gradients)
    return fixture


def add(fixture: Fixture, name: str, description: Any, start: Any, gradients: Any) -> None:
    """Record one optimizer: its learning rate before each step, the weights after it."""
    optimizer = construct(keras, description)
    variables = {key: keras.Variable(value, dtype="float64", name=key) for key, value in start.items()}
    after: dict[str, list[Any]] = {key: [] for key in variables}
    rates = []
    for step in range(STEPS):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([gradients[key][step] for key in variables], list(variables.values()))
        for key, variable in variables.items():
            after[key].append(np.array(variable))
    fixture.add({"name": name, "optimizer": description}, learning_rates=rates, **after)
