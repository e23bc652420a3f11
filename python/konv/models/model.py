"""Model: any graph of layers, trained, tested, used and saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from konv import callbacks as cb
from konv._argument_names import knowing_arguments
from konv._arguments import at_least, flag, optional_count, real
from konv.models import saving, weights_files
from konv.models.compiled import CompiledModel
from konv.models.examples import Examples, class_weights_of
from konv.models.feed import Feed, validation_due, validation_feed
from konv.models.predictions import Predictions
from konv.models.scores import Scores
from konv.models.signature import Signature
from konv.models.sources import source_of, source_of_inputs
from konv.models.steps import penalty, run, test_epoch, test_step, train_epoch, train_step
from konv.models.summary import summary_lines

Verbose = Literal["auto"] | int


class Model(CompiledModel):
    """The layers that lead from input tensors to output tensors.

    A layer that was called several times stands in several places with the same weights. A model is a layer
    itself and can be called like one. Models that are made of the same tensors share their layers:
    `Model(model.input, [layer.output for layer in model.layers])` gives every layer's outputs.

    Parameters
    ----------
    inputs : Tensor, list of Tensor, or dict of Tensor
        What `konv.Input` returned, or tensors in between; a dict goes by the tensors' names.
    outputs : Tensor or list of Tensor
        If there are several, the outputs are a list of arrays.
    name : str, optional
    trainable : bool
        False freezes every layer.

    Raises
    ------
    TypeError
        If something else than tensors is given.
    ValueError
        If the outputs depend on another input too, two layers have one name, or inputs differ in dtype.

    Examples
    --------
    >>> from konv import Model
    >>> from konv.layers import Dense, Input
    >>> x = Input((4,))
    >>> hidden = Dense(3, activation="relu")(x)
    >>> model = Model(x, [Dense(2)(hidden), hidden])
    >>> model.output_shape, model.count_params()
    ([(None, 2), (None, 3)], 23)
    """

    @knowing_arguments
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: list[cb.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> cb.History:
        """Train on arrays, or on batches as they come.

        Parameters
        ----------
        x, y : array, or for several inputs or outputs a list or a dict of arrays by name
            Inputs and labels, `(N, ...)`, cast to the model's dtype batch by batch. Or x alone: a generator
            or any other iterable of batches `(x, y)` or `(x, y, sample_weight)`, or an object whose `[i]` is
            one and that has a length or `num_batches`.
        batch_size : int, optional
            Samples in a step of arrays. Default: 32, or with `steps_per_epoch` what makes so many steps of
            all samples.
        epochs : int
            The number at which to end, counted from 0; `epochs - initial_epoch` of them are run.
        verbose : {"auto", 0, 1, 2}
            Unless 0, each epoch ends in a line; "auto" and 1 show a bar too while it lasts, on a terminal.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the samples of arrays, in [0, 1), taken off the end before any shuffling, to test on.
        validation_data : (x, y), (x, y, sample_weight) or iterable of batches, optional
            What to test on; `validation_split` is then ignored.
        shuffle : bool
            Whether each pass takes the samples of arrays (the batches of an object of batches by index) in an
            order of its own, keyed by the model's seed and step.
        class_weight : dict of float by label, optional
            For a model of one output: multiplies the weights of the samples of a class. For labels without
            one, and in validation, it is 1.
        sample_weight : array, or for several outputs a list or a dict of arrays, optional
            `(N,)`, or of the shape of the labels as ints. One array is that of every output.
        initial_epoch : int
            The number of the first epoch, for a run that goes on.
        steps_per_epoch : int, optional
            Batches in an epoch. Default: all of them, so data that never ends needs it. With it the batches
            are one stream that goes on from epoch to epoch: data that ends begins again, but an iterator that
            ends ends training with a warning. A run that goes on begins `initial_epoch * steps_per_epoch`
            batches into the stream of arrays, so it sees those that it would have seen.
        validation_steps, validation_batch_size : int, optional
            The same for validation, which begins at the start of the data each time.
        validation_freq : int or list of int
            Test after every so many epochs, or after those in a list, counted from 1.

        Returns
        -------
        History
            With `history`, the means of loss and metrics for each epoch.

        Raises
        ------
        TypeError, ValueError
            If an argument, or a batch, is not as described, or doesn't go with the model. Batches are checked
            one by one, all else before the first step.
        """
        where = "fit"
        signature = self._signature(where)
        epochs = at_least(1, where, "epochs", epochs)
        initial_epoch = at_least(0, where, "initial_epoch", initial_epoch)
        shuffle = flag(where, "shuffle", shuffle)
        steps = optional_count(where, "steps_per_epoch", steps_per_epoch)
        batch_size = optional_count(where, "batch_size", batch_size)
        validation_batch_size = optional_count(where, "validation_batch_size", validation_batch_size)
        validation_split = real(where, "validation_split", validation_split, 0.0, 1.0, open_high=True)
        is_due = validation_due(where, validation_freq)
        watchers = [*cb.checked(where, callbacks), *cb.progress(where, verbose)]
        source, held_out = source_of(
            where,
            signature,
            (x, y, sample_weight),
            batch_size,
            steps,
            validation_split if validation_data is None else 0.0,
        )
        class_weights = class_weights_of(where, class_weight, self.output_names)
        validation = validation_feed(
            self,
            held_out if validation_data is None else validation_data,
            validation_batch_size or batch_size,
            optional_count(where, "validation_steps", validation_steps),
            times=epochs - initial_epoch,
        )
        key = self.order_key if shuffle else None
        feed = Feed(where, source, steps, wraps=True, position=initial_epoch * (steps or 0), key=key)
        if initial_epoch < epochs:  # the first batches are checked before the first step
            feed.ready()
            if validation is not None:
                validation.ready()

        states = self._states if self._tell is None and 0 < self.epoch == initial_epoch else []
        self.restore_training(initial_epoch, [])
        self.stop_training = False
        history = cb.History()
        params = _params(feed, epochs, verbose)
        logs: cb.Logs | None = None
        with cb.CallbackList([*watchers, history], self, params) as tell:
            self._tell = tell
            tell("on_train_begin")
            tell.restore(states)
            for epoch in range(initial_epoch, epochs):
                if self.stop_training or not feed.ready():  # also where a run that goes on had been stopped
                    break
                tell("on_epoch_begin", epoch)
                logs = train_epoch(self, signature.objective, feed, tell, class_weights)
                if validation is not None and is_due(epoch + 1):
                    tested = test_epoch(where, self, signature.objective, validation, tell, cb.no_progress)
                    logs |= {f"val_{name}": value for name, value in tested.items()}
                    validation.rewind()
                self.epoch = epoch + 1
                tell("on_epoch_end", epoch, logs=logs)
                if self.stop_training:
                    break
            tell("on_train_end", logs=logs)
        return history

    @knowing_arguments
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: list[cb.Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the means of the loss and the metrics over arrays, or over batches as they come.

        Parameters
        ----------
        x, y, batch_size, sample_weight
            As in `fit`.
        verbose : {"auto", 0, 1, 2}
            Unless 0, the result is printed too.
        steps : int, optional
            Take only so many batches.
        callbacks : list of Callback, optional
        return_dict : bool

        Returns
        -------
        float, list of float, or dict
            The loss; if there is more, a list of the loss, those of several outputs, and the metrics (of
            several outputs in the order of their names); with `return_dict` a dict by name.
        """
        where = "evaluate"
        signature = self._signature(where)
        return_dict = flag(where, "return_dict", return_dict)
        steps = optional_count(where, "steps", steps)
        batch_size = optional_count(where, "batch_size", batch_size)
        watchers = cb.checked(where, callbacks)
        source, _ = source_of(where, signature, (x, y, sample_weight), batch_size, steps)
        feed = Feed(where, source, steps)
        with (
            cb.sample_bar(where, verbose, feed.samples) as advance,
            cb.CallbackList(watchers, self, _params(feed, 1, verbose)) as tell,
        ):
            feed.ready()
            logs = test_epoch(where, self, signature.objective, feed, tell, advance)
        if verbose:
            print(f"Test: {cb.logs_text(logs)}")
        return _as_returned(logs, return_dict)

    @knowing_arguments
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: list[cb.Callback] | None = None,
    ) -> Any:
        """Return the outputs for inputs `(N, ...)`; N may be 0.

        Each output has the same bits whatever the batch size.

        Parameters
        ----------
        x, batch_size
            As in `fit`. Batches may also be inputs alone; of `(x, y)` x is taken.
        verbose : {"auto", 0, 1, 2}
            Unless 0, a terminal shows a bar.
        steps : int, optional
            Take only so many batches.
        callbacks : list of Callback, optional

        Returns
        -------
        array, or list of array for several outputs
        """
        where = "predict"
        signature = Signature(self, where)
        steps = optional_count(where, "steps", steps)
        batch_size = optional_count(where, "batch_size", batch_size)
        watchers = cb.checked(where, callbacks)
        source = source_of_inputs(signature, x, batch_size, steps)
        feed = Feed(where, source, steps)
        predictions = Predictions(where, feed.samples)
        with (
            cb.sample_bar(where, verbose, feed.samples) as advance,
            cb.CallbackList(watchers, self, _params(feed, 1, verbose)) as tell,
        ):
            feed.ready()
            tell("on_predict_begin")
            for number, batch in enumerate(feed.epoch()):
                tell("on_predict_batch_begin", number)
                outputs = self._predict_step(batch.x)
                predictions.add(outputs)
                advance(len(batch))
                tell("on_predict_batch_end", number, logs={"outputs": self._as_given(outputs)})
            tell("on_predict_end")
        return self._as_given(predictions.joined())

    @knowing_arguments
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one training step; return the batch's loss and metrics before it, as `evaluate` does."""
        where = "train_on_batch"
        signature, batch, return_dict = self._batch(where, (x, y, sample_weight), return_dict)
        scores = Scores(signature.objective)
        class_weights = class_weights_of(where, class_weight, self.output_names)
        train_step(where, self, signature.objective, batch, scores, class_weights)
        return _as_returned(scores.logs(), return_dict)

    @knowing_arguments
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss and metrics of one batch, as `evaluate` does."""
        where = "test_on_batch"
        signature, batch, return_dict = self._batch(where, (x, y, sample_weight), return_dict)
        scores = Scores(signature.objective)
        test_step(where, self, signature.objective, batch, scores, penalty(self))
        return _as_returned(scores.logs(), return_dict)

    @knowing_arguments
    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch of inputs, as `predict` does."""
        return self._as_given(self._predict_step(Signature(self, "predict_on_batch").inputs(x)))

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Save weights, architecture, optimizer, random and callbacks' state in one safetensors file.

        The file is written whole or not at all: under a temporary name in the same folder, synced, then
        renamed. `konv.load_model` restores it, and training goes on to the same bits as if it had never
        stopped. Only one save at a time may go to one path.
        """
        saving.save_model(self, filepath)

    def save_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Save the weights alone, by their paths: `dense/kernel`.

        The file's name ends in `.safetensors` or `.npz`. It is written whole or not at all.
        """
        weights_files.save_weights(self, filepath)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Load what `save_weights` saved, or the weights of what `save` saved: all or, on an error, none.

        Weights go by the names of their layers. Layers that were given none, whose names count up in a
        process, go by their order, so the same code makes a model that takes the file at any time.

        Raises
        ------
        OSError
            If there is no such file, or it can't be read.
        ValueError
            If it is not a whole file of weights with just this model's layers and shapes.
        """
        weights_files.load_weights(self, filepath)

    def summary(self) -> None:
        """Print each layer's output shape, parameters and multiply-adds for one image."""
        print("\n".join(summary_lines(self)))

    def _batch(
        self, where: str, given: tuple[Any, Any, Any], return_dict: Any
    ) -> tuple[Signature, Examples, bool]:
        """Take x, y and sample_weight of one batch, and how its scores are to be returned."""
        signature = self._signature(where)
        return_dict = flag(where, "return_dict", return_dict)
        return signature, signature.examples(*given), return_dict

    def _predict_step(self, x: Sequence[Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            outputs, _ = run(self, x, [False] * len(self.graph.outputs), for_backward=False)
        return outputs

    def _as_given(self, outputs: list[Any]) -> Any:
        return outputs if self.several_outputs else outputs[0]

    def _signature(self, where: str) -> Signature:
        if not self.compiled:
            raise ValueError(f"{where}: {self.label} must be compiled first, call compile(optimizer, loss)")
        return Signature(self, where)


def _as_returned(logs: cb.Logs, return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]


def _params(feed: Feed, epochs: int, verbose: Verbose) -> dict[str, Any]:
    """Return what callbacks know of a run, see `konv.callbacks.Callback`."""
    return {
        "epochs": epochs,
        "steps": feed.steps,
        "samples": feed.samples,
        "samples_seen": 0,
        "batch_size": feed.batch_size,
        "verbose": verbose,
    }
