"""The table that `Model.summary` prints.

A row for each layer. Where the layers don't just follow one another, a column says what each layer reads; a
layer that was called several times has a row for each call, its parameters in the first.
"""

from __future__ import annotations

from typing import Any

from konv.models.graph_model import GraphModel
from konv.models.step import Step

_HEADINGS = ("Layer", "Output shape", "Parameters", "Multiply-adds", "Inputs")
_RIGHT = (2, 3)  # columns of numbers


def summary_lines(model: GraphModel) -> list[str]:
    """Return the lines of a model's summary: a table of its layers, then totals.

    Raises
    ------
    ValueError
        If the model isn't built, for its shapes aren't known.

    Examples
    --------
    >>> from konv import Sequential
    >>> from konv.layers import Dense
    >>> print(summary_lines(Sequential([Dense(2, input_shape=(3,), name="d")]))[4])
    d (Dense)  (None, 2)              8              6
    """
    if not model.built:
        raise ValueError(
            f"summary: {model.label} must be built: "
            "begin with konv.Input(shape), give input_shape, or call build"
        )
    rows = [_HEADINGS, *_rows(model)]
    if model.graph.is_chain:
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    lines = [line.rstrip() for line in lines]
    parameters = model.count_params()
    trainable = sum(variable.size for variable in model.trainable_variables)
    return [
        f"Model {model.name}, inputs {_shapes_text(model.input_shape)}",
        rule,
        lines[0],
        rule,
        *lines[1:],
        rule,
        f"Parameters: {parameters:,} ({trainable:,} trainable, {parameters - trainable:,} not)",
        f"Multiply-adds for one image: {_count(model.multiply_adds(model.input_shape))}",
    ]


def _rows(model: GraphModel) -> list[tuple[str, ...]]:
    graph = model.graph
    inputs = model.inputs
    shapes = graph.shapes([tensor.shape for tensor in inputs])
    names = {slot: tensor.name for slot, tensor in zip(graph.inputs, inputs, strict=True)}
    names |= {slot: _tensor_name(step, slot) for slot, step in graph.makers.items()}
    calls: dict[int, list[Step]] = {position: [] for position in range(len(graph.layers))}
    for step in graph.steps:
        calls[step.position].append(step)
    input_shapes = {tensor.name: tensor.shape for tensor in inputs}
    rows: list[tuple[str, ...]] = []
    for position, layer in enumerate(graph.layers):
        title = f"{layer.name} ({type(layer).__name__})"
        if not calls[position]:
            rows.append((title, str(input_shapes[layer.name]), "0", "0", ""))
        for step in calls[position]:
            rows.append(
                (
                    title,
                    _shapes_text([shapes[slot] for slot in step.outputs]),
                    f"{layer.count_params():,}" if step.call == 0 else "shared",
                    _count(layer.multiply_adds(graph.step_shape(step, shapes))),
                    ", ".join(names[slot] for slot in step.inputs),
                )
            )
    return rows


def _tensor_name(step: Step, slot: int) -> str:
    """Name of a layer, with the number of its call and of the output where it has several."""
    call = f" call {step.call + 1}" if step.call else ""
    output = f" output {step.outputs.index(slot)}" if len(step.outputs) > 1 else ""
    return f"{step.layer.name}{call}{output}"


def _shapes_text(shapes: Any) -> str:
    """Show one shape, or several."""
    if isinstance(shapes, tuple) or len(shapes) == 1:
        return str(shapes if isinstance(shapes, tuple) else shapes[0])
    return ", ".join(map(str, shapes))


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
