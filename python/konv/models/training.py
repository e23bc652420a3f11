"""The base of models: training, testing, predicting.

A model is a layer made of layers, so all it adds is a loss, an optimizer and the loop around `forward` and
`backward`.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal, overload

import numpy as np

from konv import _random, losses, optimizers
from konv import callbacks as cb
from konv._arguments import Shape, at_least, flag, integer, real, shown, text
from konv.activations import softmax
from konv.backend import Array, route
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.metrics import Metric, check_names, template
from konv.models import saving
from konv.models.examples import Examples, check_inputs
from konv.models.scores import Scores
from konv.models.summary import summary_lines
from konv.ops.arguments import numbers

NDArray = np.ndarray[Any, Any]
Verbose = Literal["auto"] | int


class TrainableModel(Layer):
    """Base of models. A subclass defines what a layer does, and `layers`."""

    _noun = "model"

    optimizer: optimizers.Optimizer
    loss: losses.Loss
    metrics: list[Metric | str]
    input_shape: Shape

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stop_training = False
        self.compiled = False
        self.step = 0  # training steps made since `compile`, over all calls of `fit`
        self.input_shape = ()  # with the batch; () until it is known

    # Structure.

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        raise NotImplementedError(f"{self.label}: layers is not defined")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of a name or at an index.

        Raises
        ------
        ValueError
            If there is none, or if not just one of the arguments is given.
        """
        where = "get_layer"
        if (name is None) == (index is None):
            raise ValueError(
                f"{where}: one of name and index must be given, received {shown(name)}, {shown(index)}"
            )
        if index is not None:
            index = integer(where, "index", index)
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{where}: index must be below {len(self.layers)}, received {index}")
            return self.layers[index]
        name = text(where, "name", name)
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise ValueError(f"{where}: name must be one of {known}, received {shown(name)}")

    def summary(self) -> None:
        """Print each layer's output shape, parameters and multiply-adds for one image."""
        print("\n".join(summary_lines(self)))

    # Training.

    def compile(self, optimizer: Any, loss: Any, metrics: Any = None) -> None:
        """Say how to train.

        It starts the model's random numbers afresh, from `konv.utils.set_random_seed` if that was called.

        Parameters
        ----------
        optimizer : str or Optimizer
            "sgd", "adam", or an object of `konv.optimizers`.
        loss : str or Loss
            "categorical_crossentropy", "sparse_categorical_crossentropy", or an object of `konv.losses`.
            A cross-entropy of a model that ends in softmax is computed from its logits.
        metrics : list of str or Metric, optional
            Such as ["accuracy"].
        """
        templates = _metric_templates(metrics)
        self.optimizer = optimizers.get(optimizer, "compile", "optimizer")
        self.loss = losses.get(loss, "compile", "loss")
        self.metrics = templates
        self.compiled = True
        self.reset_random_state(_random.new_seed(), 0)
        if self.ends_in == "softmax" and getattr(self.loss, "from_logits", False):
            warnings.warn(
                "compile: loss has from_logits=True but the model ends in softmax; its logits are taken",
                stacklevel=2,
            )

    def reset_random_state(self, seed: int, step: int) -> None:
        """Set what shuffles and layers' random numbers are keyed by."""
        self._seed = seed
        self.step = step

    @property
    def random_state(self) -> tuple[int, int]:
        """Seed and step, as `reset_random_state` takes them."""
        return self._seed, self.step

    def fit(
        self,
        x: NDArray,
        y: NDArray,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: list[cb.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[NDArray, NDArray] | None = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> cb.History:
        """Train on arrays.

        Parameters
        ----------
        x, y : array
            Inputs and labels, `(N, ...)`. Inputs are cast to the model's dtype batch by batch.
        batch_size : int
            Samples in a step.
        epochs : int
            The number at which to end, counted from 0; `epochs - initial_epoch` of them are run.
        verbose : {"auto", 0, 1, 2}
            Unless 0, each epoch ends in a line; "auto" and 1 show a bar too while it lasts, on a terminal.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the samples, in [0, 1), taken off the end before any shuffling, to test on after each
            epoch.
        validation_data : (x, y), optional
            What to test on after each epoch; `validation_split` is then ignored.
        shuffle : bool
            Whether each epoch takes the samples in an order of its own, keyed by the model's seed and step.
        initial_epoch : int
            The number of the first epoch, for a run that goes on.

        Returns
        -------
        History
            With `history`, the means of loss and metrics for each epoch.
        """
        where = "fit"
        examples = self._examples(where, x, y)
        batch_size = at_least(1, where, "batch_size", batch_size)
        epochs = at_least(1, where, "epochs", epochs)
        initial_epoch = at_least(0, where, "initial_epoch", initial_epoch)
        shuffle = flag(where, "shuffle", shuffle)
        validation_split = real(where, "validation_split", validation_split, 0.0, 1.0, open_high=True)
        validation = None
        if validation_data is not None:
            validation = self._examples(f"{where}: validation_data", *_pair(where, validation_data))
        elif validation_split:
            examples, validation = examples.split(where, validation_split)

        history = cb.History()
        watchers = [*cb.checked(where, callbacks), *cb.progress(where, verbose), history]
        params = {"epochs": epochs, "samples": len(examples), "batch_size": batch_size}
        self.stop_training = False
        logs: cb.Logs | None = None
        with cb.CallbackList(watchers, self, params) as tell:
            tell("on_train_begin")
            for epoch in range(initial_epoch, epochs):
                tell("on_epoch_begin", epoch)
                logs = self._epoch(examples, batch_size, shuffle, tell)
                if validation is not None:
                    tested = self._test(validation, batch_size)
                    logs |= {f"val_{name}": value for name, value in tested.items()}
                tell("on_epoch_end", epoch, logs=logs)
                if self.stop_training:
                    break
            tell("on_train_end", logs=logs)
        return history

    def _epoch(
        self, examples: Examples, batch_size: int, shuffle: bool, tell: cb.CallbackList
    ) -> dict[str, float]:
        scores = Scores(self.metrics)
        key = _random.derive(self._seed, _random.SHUFFLE, self.step)
        order = _random.permutation(key, len(examples)) if shuffle else None
        for number, batch in enumerate(examples.batches(batch_size, order)):
            tell("on_train_batch_begin", number)
            self._train_step(*batch, scores)
            tell("on_train_batch_end", number, logs=scores.logs())
        return scores.logs()

    def _train_step(self, x: NDArray, y: NDArray, scores: Scores) -> None:
        loss, logits = self._loss_and_logits()
        with np.errstate(all="ignore"):  # what diverges shows in the loss
            outputs, saved = self._forward(x, training=True, logits=logits)
            values, gradient = loss.per_sample(y, outputs)
            _, gradients = self.backward(gradient() / values.size, saved, needs_input=False)
            self.optimizer.apply(gradients, self.trainable_variables)
        self.step += 1
        scores.add(losses.mean(values), y, softmax(outputs) if logits else outputs)

    def _test_step(self, x: NDArray, y: NDArray, scores: Scores) -> None:
        loss, logits = self._loss_and_logits()
        with np.errstate(all="ignore"):
            outputs, _ = self._forward(x, for_backward=False, logits=logits)
            values, _ = loss.per_sample(y, outputs)
        scores.add(losses.mean(values), y, softmax(outputs) if logits else outputs)

    def _test(self, examples: Examples, batch_size: int, advance: cb.Advance = cb.unseen) -> dict[str, float]:
        scores = Scores(self.metrics)
        for x, y in examples.batches(batch_size):
            self._test_step(x, y, scores)
            advance(len(x))
        return scores.logs()

    @overload
    def evaluate(
        self,
        x: NDArray,
        y: NDArray,
        batch_size: int = ...,
        verbose: Verbose = ...,
        return_dict: Literal[False] = ...,
    ) -> float | list[float]: ...
    @overload
    def evaluate(
        self,
        x: NDArray,
        y: NDArray,
        batch_size: int = ...,
        verbose: Verbose = ...,
        *,
        return_dict: Literal[True],
    ) -> dict[str, float]: ...
    def evaluate(
        self,
        x: NDArray,
        y: NDArray,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """Return the means of the loss and the metrics over arrays.

        Parameters
        ----------
        x, y : array
            Inputs and labels, `(N, ...)`.
        batch_size : int
        verbose : {"auto", 0, 1, 2}
            Unless 0, the result is printed too.
        return_dict : bool

        Returns
        -------
        float, list of float, or dict
            The loss; if there are metrics, a list of the loss and them; with `return_dict` a dict by name.
        """
        where = "evaluate"
        examples = self._examples(where, x, y)
        batch_size = at_least(1, where, "batch_size", batch_size)
        return_dict = flag(where, "return_dict", return_dict)
        with cb.sample_bar(where, verbose, len(examples)) as advance:
            logs = self._test(examples, batch_size, advance)
        if verbose:
            print(f"Test: {cb.logs_text(logs)}")
        return _as_returned(logs, return_dict)

    def predict(self, x: NDArray, batch_size: int = 32, verbose: Verbose = "auto") -> NDArray:
        """Return the outputs for an array of inputs `(N, ...)`; N may be 0.

        Each output has the same bits whatever the batch size. Unless `verbose` is 0, a terminal shows a bar.
        """
        where = "predict"
        batch_size = at_least(1, where, "batch_size", batch_size)
        inputs = self._inputs(where, x)
        outputs = []
        with cb.sample_bar(where, verbose, len(inputs)) as advance:
            for start in range(0, max(len(inputs), 1), batch_size):
                outputs.append(self.predict_on_batch(inputs[start : start + batch_size]))
                advance(len(outputs[-1]))
        if len(outputs) == 1:
            return outputs[0]
        backend, _ = route(outputs[0], where)
        whole: NDArray = backend.array_module.concatenate(outputs)
        return whole

    def train_on_batch(
        self, x: NDArray, y: NDArray, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """Make one training step; return the batch's loss and metrics before it, as `evaluate` does."""
        examples, scores = self._examples("train_on_batch", x, y), Scores(self.metrics)
        self._train_step(examples.x, examples.y, scores)
        return _as_returned(scores.logs(), flag("train_on_batch", "return_dict", return_dict))

    def test_on_batch(
        self, x: NDArray, y: NDArray, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """Return the loss and metrics of one batch, as `evaluate` does."""
        examples, scores = self._examples("test_on_batch", x, y), Scores(self.metrics)
        self._test_step(examples.x, examples.y, scores)
        return _as_returned(scores.logs(), flag("test_on_batch", "return_dict", return_dict))

    def predict_on_batch(self, x: NDArray) -> NDArray:
        """Return the outputs for one batch of inputs."""
        inputs = self._inputs("predict_on_batch", x)
        with np.errstate(all="ignore"):
            outputs: NDArray = self._forward(inputs, for_backward=False)[0]
        return outputs

    # Files.

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Save weights, architecture, optimizer and random state in one safetensors file.

        The file is written whole or not at all: under a temporary name in the same folder, synced, then
        renamed. `konv.load_model` restores it, and training goes on to the same bits as if it had never
        stopped. Only one save at a time may go to one path.
        """
        saving.save_model(self, filepath)

    def _context(self, **fields: Any) -> Context:
        return Context(seed=self._seed, step=self.step, **fields)

    def _forward(self, x: Array, **fields: Any) -> tuple[Array, Any]:
        """Cast a batch and run it forward, on the backend that it lies on."""
        backend, x = route(x, f"{self.label}: inputs")
        x = x.astype(self.dtype, order="C", copy=False)
        return self.forward(x, self._context(backend=backend, **fields))

    def _inputs(self, where: str, x: Any) -> Array:
        """Take an array of inputs, maybe none, and build the model for them if it isn't built yet."""
        _, (inputs,) = numbers(where, {"x": x})
        if not self.built:
            self.build((None, *inputs.shape[1:]))
        check_inputs(where, inputs, self.input_shape)
        return inputs

    def _examples(self, where: str, x: Any, y: Any) -> Examples:
        if not self.compiled:
            raise ValueError(f"{where}: {self.label} must be compiled first, call compile(optimizer, loss)")
        _, (x, y) = numbers(where, {"x": x, "y": y})
        examples = Examples.checked(where, self._inputs(where, x), y)
        self.loss.check_shapes(f"{where}: y", examples.y.shape, self.compute_output_shape(examples.x.shape))
        return examples

    def _loss_and_logits(self) -> tuple[losses.Loss, bool]:
        """The loss as it is computed, and whether from the logits."""
        if self.ends_in == "softmax" and isinstance(self.loss, losses.Crossentropy):
            return self.loss.on_logits(), True
        return self.loss, False


def _metric_templates(identifiers: Any) -> list[Metric | str]:
    where = "compile"
    if identifiers is None:
        return []
    if not isinstance(identifiers, (list, tuple)):
        raise TypeError(f"{where}: metrics must be a list, received {shown(identifiers)}")
    templates = [template(identifier, where) for identifier in identifiers]
    check_names(templates, where)
    return templates


def _pair(where: str, data: Any) -> tuple[Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(f"{where}: validation_data must be a pair (x, y), received {shown(data)}")
    return data[0], data[1]


def _as_returned(logs: dict[str, float], return_dict: bool) -> float | list[float] | dict[str, float]:
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
