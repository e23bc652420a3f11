"""TensorFlow as a peer, through Keras."""

from __future__ import annotations

import os
from contextlib import nullcontext

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

from konv.bench.libraries.keras_model import prepare_step
from konv.bench.prepared import Prepared

poisoned = nullcontext


def start(threads: int) -> dict[str, str]:
    """Set the number of threads; returns what results should tell."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


def _step(peer: str, dropout: float, steps: int) -> Prepared:
    return prepare_step(keras, tf.constant, dropout, steps)


SUBJECTS = {"step": _step}
