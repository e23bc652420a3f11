"""The table that `TrainableModel.summary` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from konv._arguments import Shape

if TYPE_CHECKING:
    from konv.models.training import TrainableModel

_HEADINGS = ("Layer", "Output shape", "Parameters", "Multiply-adds")


def summary_lines(model: TrainableModel) -> list[str]:
    """Return the lines of a model's summary: a table of its layers, then totals.

    Raises
    ------
    ValueError
        If the model isn't built, for its shapes aren't known.
    """
    if not model.built:
        raise ValueError(
            f"summary: {model.label} must be built: "
            "begin with konv.Input(shape), give input_shape, or call build"
        )
    parameters = model.count_params()
    shape: Shape = model.input_shape
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for layer in model.layers:
        multiply_adds = layer.multiply_adds(shape)
        shape = layer.compute_output_shape(shape)
        kind = type(layer).__name__
        rows.append(
            (f"{layer.name} ({kind})", str(shape), f"{layer.count_params():,}", _count(multiply_adds))
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left, right = slice(0, 2), slice(2, 4)
    lines = [
        "  ".join(
            [cell.ljust(width) for cell, width in zip(row[left], widths[left], strict=True)]
            + [cell.rjust(width) for cell, width in zip(row[right], widths[right], strict=True)]
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    trainable = sum(variable.size for variable in model.trainable_variables)
    return [
        f"Model {model.name}, inputs {model.input_shape}",
        rule,
        lines[0],
        rule,
        *lines[1:],
        rule,
        f"Parameters: {parameters:,} ({trainable:,} trainable, {parameters - trainable:,} not)",
        f"Multiply-adds for one image: {_count(model.multiply_adds(model.input_shape))}",
    ]


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
