"""`konv train DATA`: train a network on a data set, test it, keep it, and go on after an interruption.

The folder of `--out` holds `model.safetensors`, written whole after each epoch with all that training needs
to go on to the same bits; `history.csv`, a line for each epoch; and `history.png`, its curves.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import konv
from konv._arguments import class_and_config
from konv.backend import NDArray
from konv.cli.argument_types import MOST, integer
from konv.cli.history_plot import can_plot, plot_history
from konv.cli.networks import NETWORKS
from konv.models import Model


class Defaults(NamedTuple):
    """What a run on a data set does unless told otherwise; a batch is the images of one step."""

    epochs: int
    batch_size: int


# Modules of konv.datasets, when written with underscores.
DATASETS = {
    "digits": Defaults(epochs=15, batch_size=16),
    "mnist": Defaults(epochs=5, batch_size=128),
    "fashion-mnist": Defaults(epochs=10, batch_size=128),
    "cifar10": Defaults(epochs=20, batch_size=128),
}
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}  # classes of konv.optimizers

MODEL_FILE, HISTORY_FILE, PLOT_FILE = "model.safetensors", "history.csv", "history.png"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train` to the commands."""
    about = "Train a network on a data set and test it."
    epilog = "Defaults stand in parentheses."
    parser = commands.add_parser("train", help=about, description=about, epilog=epilog)
    add = parser.add_argument
    add("data", metavar=f"{{{','.join(DATASETS)}}}", choices=DATASETS, help="data set")
    add("--model", choices=sorted(NETWORKS), default="cnn", help="network to train (%(default)s)")
    epochs, batch_sizes = _of_each_data_set("epochs"), _of_each_data_set("batch_size")
    add("--epochs", type=integer(1, MOST), metavar="N", help=f"passes over the images ({epochs})")
    add("--batch-size", type=integer(1, MOST), metavar="N", help=f"images per step ({batch_sizes})")
    add(
        "--optimizer",
        choices=sorted(OPTIMIZERS),
        default="adam",
        help="how weights are updated (%(default)s)",
    )
    add("--learning-rate", type=_positive, metavar="RATE", help="size of a step (the optimizer's own)")
    add(
        "--seed",
        type=integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="fixes every bit of the run (%(default)s)",
    )
    add("--threads", type=integer(1, 256), metavar="N", help="threads to compute with (the CPUs it may use)")
    add(
        "--out",
        type=_folder,
        metavar="DIR",
        help=f"folder to leave {MODEL_FILE}, {HISTORY_FILE} and {PLOT_FILE} in, in the place of an earlier "
        "run's (nothing is kept)",
    )
    add(
        "--resume",
        action="store_true",
        help="go on from the last whole epoch in DIR, to the same bits as without the interruption",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> None:
    """Train, test and save as the options say."""
    if options.resume and options.out is None:
        options.parser.error("argument --resume: needs --out DIR, the folder to resume in")
    epochs = options.epochs or DATASETS[options.data].epochs
    batch_size = options.batch_size or DATASETS[options.data].batch_size
    if options.threads is not None:
        konv.config.set_num_threads(options.threads)
    if options.out is not None:  # before the work: where it fails, it fails at once
        options.out.mkdir(parents=True, exist_ok=True)

    dataset = getattr(konv.datasets, options.data.replace("-", "_"))
    (x_train, y_train), test = _load(dataset)
    model = _network(options, x_train, dataset.NUM_CLASSES)
    resumed = options.resume and _has_model(options.out)
    if resumed:
        fresh, model = model, konv.load_model(options.out / MODEL_FILE)
        _check_same_run(options.out / MODEL_FILE, model, fresh, _Run(options.data, batch_size))
    model.predict(x_train[:1], verbose=0)  # a bad KONV_ALGORITHM shows here, before the work
    model.summary()

    if resumed and model.epoch >= epochs:
        print(f"{options.out / MODEL_FILE}: the run was finished, with {model.epoch} epochs")
        losses: list[float] = []
    else:
        if resumed:
            print(f"{options.out / MODEL_FILE}: going on after epoch {model.epoch} of {epochs}")
        elif options.resume:
            print(f"{options.out}: no {MODEL_FILE} to resume from, starting afresh")
        losses = _fit(options, model, (x_train, y_train), test, epochs, batch_size, resumed)

    score = model.evaluate(*test, batch_size=batch_size, verbose=0, return_dict=True)
    print(f"test: loss {score['loss']:.4f}, accuracy {score['accuracy']:.2%} of {len(test[0])} images")
    lost = [loss for loss in (*losses, score["loss"]) if not math.isfinite(loss)]
    if lost:
        warning = f"training diverged, the loss became {lost[0]}; try a smaller --learning-rate"
        print(f"{options.parser.prog}: warning: {warning}", file=sys.stderr)
    if options.out is not None:
        _leave(options.out)


def _load(dataset: Any) -> tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Load a module of konv.datasets: images with pixels in [0, 1], float32, `(n, h, w, c)`, and labels."""
    (x_train, y_train), (x_test, y_test) = dataset.load_data()
    return (_scaled(x_train, dataset.MAX_PIXEL), y_train), (_scaled(x_test, dataset.MAX_PIXEL), y_test)


def _scaled(images: NDArray, max_pixel: int) -> NDArray:
    images = images.astype(np.float32)
    images /= np.float32(max_pixel)
    return images[..., np.newaxis] if images.ndim == 3 else images


def _network(options: argparse.Namespace, images: NDArray, classes: int) -> Model:
    """Make the network that the options ask for, as it is before any training."""
    konv.utils.set_random_seed(options.seed)
    model = NETWORKS[options.model](images.shape[1:], classes)
    rate = {} if options.learning_rate is None else {"learning_rate": options.learning_rate}
    optimizer = getattr(konv.optimizers, OPTIMIZERS[options.optimizer])(**rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _fit(
    options: argparse.Namespace,
    model: Model,
    train: tuple[NDArray, NDArray],
    test: tuple[NDArray, NDArray],
    epochs: int,
    batch_size: int,
    resumed: bool,
) -> list[float]:
    """Train, keeping each epoch in the folder; returns the losses of the epochs."""
    folder = options.out
    callbacks: list[konv.callbacks.Callback] = []
    if folder is not None:
        if not resumed:  # what stays here belongs to this run, also where it ends before its first epoch
            for name in (MODEL_FILE, HISTORY_FILE, PLOT_FILE):
                (folder / name).unlink(missing_ok=True)
        callbacks = [
            konv.callbacks.CSVLogger(folder / HISTORY_FILE, append=resumed),
            konv.callbacks.ModelCheckpoint(folder / MODEL_FILE),
            _Run(options.data, batch_size),
        ]
    try:
        history = model.fit(
            *train,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=test,
            callbacks=callbacks,
            initial_epoch=model.epoch if resumed else 0,
        )
    except KeyboardInterrupt:
        if folder is not None and _has_model(folder):
            print(f"\n{folder / MODEL_FILE} holds the last whole epoch, --resume goes on from it")
        raise
    return history.history["loss"]


class _Run(konv.callbacks.Callback):
    """What a model's file keeps of its run that the model doesn't tell: which data, in which batches."""

    def __init__(self, data: str, batch_size: int) -> None:
        self._state = {"data": np.frombuffer(data.encode(), np.uint8), "batch_size": np.array(batch_size)}

    def get_state(self) -> dict[str, NDArray]:
        return self._state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take nothing: `_check_same_run` has compared it."""

    def is_of(self, model: Model, name: str) -> bool:
        """Whether a model that was loaded comes from a run with the same `data` or `batch_size`."""
        kept = dict(model.callback_states()).get(type(self).__name__, {})
        return name in kept and np.array_equal(kept[name], self._state[name])


def _has_model(folder: Path) -> bool:
    return (folder / MODEL_FILE).exists()


def _check_same_run(path: Path, found: Model, fresh: Model, run: _Run) -> None:
    """Raise unless a model that was kept comes from the run that the options describe."""
    if _architecture(found) != _architecture(fresh):
        raise ValueError(f"{path} must come from a run with the same DATA and --model, received another")
    same = {
        "--optimizer or --learning-rate": found.compiled
        and class_and_config(found.optimizer) == class_and_config(fresh.optimizer),
        "--seed": found.random_state[0] == fresh.random_state[0],
        "DATA": run.is_of(found, "data"),
        "--batch-size": run.is_of(found, "batch_size"),
    }
    others = [option for option, is_same in same.items() if not is_same]
    if others:
        raise ValueError(
            f"{path} must come from a run with the same options, received another {', another '.join(others)}"
        )


def _architecture(model: Model) -> list[Any]:
    """What makes up a network: shapes, and its layers without their names."""
    layers = [class_and_config(layer) for layer in model.layers]
    for layer in layers:
        layer["config"].pop("name")
    return [model.input_shape, layers]


def _leave(folder: Path) -> None:
    """Draw the curves, and say what lies in the folder."""
    names = [MODEL_FILE, HISTORY_FILE]
    if can_plot():
        if not _is_drawn(folder / HISTORY_FILE, folder / PLOT_FILE):
            plot_history(folder / HISTORY_FILE, folder / PLOT_FILE)
        names.append(PLOT_FILE)
    else:
        print(f"no {PLOT_FILE}: matplotlib is not installed")
    print(f"saved {', '.join(str(folder / name) for name in names)}")


def _is_drawn(history: Path, picture: Path) -> bool:
    """Whether a picture is newer than what it shows, as where the run was finished before."""
    return picture.exists() and history.exists() and picture.stat().st_mtime_ns >= history.stat().st_mtime_ns


def _of_each_data_set(default: str) -> str:
    """Show a default that depends on the data set, for `--help`."""
    return ", ".join(f"{data}: {getattr(defaults, default)}" for data, defaults in DATASETS.items())


def _folder(text: str) -> Path:
    """Type of an option that takes a folder, there already or to be made."""
    if not text:
        raise argparse.ArgumentTypeError("must be the name of a folder, received ''")
    if os.path.exists(text) and not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is a file, expected a folder")
    return Path(text)


def _positive(text: str) -> float:
    """Type of an option that takes a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, received {text!r}")
    return value
