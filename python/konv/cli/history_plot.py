"""The picture of a training run: loss and accuracy over the epochs, from the file that CSVLogger wrote."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path

from konv.models.whole_file import write_whole


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

    Raises
    ------
    ValueError
        If the history is not such a file.
    """
    from matplotlib.figure import Figure  # drawn without pyplot: no display, no state of the process

    columns = _read(history)
    epochs = [epoch + 1 for epoch in columns.pop("epoch")]
    names = sorted({name.removeprefix("val_") for name in columns}, reverse=True)
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "test")):
            if column in columns:
                axes.plot(epochs, columns[column], marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_whole("plot_history", str(picture), content.getvalue())


def _read(history: Path) -> dict[str, list[float]]:
    """Return the columns of a history, among them `epoch`, by name."""
    try:
        with history.open(newline="") as file:
            lines = list(csv.reader(file, strict=True))
        names, rows = (lines or [[]])[0], lines[1:]
        if names[:1] != ["epoch"] or len(names) < 2:
            raise ValueError(f"its columns are {names}")
        if not rows or any(len(row) != len(names) for row in rows):
            raise ValueError("it must have rows, each as long as the first line")
        return {name: [float(row[place]) for row in rows] for place, name in enumerate(names)}
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{history} must be as CSVLogger wrote it: {error}") from None
