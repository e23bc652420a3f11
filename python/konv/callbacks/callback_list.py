"""Telling all callbacks of a run what happens."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from konv.callbacks.base import Callback, Logs
from konv.callbacks.state import State, as_arrays


class CallbackList:
    """Calls all callbacks in turn: those of a lower `turn` first.

    Parameters
    ----------
    callbacks : sequence of Callback
    model : Model
    params : dict
        See `Callback`.

    Examples
    --------
    >>> from konv.callbacks import LambdaCallback
    >>> first = LambdaCallback(on_epoch_begin=lambda epoch, logs: print("epoch", epoch))
    >>> with CallbackList([first], model=None, params={"epochs": 1}) as tell:
    ...     tell("on_epoch_begin", 0)
    epoch 0
    """

    def __init__(self, callbacks: Sequence[Callback], model: Any, params: dict[str, Any]) -> None:
        self.params = params
        self._callbacks = sorted(callbacks, key=lambda callback: callback.turn)
        self._exits = contextlib.ExitStack()  # which runs all of them, whichever fails
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)
            self._exits.callback(callback._on_exit)

    def __enter__(self) -> CallbackList:
        return self

    def __exit__(self, *error: Any) -> None:
        self._exits.__exit__(*error)

    def __call__(self, event: str, *number: int, logs: Logs | None = None) -> None:
        """Call the method `event` of each with the epoch's or batch's number, if it has one, and the logs."""
        for callback in self._callbacks:
            getattr(callback, event)(*number, logs)

    def states(self) -> list[State]:
        """Return class name and state of each callback, without the classes that have nothing to keep."""
        states = [
            (type(each).__name__, as_arrays(type(each).__name__, each.get_state()))
            for each in self._callbacks
        ]
        kept = {name for name, state in states if state}
        return [(name, state) for name, state in states if name in kept]

    def restore(self, states: Sequence[State]) -> None:
        """Hand states to the callbacks of their class, in order; those that nobody takes are dropped."""
        waiting = list(self._callbacks)
        for name, state in states:
            taker = next((each for each in waiting if type(each).__name__ == name), None)
            if taker is not None:
                waiting.remove(taker)
                taker.set_state(state)
