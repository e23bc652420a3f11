"""JAX as a peer, through Keras."""

from __future__ import annotations

import os
from contextlib import nullcontext

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras

from konv.bench.libraries.keras_model import prepare_step
from konv.bench.prepared import Prepared

poisoned = nullcontext


def start(threads: int) -> dict[str, str]:
    """Return what results should tell; JAX takes as many threads as this process has CPUs."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return {"jax": jax.__version__, "keras": keras.__version__}


def _step(peer: str, dropout: float, steps: int) -> Prepared:
    return prepare_step(keras, jax.numpy.asarray, dropout, steps)


SUBJECTS = {"step": _step}
