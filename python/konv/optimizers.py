"""`konv.optimizers`: how gradients change weights, with Keras 3's formulas and defaults.

An optimizer keeps some arrays for each variable (its slots, zeros at first) and the number of steps made.
Everything is elementwise, in the variable's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from konv._arguments import call_text, flag, instance, real
from konv.backend import Array
from konv.layers.variable import Variable

__all__ = ["SGD", "Adam", "Optimizer", "get"]


class Optimizer:
    """Base of optimizers. A subclass defines `update` and, if it has more arguments, `get_config`.

    Parameters
    ----------
    learning_rate : float
        At least 0.
    slot_names : tuple of str
        Of the arrays that `update` keeps for each variable.

    Attributes
    ----------
    iterations : int
        How many steps were made.
    """

    def __init__(self, learning_rate: float, slot_names: tuple[str, ...] = ()) -> None:
        self.learning_rate = learning_rate
        self.slot_names = slot_names
        self.iterations = 0
        self._slots: dict[Variable, list[Array]] = {}

    @property
    def learning_rate(self) -> float:
        """Size of a step."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = real(type(self).__name__, "learning_rate", value, 0.0)

    def apply(self, gradients: Sequence[Array], variables: Sequence[Variable]) -> None:
        """Make one step: change each variable by its gradient."""
        if len(gradients) != len(variables):
            raise ValueError(
                f"{type(self).__name__}: there must be one gradient for each variable, "
                f"received {len(gradients)} for {len(variables)} variables"
            )
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient.shape != variable.shape:
                raise ValueError(
                    f"{type(self).__name__}: the gradient of '{variable.name}' must have its shape "
                    f"{variable.shape}, received {gradient.shape}"
                )
        rate = self.learning_rate
        with np.errstate(all="ignore"):
            for gradient, variable in zip(gradients, variables, strict=True):
                self.update(variable.value, gradient, rate, *self.slots(variable))
        self.iterations += 1

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        """Change `value`, and its slots in the order of `slot_names`, in place.

        `rate` is the learning rate of this step.
        """
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def slots(self, variable: Variable) -> list[Array]:
        """Return the arrays kept for a variable, making them if there are none yet."""
        if variable not in self._slots:
            self._slots[variable] = [np.zeros_like(variable.value) for _ in self.slot_names]
        return self._slots[variable]

    def has_slots(self, variable: Variable) -> bool:
        """Whether the variable has been changed by this optimizer and left arrays here."""
        return bool(self._slots.get(variable))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this, without its state."""
        return {"learning_rate": self.learning_rate}

    def __repr__(self) -> str:
        return call_text(self)


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    `w -= learning_rate * g`; with momentum `v = momentum * v - learning_rate * g` and `w += v`, or with
    Nesterov's look-ahead `w += momentum * v - learning_rate * g`.

    Parameters
    ----------
    learning_rate : float
    momentum : float
        In [0, 1].
    nesterov : bool

    Examples
    --------
    >>> SGD(0.1, momentum=0.9).get_config()
    {'learning_rate': 0.1, 'momentum': 0.9, 'nesterov': False}
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        self.momentum = real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        super().__init__(learning_rate, ("momentum",) if self.momentum else ())

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        step = rate * gradient
        if not slots:
            value -= step
            return
        (velocity,) = slots
        velocity *= self.momentum
        velocity -= step
        if self.nesterov:
            value += self.momentum * velocity - step
        else:
            value += velocity

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015), in the form "just before section 2.1" that Keras uses.

    At step t, from 1: `m += (1 - beta_1) * (g - m)`, `v += (1 - beta_2) * (g * g - v)`,
    `w -= learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`.

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        At least 0.

    Examples
    --------
    >>> Adam().get_config()
    {'learning_rate': 0.001, 'beta_1': 0.9, 'beta_2': 0.999, 'epsilon': 1e-07}
    """

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
    ) -> None:
        super().__init__(learning_rate, ("momentum", "velocity"))
        self.beta_1 = real("Adam", "beta_1", beta_1, 0.0, 1.0, open_high=True)
        self.beta_2 = real("Adam", "beta_2", beta_2, 0.0, 1.0, open_high=True)
        self.epsilon = real("Adam", "epsilon", epsilon, 0.0)

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        momentum, velocity = slots
        step = self.iterations + 1
        rate *= math.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        momentum += (gradient - momentum) * (1.0 - self.beta_1)
        velocity += (gradient * gradient - velocity) * (1.0 - self.beta_2)
        value -= momentum * rate / (np.sqrt(velocity) + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


_CLASSES: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in (SGD, Adam)}


def get(identifier: Any, where: str = "optimizers.get", name: str = "identifier") -> Optimizer:
    """Return the optimizer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> get("adam").learning_rate
    0.001
    """
    return instance(where, name, identifier, Optimizer, _CLASSES)
