"""Schedules: learning rates over steps, at the ends and beyond them too; of numbers that float32 holds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from fixture import Fixture

from keras_build import construct

FIRST = {"initial_learning_rate": 0.125}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("exponential", "ExponentialDecay", FIRST | {"decay_steps": 7, "decay_rate": 0.8125}),
    (
        "exponential_stairs",
        "ExponentialDecay",
        FIRST | {"decay_steps": 7, "decay_rate": 0.8125, "staircase": True},
    ),
    ("steps", "PiecewiseConstantDecay", {"boundaries": [5, 12], "values": [0.125, 0.0625, 0.03125]}),
    ("one_step", "PiecewiseConstantDecay", {"boundaries": [0], "values": [1.0, 0.5]}),
    ("cosine", "CosineDecay", FIRST | {"decay_steps": 15}),
    ("cosine_alpha", "CosineDecay", FIRST | {"decay_steps": 15, "alpha": 0.25}),
    (
        "cosine_warmup",
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 12, "warmup_target": 0.375, "warmup_steps": 6},
    ),
    (
        "cosine_warmup_alpha",
        "CosineDecay",
        FIRST | {"decay_steps": 12, "alpha": 0.125, "warmup_target": 0.375, "warmup_steps": 6},
    ),
    ("cosine_warmup_steps_only", "CosineDecay", FIRST | {"decay_steps": 12, "warmup_steps": 6}),
    ("cosine_target_only", "CosineDecay", FIRST | {"decay_steps": 12, "warmup_target": 0.375}),
]


def record() -> Fixture:
    """Record every schedule over 25 steps and a million later."""
    fixture = Fixture()
    steps = [*range(25), 1_000_000]
    for name, schedule, arguments in CASES:
        description = {"class": f"optimizers.schedules.{schedule}", "arguments": arguments}
        values = [float(construct(keras, description)(np.float64(step))) for step in steps]
        fixture.add({"name": name, "schedule": description}, steps=steps, values=values)
    return fixture
