"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from konv._arguments import flag, real
from konv.backend import Array, route
from konv.optimizers.base import Optimizer
from konv.optimizers.schedules import LearningRateSchedule


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    `w -= learning_rate * g`; with momentum `v = momentum * v - learning_rate * g` and `w += v`, or with
    Nesterov's look-ahead `w += momentum * v - learning_rate * g` (the order of Keras: v is updated first).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    momentum : float
        In [0, 1].
    nesterov : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm : float, optional
    name : str, optional
        See `Optimizer`.

    Examples
    --------
    >>> from konv.optimizers import SGD
    >>> SGD(0.1, momentum=0.9).get_config()["momentum"]
    0.9
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.momentum = real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        super().__init__(
            learning_rate,
            ("momentum",) if self.momentum else (),
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            name=name,
        )

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        kernels = route(value, "SGD: value")[0].kernels
        velocity = slots[0] if slots else None
        kernels.sgd_step(value, gradient, velocity, rate, self.momentum, self.nesterov, self.decay(rate))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
