"""What a model keeps for training: its objective, its optimizer, its random numbers, how far it has come."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from konv import _random, optimizers
from konv import callbacks as cb
from konv._argument_names import knowing_arguments
from konv._arguments import class_and_config, shown
from konv.callbacks.state import State
from konv.layers.context import Context
from konv.models.compile_arguments import CompileArguments
from konv.models.graph_model import GraphModel
from konv.models.objective import Objective


class CompiledModel(GraphModel):
    """A graph of layers that can be compiled.

    Attributes
    ----------
    compiled : bool
    optimizer : Optimizer
    loss, metrics, weighted_metrics
        As `compile` took them.
    step : int
        Training steps made since `compile`, over all calls of `fit`.
    epoch : int
        Epochs of the run that are done: `fit` counts on from its `initial_epoch`.
    stop_training : bool
        Set to True, `fit` ends after the batch that runs, as in Keras.
    """

    optimizer: optimizers.Optimizer
    loss: Any
    metrics: Any
    weighted_metrics: Any
    stop_training: bool = False
    compiled: bool = False
    step: int = 0
    epoch: int = 0
    _states: Sequence[State] = ()
    _tell: cb.CallbackList | None = None  # of the last `fit`

    @knowing_arguments
    def compile(
        self,
        optimizer: Any,
        loss: Any,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Say how to train.

        It starts the model's random numbers afresh, from `konv.utils.set_random_seed` if that was called.
        A loss directly after the activation that it goes with (a cross-entropy after softmax, the binary one
        after sigmoid) is computed from the logits.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as "adam", or an object of `konv.optimizers`.
        loss : str or Loss, or for several outputs a list or a dict of them
            Such as "categorical_crossentropy", or an object of `konv.losses`. One is that of every output. In
            a list, None is no loss; a dict by the names of outputs may leave some out.
        loss_weights : float, list or dict, optional
            What the loss of each output is multiplied by before they are added. Default: 1.
        metrics : list or dict, optional
            Such as ["accuracy"]; for several outputs a list with a metric, a list of them or None for each
            output, or a dict of such entries by the names of outputs. Weights of samples don't count.
        weighted_metrics : list or dict, optional
            The same for metrics in which the weights of samples count.

        Raises
        ------
        TypeError, ValueError
            If an argument is of another kind, or entries don't go with the outputs.
        """
        taken = CompileArguments(loss, loss_weights, metrics, weighted_metrics)
        chosen = optimizers.get(optimizer, "compile", "optimizer")
        given_logits: list[str] = []
        if self.built:
            given_logits = self._objective_of("compile", taken).given_logits
        self.optimizer, self._arguments = chosen, taken
        self.loss, self.metrics, self.weighted_metrics = taken.loss, taken.metrics, taken.weighted_metrics
        self.compiled = True
        self.reset_random_state(_random.new_seed(), 0)
        self.restore_training(0, [])
        for activation in given_logits:
            warnings.warn(
                f"compile: loss has from_logits=True but the model ends in {activation}; "
                "its logits are taken",
                stacklevel=2,
            )

    def get_compile_config(self) -> dict[str, Any]:
        """Return the arguments of `compile` as it took them; `json` can write them."""
        return {"optimizer": class_and_config(self.optimizer), **self._arguments.config()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        known = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
        if not isinstance(config, dict):
            raise TypeError(f"compile_from_config: config must be a dict, received {shown(config)}")
        if set(config) != set(known):
            raise ValueError(
                f"compile_from_config: config must have {', '.join(known)}, received {shown(list(config))}"
            )
        self.compile(**config)

    def reset_random_state(self, seed: int, step: int) -> None:
        """Set what shuffles and layers' random numbers are keyed by."""
        self._seed = seed
        self.step = step

    @property
    def random_state(self) -> tuple[int, int]:
        """Seed and step, as `reset_random_state` takes them."""
        return self._seed, self.step

    def new_context(self, **fields: Any) -> Context:
        return Context(seed=self._seed, step=self.step, **fields)

    def order_key(self, place: int) -> int:
        """Key of the order of a pass of which `place` batches were taken, from the step at which it began."""
        return _random.derive(self._seed, _random.SHUFFLE, (self.step - place) % 2**64)

    def callback_states(self) -> list[State]:
        """Return class name and state of each callback of the last `fit`, or those that were restored."""
        return list(self._states) if self._tell is None else self._tell.states()

    def restore_training(self, epoch: int, states: Sequence[State]) -> None:
        """Set how many epochs were done, and what the callbacks knew then.

        The states go to the callbacks of the next `fit` if it goes on at that epoch (its `initial_epoch`),
        by their classes; otherwise they are dropped.
        """
        self.epoch = epoch
        self._states = tuple(states)
        self._tell = None

    def objective(self, where: str) -> Objective:
        """Return what `compile` was given, shared out among the outputs; `where` opens errors."""
        return self._objective_of(where, self._arguments)

    def _objective_of(self, where: str, arguments: CompileArguments) -> Objective:
        return Objective(where, arguments, self.output_names, self.output_activations)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the callbacks, but not what they knew."""
        return super().__getstate__() | {"_states": self.callback_states(), "_tell": None}
