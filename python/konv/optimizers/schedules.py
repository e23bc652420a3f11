"""`konv.optimizers.schedules`: learning rates that change from step to step, with Keras 3's formulas.

A schedule is called with the number of steps made so far and returns the learning rate of the next. A
constant needs none: it is a number.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from konv._argument_names import KnowingArguments
from konv._arguments import at_least, call_text, class_and_config, flag, instance, real, shown, text

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "LearningRateSchedule",
    "LinearWarmup",
    "PiecewiseConstantDecay",
    "StepDecay",
    "get",
]


def __dir__() -> list[str]:
    return __all__


class LearningRateSchedule(KnowingArguments):
    """Base of schedules. A subclass defines `__call__` and, if it has arguments, `get_config`.

    Examples
    --------
    >>> from konv.optimizers.schedules import LearningRateSchedule
    >>> class InverseRoot(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / (step + 1) ** 0.5
    >>> InverseRoot()(3)
    0.05
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate after `step` steps."""
        raise NotImplementedError(f"{type(self).__name__}: __call__ is not defined")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {}

    def __repr__(self) -> str:
        return call_text(self)


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        At least 1.
    decay_rate : float
        At least 0.
    staircase : bool
        Round `step / decay_steps` down, so that the rate changes every `decay_steps` steps.
    name : str

    Examples
    --------
    >>> from konv.optimizers.schedules import ExponentialDecay
    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = real(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.decay_steps = real(where, "decay_steps", decay_steps, 1.0)
        self.decay_rate = real(where, "decay_rate", decay_rate, 0.0)
        self.staircase = flag(where, "staircase", staircase)
        self.name = text(where, "name", name)

    def __call__(self, step: int) -> float:
        decays = _step(self, step) / self.decay_steps
        try:
            factor = self.decay_rate ** (math.floor(decays) if self.staircase else decays)
        except OverflowError:  # a rate that grows beyond the largest float
            factor = math.inf
        return self.initial_learning_rate * factor if self.initial_learning_rate else 0.0

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class StepDecay(ExponentialDecay):
    """`initial_learning_rate * decay_rate ** floor(step / decay_steps)`: one drop every `decay_steps` steps.

    Keras has no such class; there it is `ExponentialDecay` with `staircase=True`.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        At least 1.
    decay_rate : float
        At least 0.
    name : str

    Examples
    --------
    >>> from konv.optimizers.schedules import StepDecay
    >>> [StepDecay(1.0, decay_steps=10, decay_rate=0.5)(step) for step in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float = 0.1,
        name: str = "StepDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase=True, name=name)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["staircase"]
        return config


class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate up to each boundary, the last behind them all.

    Parameters
    ----------
    boundaries : sequence of float
        Steps, rising. `values[0]` holds up to and with step `boundaries[0]`, as in Keras.
    values : sequence of float
        One more than boundaries, each at least 0.
    name : str

    Examples
    --------
    >>> from konv.optimizers.schedules import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1])
    >>> [schedule(step) for step in (2, 3, 5, 6)]
    [1.0, 0.5, 0.5, 0.1]
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        where = type(self).__name__
        self.boundaries = _numbers(where, "boundaries", boundaries)
        self.values = _numbers(where, "values", values)
        self.name = text(where, "name", name)
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"{where}: boundaries must rise, received {shown(boundaries)}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{where}: values must be one more than the {len(self.boundaries)} boundaries, "
                f"received {shown(values)}"
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, _step(self, step))]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class CosineDecay(LearningRateSchedule):
    """Half a cosine down to `alpha` of the rate, after a linear warm-up if asked for.

    Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts. With `r` the initial learning rate and
    `t = min(step, decay_steps) / decay_steps`, it is `r * ((1 - alpha) * (1 + cos(pi * t)) / 2 + alpha)`.
    With a warm-up the rate first rises from `r` to `warmup_target` in `warmup_steps` steps; then the decay
    starts from there and takes `decay_steps` more.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : float
        At least 1.
    alpha : float
        At least 0: the last rate as a fraction of the one that the decay starts from.
    name : str
    warmup_target : float, optional
        At least 0. None: no warm-up.
    warmup_steps : int
        At least 0; without `warmup_target` it means nothing.

    Examples
    --------
    >>> from konv.optimizers.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, decay_steps=10, warmup_target=0.5, warmup_steps=2)
    >>> [round(schedule(step), 3) for step in (0, 1, 2, 7, 12, 13)]
    [0.0, 0.25, 0.5, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        where = type(self).__name__
        self.initial_learning_rate = real(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.decay_steps = real(where, "decay_steps", decay_steps, 1.0)
        self.alpha = real(where, "alpha", alpha, 0.0)
        self.name = text(where, "name", name)
        self.warmup_target = (
            None if warmup_target is None else real(where, "warmup_target", warmup_target, 0.0)
        )
        self.warmup_steps = at_least(0, where, "warmup_steps", warmup_steps)

    def __call__(self, step: int) -> float:
        start, step = self.initial_learning_rate, _step(self, step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * (step / self.warmup_steps)
            start, step = self.warmup_target, step - self.warmup_steps
        cosine = math.cos(math.pi * min(step / self.decay_steps, 1.0))
        return start * ((1.0 - self.alpha) * 0.5 * (1.0 + cosine) + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class LinearWarmup(LearningRateSchedule):
    """A straight line up to any schedule or constant, which then starts from its step 0.

    Goyal et al., "Accurate, Large Minibatch SGD", 2017. Keras has no such class.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        What follows the warm-up.
    warmup_steps : int
        At least 0.
    initial_learning_rate : float
        At least 0: the rate at step 0.
    name : str

    Examples
    --------
    >>> from konv.optimizers.schedules import LinearWarmup, StepDecay
    >>> schedule = LinearWarmup(StepDecay(1.0, decay_steps=10), warmup_steps=4)
    >>> [schedule(step) for step in (0, 1, 4, 13, 14)]
    [0.0, 0.25, 1.0, 1.0, 0.1]
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        name: str = "LinearWarmup",
    ) -> None:
        where = type(self).__name__
        self.learning_rate: float | LearningRateSchedule
        if isinstance(learning_rate, (LearningRateSchedule, dict)):
            self.learning_rate = get(learning_rate, where, "learning_rate")
        else:
            self.learning_rate = real(where, "learning_rate", learning_rate, 0.0)
        self.warmup_steps = at_least(0, where, "warmup_steps", warmup_steps)
        self.initial_learning_rate = real(where, "initial_learning_rate", initial_learning_rate, 0.0)
        self.name = text(where, "name", name)

    def _after(self, step: int) -> float:
        rate = self.learning_rate
        return rate(step) if isinstance(rate, LearningRateSchedule) else rate

    def __call__(self, step: int) -> float:
        step = _step(self, step)
        if step >= self.warmup_steps:
            return self._after(step - self.warmup_steps)
        start = self.initial_learning_rate
        return start + (self._after(0) - start) * (step / self.warmup_steps)

    def get_config(self) -> dict[str, Any]:
        rate = self.learning_rate
        return {
            "learning_rate": class_and_config(rate) if isinstance(rate, LearningRateSchedule) else rate,
            "warmup_steps": self.warmup_steps,
            "initial_learning_rate": self.initial_learning_rate,
            "name": self.name,
        }


_CLASSES: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (ExponentialDecay, StepDecay, PiecewiseConstantDecay, CosineDecay, LinearWarmup)
}


def get(identifier: Any, where: str = "schedules.get", name: str = "identifier") -> LearningRateSchedule:
    """Return the schedule of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> from konv.optimizers.schedules import get
    >>> get({"class_name": "StepDecay", "config": {"initial_learning_rate": 0.5, "decay_steps": 9}})(3)
    0.5
    """
    return instance(where, name, identifier, LearningRateSchedule, _CLASSES)


def _step(schedule: LearningRateSchedule, step: int) -> int:
    return at_least(0, type(schedule).__name__, "step", step)


def _numbers(where: str, name: str, values: Any) -> list[float]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{where}: {name} must be a list of numbers, received {shown(values)}")
    return [real(where, f"{name} (each number)", value, 0.0) for value in values]
