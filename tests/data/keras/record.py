"""Records what Keras computes: the fixtures that the tests compare Konv with, beside this script.

To make its environment and run it, from the root of the project (about two minutes):

    python3 -m venv keras-env && keras-env/bin/pip install keras==3.15.1 tensorflow-cpu==2.21.0
    keras-env/bin/python tests/data/keras/record.py [NAME ...]

Each NAME is a module record_NAME.py here, which writes NAME.json and NAME.npz; without names all run. Seeds
are fixed and TensorFlow is told to be deterministic, on one thread of the CPU, without oneDNN: so the same
machine writes the same bytes again. Most is recorded in float64: then a formula that differs shows, whatever
the rounding. What float32 clips and overflows differently is recorded in both, and one training run in
float32.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

VERSIONS = {"keras": "3.15.1", "tensorflow": "2.21.0"}
NAMES = (
    "losses",
    "metrics",
    "regularizers",
    "optimizers",
    "schedules",
    "activations",
    "layers",
    "initial",
    "fits",
    "callbacks",
)


def main() -> None:
    """Record the fixtures that the command line names."""
    parser = argparse.ArgumentParser(description="Record fixtures from Keras.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"names must be of {', '.join(NAMES)}, received {', '.join(sorted(unknown))}")

    os.environ |= {
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    sys.path.insert(1, str(Path(__file__).parents[2]))  # keras_build, which the tests share
    for module, version in VERSIONS.items():
        received = importlib.import_module(module).__version__
        if received != version:
            sys.exit(f"record.py: {module} must be {version}, received {received}")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    for name in names:
        recorder = importlib.import_module(f"record_{name}")
        tf.keras.utils.set_random_seed(0)
        tf.keras.config.set_floatx("float64")
        recorder.record().save(name)
        print(name, flush=True)


if __name__ == "__main__":
    main()
