"""A callback made of plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from konv._arguments import shown
from konv.callbacks.base import Callback

Hook = Callable[..., Any] | None

_HOOKS = sorted(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with (epoch, logs).
    on_train_begin, on_train_end : callable, optional
        Called with (logs).
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with (batch, logs).
    **hooks : callable
        Any other hook of `Callback`, by its name.

    Examples
    --------
    >>> from konv.callbacks import LambdaCallback
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(f"epoch {epoch}: {logs['loss']}"))
    >>> shout.on_epoch_end(3, {"loss": 0.5})
    epoch 3: 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Hook = None,
        on_epoch_end: Hook = None,
        on_train_begin: Hook = None,
        on_train_end: Hook = None,
        on_train_batch_begin: Hook = None,
        on_train_batch_end: Hook = None,
        **hooks: Hook,
    ) -> None:
        hooks |= {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, hook in hooks.items():
            if name not in _HOOKS:
                raise TypeError(
                    f"LambdaCallback: hooks must be of {', '.join(_HOOKS)}, received {shown(name)}"
                )
            if hook is None:
                continue
            if not callable(hook):
                raise TypeError(f"LambdaCallback: {name} must be callable or None, received {shown(hook)}")
            setattr(self, name, hook)
