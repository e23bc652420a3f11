"""`konv train DATA`: train a network on a data set, test it, and keep it."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import konv
from konv.cli.networks import NETWORKS

DATASETS = ("digits",)  # modules of konv.datasets
OPTIMIZERS = {"adam": "Adam", "sgd": "SGD"}  # classes of konv.optimizers
MODEL_FILE = "model.safetensors"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train` to the commands."""
    about = "Train a network on a data set and test it."
    parser = commands.add_parser("train", help=about, description=about)
    add = parser.add_argument
    add("data", metavar=f"{{{','.join(DATASETS)}}}", choices=DATASETS, help="data set")
    add("--model", choices=sorted(NETWORKS), default="cnn", help="network to train (%(default)s)")
    add("--epochs", type=_integer(1), default=15, metavar="N", help="passes over the images (%(default)s)")
    add("--batch-size", type=_integer(1), default=16, metavar="N", help="images per step (%(default)s)")
    add(
        "--optimizer",
        choices=sorted(OPTIMIZERS),
        default="adam",
        help="how weights are updated (%(default)s)",
    )
    add("--learning-rate", type=_positive, metavar="RATE", help="size of a step (the optimizer's own)")
    add(
        "--seed",
        type=_integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="fixes every bit of the run (%(default)s)",
    )
    add("--threads", type=_integer(1, 256), metavar="N", help="threads to compute with (the CPUs it may use)")
    add("--out", type=_folder, metavar="DIR", help=f"folder to leave {MODEL_FILE} in (nothing is kept)")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> None:
    """Train, test and save as the options say."""
    if options.threads is not None:
        konv.config.set_num_threads(options.threads)
    if options.out is not None:  # before the work: where it fails, it fails at once
        options.out.mkdir(parents=True, exist_ok=True)
    konv.utils.set_random_seed(options.seed)

    dataset = getattr(konv.datasets, options.data)
    (x_train, y_train), (x_test, y_test) = dataset.load_data()
    x_train, x_test = _scaled(x_train, dataset.MAX_PIXEL), _scaled(x_test, dataset.MAX_PIXEL)

    model = NETWORKS[options.model](x_train.shape[1:], dataset.NUM_CLASSES)
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    optimizer = getattr(konv.optimizers, OPTIMIZERS[options.optimizer])(**rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.predict(x_train[:1], verbose=0)  # a bad KONV_ALGORITHM shows here, before the work
    model.summary()
    history = model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs).history
    score = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(f"test: loss {score['loss']:.4f}, accuracy {score['accuracy']:.2%} of {len(x_test)} images")

    lost = [loss for loss in (*history["loss"], score["loss"]) if not math.isfinite(loss)]
    if lost:
        warning = f"training diverged, the loss became {lost[0]}; try a smaller --learning-rate"
        print(f"{options.parser.prog}: warning: {warning}", file=sys.stderr)
    if options.out is not None:
        model.save(options.out / MODEL_FILE)
        print(f"saved {options.out / MODEL_FILE}")


def _scaled(images: np.ndarray[Any, Any], max_pixel: int) -> np.ndarray[Any, Any]:
    """Pixels in [0, 1], float32, with an axis of channels: (n, h, w) or (n, h, w, c) -> (n, h, w, c)."""
    images = images.astype(np.float32) / np.float32(max_pixel)
    return images[..., np.newaxis] if images.ndim == 3 else images


def _integer(low: int, high: float = math.inf) -> Callable[[str], int]:
    """Type of an option that takes an integer from `low` to `high`."""
    wanted = f"an integer of at least {low}" if high == math.inf else f"an integer from {low} to {high}"

    def parse(text: str) -> int:
        value: int | None
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {wanted}, received {text!r}")
        return value

    return parse


def _folder(text: str) -> Path:
    """Type of an option that takes a folder, there already or to be made."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a file, expected a folder")
    return path


def _positive(text: str) -> float:
    """Type of an option that takes a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, received {text!r}")
    return value
