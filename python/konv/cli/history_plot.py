"""The picture of a training run: loss and accuracy over the epochs, from the file that CSVLogger wrote."""

from __future__ import annotations

import csv
import os
from importlib.util import find_spec
from pathlib import Path


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot_history(history: Path, picture: Path) -> None:
    """Draw a panel for each name in a history, training and validation in one; the file is written whole.

    Parameters
    ----------
    history : path
        As `konv.callbacks.CSVLogger` writes it: `epoch,accuracy,loss,val_accuracy,val_loss`.
    picture : path
        PNG.
    """
    from matplotlib.figure import Figure  # drawn without pyplot: no display, no state of the process

    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) + 1 for row in rows]
    names = sorted({name.removeprefix("val_") for name in rows[0] if name != "epoch"}, reverse=True)
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "test")):
            if column in rows[0]:
                axes.plot(epochs, [float(row[column]) for row in rows], marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    temporary = picture.with_name(f".{picture.name}.tmp")
    figure.savefig(temporary, format="png", dpi=120)
    os.replace(temporary, picture)
