"""What a model takes: checks data against its inputs and objective, and brings it into lists of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from konv._arguments import Shape, shown
from konv.backend import Array
from konv.losses.base import broadcast_weights
from konv.models.compiled import CompiledModel
from konv.models.examples import Examples
from konv.models.graph_model import Sizes
from konv.models.objective import Objective
from konv.models.per_output import listed
from konv.ops.arguments import numbers

_BATCH = "a tuple (x, y) or (x, y, sample_weight)"


class Signature:
    """Takes data for one model.

    Parameters
    ----------
    model : CompiledModel
        It is built for the first inputs if it isn't yet.
    where : str
        The function to name in an error.
    """

    def __init__(self, model: CompiledModel, where: str) -> None:
        self._model = model
        self.where = where
        self._objective: Objective | None = None
        self._known_shapes: tuple[list[Sizes], list[Sizes]] = ([], [])

    @property
    def objective(self) -> Objective:
        """The model's; to be read once the model is built."""
        if self._objective is None:
            self._objective = self._model.objective(self.where)
        return self._objective

    def inputs(self, x: Any, where: str | None = None) -> list[Array]:
        """Take an array for each input, maybe of no samples."""
        where = where or self.where
        model = self._model
        names = model.input_names if model.built else ["x"]
        given = _given(where, "x", x, names, "inputs")
        _, arrays = numbers(where, dict(zip(_labels("x", names), given, strict=True)))
        if not model.built:
            model.build((None, *arrays[0].shape[1:]))
        labels = _labels("x", names)
        for label, array, tensor in zip(labels, arrays, model.inputs, strict=True):
            _check_input(where, label, array, tensor.shape)
            if len(array) != len(arrays[0]):
                raise ValueError(
                    f"{where}: {label} and {labels[0]} must be equally long, "
                    f"received {len(array)} and {len(arrays[0])}"
                )
        return arrays

    def examples(self, x: Any, y: Any, sample_weight: Any = None, where: str | None = None) -> Examples:
        """Take inputs with labels and maybe weights, equally long, 1 sample at least."""
        where = where or self.where
        inputs = self.inputs(x, where)
        objective, names = self.objective, self._model.output_names
        labelled = [objective.is_labelled(output) for output in range(len(names))]
        if isinstance(y, (list, tuple)) and len(y) == sum(labelled) < len(names):
            entries = iter(y)
            y = [next(entries) if wanted else None for wanted in labelled]
        given = _given(where, "y", y, names, "outputs")
        taken: list[Array | None] = []
        for label, array, wanted in zip(_labels("y", names), given, labelled, strict=True):
            taken.append(numbers(where, {"x": inputs[0], label: array})[1][1] if wanted else None)
        weights = self._weights(where, sample_weight, inputs[0])
        examples = Examples(inputs, taken, weights)
        self._check(where, examples)
        return examples

    def batch(self, given: Any, number: int, *, labelled: bool) -> Examples:
        """Take what an iterable gave; if not `labelled`, only the inputs of it."""
        where = f"{self.where}: batch {number}"
        if not labelled:
            inputs = given
            if isinstance(given, (tuple, list)):
                if not 1 <= len(given) <= 3:
                    raise ValueError(
                        f"{where}: it must be x, a tuple (x,) or {_BATCH}, received {shown(given)}"
                    )
                inputs = given[0]
            return Examples(self.inputs(inputs, where), [], [])
        if not isinstance(given, (tuple, list)):
            raise TypeError(f"{where}: it must be {_BATCH}, received {shown(given)}")
        if not 2 <= len(given) <= 3:
            raise ValueError(f"{where}: it must be {_BATCH}, received {len(given)} entries: {shown(given)}")
        x, y, sample_weight = (*given, None)[:3]
        return self.examples(x, y, sample_weight, where)

    def _weights(self, where: str, sample_weight: Any, x: Array) -> list[Array | None]:
        names = self._model.output_names
        if sample_weight is None:
            return [None] * len(names)
        if isinstance(sample_weight, (list, tuple, dict)):
            given = _given(where, "sample_weight", sample_weight, names, "outputs")
        else:
            given = [sample_weight] * len(names)
        return [
            None if array is None else numbers(where, {"x": x, label: array})[1][1]
            for label, array in zip(_labels("sample_weight", names), given, strict=True)
        ]

    def _check(self, where: str, examples: Examples) -> None:
        """Raise unless labels and weights go with the outputs for these inputs."""
        count, names = len(examples), self._model.output_names
        for name, arrays in (("y", examples.y), ("sample_weight", examples.weights)):
            for label, array in zip(_labels(name, names), arrays, strict=True):
                if count == 0 or (array is not None and len(array) != count):
                    length = count if array is None else len(array)
                    raise ValueError(
                        f"{where}: x and {label} must be equally long, 1 at least, "
                        f"received {count} and {length}"
                    )
        shapes = self._output_shapes([array.shape for array in examples.x])
        for output, (label, shape) in enumerate(zip(_labels("y", names), shapes, strict=True)):
            loss, y, weights = self.objective.losses[output], examples.y[output], examples.weights[output]
            if loss is not None and y is not None:
                loss.check_labels(f"{where}: {label}", y, shape)
            if weights is not None:
                of_output = where if len(names) == 1 else f"{where}: output '{names[output]}'"
                stand_in = np.broadcast_to(np.float32(1), weights.shape)  # of no memory
                broadcast_weights(of_output, stand_in, shape[:-1] if len(shape) > 1 else shape)

    def _output_shapes(self, shapes: list[Sizes]) -> list[Sizes]:
        if self._known_shapes[0] != shapes:
            self._known_shapes = shapes, self._model.output_shapes(shapes)
        return self._known_shapes[1]


def _given(where: str, argument: str, value: Any, names: Sequence[str], kind: str) -> list[Any]:
    """Bring what was given for inputs or outputs into their order."""
    if isinstance(value, dict):
        return listed(where, argument, value, names, kind)
    if isinstance(value, (list, tuple)) and (
        len(names) > 1 or (len(value) == 1 and hasattr(value[0], "shape"))
    ):
        return listed(where, argument, value, names, kind)
    if len(names) > 1:
        raise TypeError(
            f"{where}: {argument} must be a list or a dict with an array for each of the model's "
            f"{len(names)} {kind} ({', '.join(names)}), received {shown(value)}"
        )
    return [value]


def _labels(argument: str, names: Sequence[str]) -> list[str]:
    """Name the argument of each input or output in errors."""
    return [f"{argument}['{name}']" for name in names] if len(names) > 1 else [argument]


def _check_input(where: str, label: str, x: Array, shape: Shape) -> None:
    fits = x.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape[1:], x.shape[1:], strict=True)
    )
    if not fits:
        hint = f"; {label}[..., None] adds an axis of channels" if (*x.shape[1:], 1) == shape[1:] else ""
        raise ValueError(
            f"{where}: {label} must have shape {shape}, as the model expects, received {x.shape}{hint}"
        )
