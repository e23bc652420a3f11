"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

from konv._arguments import flag, real
from konv.backend import Array, route
from konv.optimizers.base import Optimizer
from konv.optimizers.schedules import LearningRateSchedule


class Adam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015), in the form "just before section 2.1" that Keras uses.

    At step t, from 1: `m += (1 - beta_1) * (g - m)`, `v += (1 - beta_2) * (g * g - v)`,
    `w -= learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        At least 0.
    amsgrad : bool
        Divide by the root of the largest v so far (Reddi, Kale and Kumar, ICLR 2018).
    weight_decay, clipnorm, clipvalue, global_clipnorm : float, optional
    name : str, optional
        See `Optimizer`.

    Examples
    --------
    >>> from konv.optimizers import Adam
    >>> Adam().beta_2
    0.999
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        *,
        name: str | None = None,
    ) -> None:
        where = type(self).__name__
        self.beta_1 = real(where, "beta_1", beta_1, 0.0, 1.0, open_high=True)
        self.beta_2 = real(where, "beta_2", beta_2, 0.0, 1.0, open_high=True)
        self.epsilon = real(where, "epsilon", epsilon, 0.0)
        self.amsgrad = flag(where, "amsgrad", amsgrad)
        super().__init__(
            learning_rate,
            ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity"),
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            name=name,
        )

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        kernels = route(value, "Adam: value")[0].kernels
        momentum, velocity, *velocity_hat = slots
        step = self.iterations + 1
        kernels.adam_step(
            value,
            gradient,
            momentum,
            velocity,
            velocity_hat[0] if velocity_hat else None,
            rate * math.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step),
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.decay(rate),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019).

    Each step takes `weight_decay * learning_rate` of the weights off before Adam's own change.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    weight_decay : float
        At least 0.
    beta_1, beta_2, epsilon, amsgrad
        See `Adam`.
    clipnorm, clipvalue, global_clipnorm : float, optional
    name : str, optional
        See `Optimizer`.

    Examples
    --------
    >>> from konv.optimizers import AdamW
    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            real("AdamW", "weight_decay", weight_decay, 0.0),
            clipnorm,
            clipvalue,
            global_clipnorm,
            name=name,
        )
