"""What all optimizers share: a learning rate or schedule, gradients clipped and checked, arrays kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from konv._argument_names import KnowingArguments
from konv._arguments import call_text, class_and_config, real, shown, snake_case, text
from konv.backend import Array, route
from konv.layers.variable import Variable
from konv.optimizers import schedules
from konv.optimizers.schedules import LearningRateSchedule


class Optimizer(KnowingArguments):
    """Base of optimizers. A subclass defines `update` and, if it has more arguments, `get_config`.

    At most one of the three clips may be given; one of 0 clips nothing, as in Keras.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        At least 0. A schedule may also be given as `{"class_name": ..., "config": ...}`.
    slot_names : tuple of str
        Of the arrays that `update` keeps for each variable.
    weight_decay : float, optional
        At least 0. `update` takes `weight_decay * rate` of each weight off before anything else (decoupled
        from the gradient: Loshchilov and Hutter, ICLR 2019).
    clipnorm : float, optional
        Gradients of a larger L2 norm are scaled down to it, each variable's by itself.
    clipvalue : float, optional
        Every element of a gradient is brought into [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        All gradients are scaled by one factor, so that their L2 norm together is at most this. One that
        isn't finite makes them all NaN.
    name : str, optional
        Default: the class's name in snake case.

    Attributes
    ----------
    iterations : int
        How many steps were made.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.optimizers import Optimizer
    >>> class SignDescent(Optimizer):
    ...     def update(self, value, gradient, rate, *slots):
    ...         value -= rate * np.sign(gradient)
    >>> SignDescent(0.1, clipvalue=1).learning_rate
    0.1
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        slot_names: tuple[str, ...] = (),
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        where = type(self).__name__
        self.name = snake_case(where) if name is None else text(where, "name", name)
        self._learning_rate: float | LearningRateSchedule = 0.0
        self.learning_rate = learning_rate
        self.slot_names = slot_names
        self.weight_decay = self._optional("weight_decay", weight_decay)
        self.clipnorm = self._optional("clipnorm", clipnorm)
        self.clipvalue = self._optional("clipvalue", clipvalue)
        self.global_clipnorm = self._optional("global_clipnorm", global_clipnorm)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [f"{each}={clip!r}" for each, clip in clips.items() if clip is not None]
        if len(given) > 1:
            raise ValueError(
                f"{where}: only one of clipnorm, clipvalue and global_clipnorm may be given, "
                f"received {', '.join(given)}"
            )
        self.iterations = 0
        self._slots: dict[Variable, list[Array]] = {}

    def _optional(self, name: str, value: Any) -> float | None:
        return None if value is None else real(type(self).__name__, name, value, 0.0)

    @property
    def learning_rate(self) -> float:
        """Size of the next step: a number that can be set, or what the schedule says.

        A schedule can be replaced by another; to set a number in its place is a TypeError.
        """
        if not isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate
        name = f"learning_rate, {self._learning_rate!r} at step {self.iterations},"
        return real(type(self).__name__, name, self._learning_rate(self.iterations), 0.0)

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule | dict[str, Any]) -> None:
        where = type(self).__name__
        if isinstance(value, (LearningRateSchedule, dict)):
            self._learning_rate = schedules.get(value, where, "learning_rate")
        elif isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{where}: learning_rate must stay a schedule, for the optimizer has one "
                f"({self._learning_rate!r}), received {shown(value)}; "
                "make the optimizer with a number to set it"
            )
        else:
            self._learning_rate = real(where, "learning_rate", value, 0.0)

    def apply(self, gradients: Sequence[Array], variables: Sequence[Variable]) -> None:
        """Make one step: change each variable by its gradient. No gradients at all make no step.

        Parameters
        ----------
        gradients : sequence of array
            One for each variable, of its shape; other real dtypes are cast to the variable's.
        variables : sequence of Variable

        Raises
        ------
        TypeError, ValueError
            If gradients don't fit the variables, or if a schedule's learning rate is no finite number of at
            least 0. No variable is changed then.
        """
        where = type(self).__name__
        for name, given in (("gradients", gradients), ("variables", variables)):
            if not isinstance(given, (list, tuple)):
                raise TypeError(f"{where}: {name} must be a list, received {shown(given)}")
        for variable in variables:
            if not isinstance(variable, Variable):
                raise TypeError(f"{where}: variables must hold Variables, received {shown(variable)}")
        if len(gradients) != len(variables):
            raise ValueError(
                f"{where}: there must be one gradient for each variable, "
                f"received {len(gradients)} for {len(variables)} variables"
            )
        if not gradients:  # of a model without trainable weights
            return
        rate = self.learning_rate
        with np.errstate(all="ignore"):
            gradients = [self._taken(*pair) for pair in zip(gradients, variables, strict=True)]
            slots = [self.slots(variable) for variable in variables]
            for variable, gradient, own in zip(variables, self._clipped(gradients), slots, strict=True):
                with variable.changing() as value:
                    self.update(value, gradient, rate, *own)
        self.iterations += 1

    def _taken(self, gradient: Array, variable: Variable) -> Array:
        """The gradient as kernels take it: of the variable's shape and dtype, in memory of its own."""
        where = f"{type(self).__name__}: the gradient of '{variable.name}'"
        backend, array = route(gradient, where)
        if array.shape != variable.shape:
            raise ValueError(f"{where} must have its shape {variable.shape}, received {array.shape}")
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{where} must have real numbers, received an array of {array.dtype}")
        array = backend.contiguous(array.astype(variable.dtype, copy=False), where)
        shared = backend.array_module.may_share_memory(array, variable.value)
        return array.copy() if shared else array

    def _clipped(self, gradients: Sequence[Array]) -> Sequence[Array]:
        if self.clipnorm:
            norms = [_norm(gradient) for gradient in gradients]
            scales = [self.clipnorm / max(norm, self.clipnorm) for norm in norms]
            return [_scaled(*pair) for pair in zip(gradients, scales, strict=True)]
        if self.global_clipnorm:
            norm = math.hypot(*map(_norm, gradients))
            scale = self.global_clipnorm / max(norm, self.global_clipnorm)
            return [_scaled(gradient, scale if math.isfinite(norm) else math.nan) for gradient in gradients]
        if self.clipvalue:
            return [_limited(gradient, self.clipvalue) for gradient in gradients]
        return gradients

    def update(self, value: Array, gradient: Array, rate: float, *slots: Array) -> None:
        """Change `value`, and its slots in the order of `slot_names`, in place.

        Parameters
        ----------
        value, gradient : array
            Of one shape and dtype; the gradient is clipped already and must stay as it is.
        rate : float
            The learning rate of this step.
        *slots : array
            Like `value`.
        """
        raise NotImplementedError(f"{type(self).__name__}: update is not defined")

    def decay(self, rate: float) -> float:
        """Share of a weight that its decay takes off in a step."""
        return (self.weight_decay or 0.0) * rate

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
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": class_and_config(rate) if isinstance(rate, LearningRateSchedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    def __repr__(self) -> str:
        return call_text(self)


def _norm(gradient: Array) -> float:
    """L2 norm, in float64: the squares of float32 neither overflow nor vanish."""
    return math.sqrt(np.square(gradient, dtype=np.float64).sum())


def _scaled(gradient: Array, scale: float) -> Array:
    scaled = gradient.copy()
    scaled *= scale
    return scaled


def _limited(gradient: Array, most: float) -> Array:
    limit = gradient.dtype.type(most)
    return gradient.clip(-limit, limit, out=gradient.copy())
