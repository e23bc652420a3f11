"""Objects and models from descriptions that JSON can hold, alike from Keras's modules and from Konv's.

The script that records fixtures builds with `keras`, the tests build with `konv`: both run what the fixture
says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Description = Any
"""`{"class": "losses.MeanSquaredError", "arguments": {...}}`, `{"function": NAME}`, or a list, dict or
value."""


def halve_every_second_epoch(epoch: int, learning_rate: float) -> float:
    """A schedule for LearningRateScheduler."""
    return learning_rate * 0.5 if epoch % 2 else learning_rate


def decay_by_epoch(epoch: int) -> float:
    """The same, of one argument."""
    return 0.1 / (1 + epoch)


_FUNCTIONS = {function.__name__: function for function in (halve_every_second_epoch, decay_by_epoch)}


def construct(api: Any, description: Description) -> Any:
    """Make what a description says from a module such as keras; lists of integers become tuples."""
    if isinstance(description, dict):
        if "class" in description:
            cls = functools.reduce(getattr, description["class"].split("."), api)
            return cls(**construct(api, description.get("arguments", {})))
        if "function" in description:
            return _FUNCTIONS[description["function"]]
        return {key: construct(api, value) for key, value in description.items()}
    if isinstance(description, (list, tuple)):
        items = [construct(api, item) for item in description]
        sizes = items and all(type(item) in (int, tuple) for item in items)
        return tuple(items) if sizes else items
    return description


def construct_layer(api: Any, description: Description, dtype: str) -> Any:
    """Make a layer of a dtype."""
    arguments = {**description.get("arguments", {}), "dtype": dtype}
    return construct(api, {"class": description["class"], "arguments": arguments})


def build_model(api: Any, description: Description, dtype: str) -> Any:
    """Make a Sequential of `layers`, or a Model of `nodes`, each a layer, the names of its inputs and its
    own."""
    if "layers" in description:
        first = api.Input(shape=tuple(description["input_shape"]), dtype=dtype)
        layers = [construct_layer(api, layer, dtype) for layer in description["layers"]]
        return api.Sequential([first, *layers])
    inputs = {
        name: api.Input(shape=tuple(shape), dtype=dtype, name=name)
        for name, shape in description["inputs"].items()
    }
    tensors = dict(inputs)
    for node in description["nodes"]:
        layer = construct_layer(
            api, {**node, "arguments": {**node["arguments"], "name": node["name"]}}, dtype
        )
        taken = [tensors[name] for name in node["of"]]
        tensors[node["name"]] = layer(taken[0] if len(taken) == 1 else taken)
    return api.Model(list(inputs.values()), [tensors[name] for name in description["outputs"]])


def endless_batches(x: Array, y: Array, batch_size: int) -> Iterator[tuple[Array, Array]]:
    """Give batches in order, over and over."""
    while True:
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]


def run_fit(
    api: Any,
    model: Any,
    case: Description,
    arrays: Callable[[str], Any],
    callbacks: list[Any],
    **options: Any,
) -> Any:
    """Compile (with further options) and fit a model as a case says; return what `fit` returns.

    `arrays` gives the array of a name.
    """
    model.compile(**construct(api, case["compile"]), **options)
    data = named_data(case["data"], arrays)
    if "validation_data" in data:
        data["validation_data"] = tuple(data["validation_data"])
    if "generator_of" in case:
        data = {"x": endless_batches(data["x"], data["y"], case["generator_of"])}
    arguments = dict(case["fit"])
    if "class_weight" in arguments:  # JSON makes keys strings
        arguments["class_weight"] = {int(key): value for key, value in arguments["class_weight"].items()}
    return model.fit(**data, **arguments, callbacks=callbacks, shuffle=False, verbose=0)


def run_on_batches(
    api: Any, case: Description, start: list[Array], dtype: str, arrays: Callable[[str], Any]
) -> list[Array]:
    """Train a model batch by batch, then test it on the first; return what each call returns."""
    if "on_batches" not in case:
        return []
    model = build_model(api, case["model"], dtype)
    model.set_weights(start)
    model.compile(**construct(api, case["compile"]))
    x, y = arrays(case["data"]["x"]), arrays(case["data"]["y"])
    batches = [slice(i, i + case["on_batches"]) for i in range(0, len(x), case["on_batches"])]
    results = [model.train_on_batch(x[batch], y[batch]) for batch in batches]
    return [np.atleast_1d(result) for result in (*results, model.test_on_batch(x[batches[0]], y[batches[0]]))]


def drive_callback(
    api: Any, description: Description, values: list[float], path: str | None = None
) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Tell a callback of epochs that end with each value as `val_loss` and 1 - value as `val_accuracy`.

    After each it gives the callback, its model, whose one weight is the epoch's number, and the logs; in the
    end once more. A callback that writes is given `path`.
    """
    if path is not None:
        key = "filename" if description["class"].endswith("CSVLogger") else "filepath"
        description = {**description, "arguments": {**description.get("arguments", {}), key: path}}
    callback = construct(api, description)
    model = api.Sequential([api.Input(shape=(1,)), api.layers.Dense(1, use_bias=False)])
    model.compile(optimizer=api.optimizers.SGD(0.5), loss="mse", metrics=["accuracy"])
    model.test_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))  # after this Keras knows what accuracy is
    model.stop_training = False
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "steps": 1, "verbose": 0})
    callback.on_train_begin()
    logs: dict[str, Any] = {}
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        model.set_weights([np.full((1, 1), epoch)])
        logs = {"loss": 2 * value, "val_loss": value, "val_accuracy": 1 - value}
        callback.on_epoch_end(epoch, logs)
        yield callback, model, logs
        if model.stop_training:
            break
    callback.on_train_end(logs)
    yield callback, model, logs


def named_data(names: Any, arrays: Callable[[str], Any]) -> Any:
    """Put arrays in the place of their names."""
    if isinstance(names, dict):
        return {key: named_data(value, arrays) for key, value in names.items()}
    if isinstance(names, list):
        return [named_data(value, arrays) for value in names]
    return arrays(names)


def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw numbers of magnitude 0.5 to 1.5, so that no term of a sum is lost unseen, in steps that float32
    holds."""
    return np.asarray(
        np.round(random.uniform(0.5, 1.5, shape) * 256) / 256 * random.choice((-1.0, 1.0), shape)
    )
