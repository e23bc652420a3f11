"""BatchNormalization."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from konv import initializers, ops, regularizers
from konv._arguments import Shape, class_and_config, flag, integer, real
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.channels import known_channels
from konv.layers.context import Context
from konv.layers.variable import Variable


class BatchNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` for each channel of inputs `(N, ..., C)`.

    In training, mean and (biased) variance are the batch's own, and moving averages of them are kept:
    `moving * momentum + statistic * (1 - momentum)`; a batch without elements leaves them alone. Otherwise,
    and in training too while the layer is not `trainable`, the moving averages take their place. (Ioffe,
    Szegedy, arXiv:1502.03167.)

    Weights: gamma, beta, moving_mean, moving_variance, all `(C,)`; the last two are never trained.

    Parameters
    ----------
    axis : int
        Of the channels: -1, or the last axis counted from the batch's, which is 0.
    momentum : float
        In [0, 1].
    epsilon : float
        Added to the variance; at least 0.
    center, scale : bool
        Whether there are beta and gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : str or
    Initializer
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import BatchNormalization
    >>> import numpy as np
    >>> layer = BatchNormalization(epsilon=0.0, momentum=0.5)
    >>> layer(np.array([[2.0], [6.0]], np.float32), training=True).tolist()
    [[-1.0], [1.0]]
    >>> layer.moving_mean.value.tolist(), layer.moving_variance.value.tolist()
    ([2.0], [2.5])
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        where = self.label
        self.axis = integer(where, "axis", axis)
        self.momentum = real(where, "momentum", momentum, 0.0, 1.0)
        self.epsilon = real(where, "epsilon", epsilon, 0.0)
        self.center = flag(where, "center", center)
        self.scale = flag(where, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer, where, "beta_initializer")
        self.gamma_initializer = initializers.get(gamma_initializer, where, "gamma_initializer")
        self.moving_mean_initializer = initializers.get(
            moving_mean_initializer, where, "moving_mean_initializer"
        )
        self.moving_variance_initializer = initializers.get(
            moving_variance_initializer, where, "moving_variance_initializer"
        )
        self.beta_regularizer = regularizers.get(beta_regularizer, where, "beta_regularizer")
        self.gamma_regularizer = regularizers.get(gamma_regularizer, where, "gamma_regularizer")
        self.gamma: Variable | None = None
        self.beta: Variable | None = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None
        self._channels: int | None = None  # of the inputs, once it is built

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rank = len(input_shape)
        if self.axis not in (-1, rank - 1):
            raise ValueError(
                f"axis must be that of the channels, -1 or {rank - 1}, "
                f"received {self.axis} for inputs of shape {input_shape}"
            )
        known_channels(input_shape, self._channels)
        return input_shape

    def build(self, input_shape: Shape) -> None:
        channels = known_channels(input_shape, None)
        shape = (channels,)
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", shape, self.beta_initializer, regularizer=self.beta_regularizer
            )
        self.moving_mean = self.add_weight(
            "moving_mean", shape, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )
        self._channels = channels

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        gamma, beta = _value(self.gamma), _value(self.beta)
        activation = "relu" if context.relu else None
        by_batch = not self.is_constant(training=context.training)
        if by_batch:
            outputs, mean, variance = ops.batch_norm_train(
                inputs, gamma, beta, epsilon=self.epsilon, activation=activation
            )
            if inputs.size:
                self._move(mean, variance)
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
            outputs = ops.batch_norm(
                inputs, gamma, beta, mean, variance, epsilon=self.epsilon, activation=activation
            )
        if not context.for_backward:
            return outputs, None
        y = outputs if context.relu and not context.masked else None
        return outputs, (inputs, gamma, mean, variance, by_batch, y, context.masks)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        trained = self.trainable_variables
        if not needs_input and not trained:
            return None, []
        inputs, gamma, mean, variance, by_batch, y, masks = saved
        grad_inputs, grad_gamma, grad_beta = ops.batch_norm_backward(
            grad,
            inputs,
            gamma,
            mean,
            variance,
            epsilon=self.epsilon,
            training=by_batch,
            activation=None if y is None else "relu",
            y=y,
            x_activation="relu" if masks else None,
        )
        grads = {"gamma": grad_gamma, "beta": grad_beta}
        return grad_inputs if needs_input else None, [grads[variable.name] for variable in trained]

    def fuses(self, *, norm: bool, add: bool, relu: bool) -> bool:
        return relu and not (norm or add)

    @property
    def fused_as(self) -> str | None:
        return "norm"

    @property
    def masks_gradient(self) -> bool:
        return True

    def is_constant(self, *, training: bool) -> bool:
        """Whether it is the same function for every batch: that of the moving averages."""
        return not (training and self.trainable)

    def by_moving_averages(self) -> Callable[..., Array]:
        """Return the function that it is by the moving averages, as they are now, of inputs and `activation`;
        it keeps nothing of the layer."""
        return partial(
            ops.batch_norm,
            gamma=_value(self.gamma),
            beta=_value(self.beta),
            mean=self.moving_mean.value,
            variance=self.moving_variance.value,
            epsilon=self.epsilon,
        )

    def scale_and_shift(self) -> tuple[Array, Array]:
        """Return the two arrays `(C,)`, float64, of the function `scale * x + shift` that it is by the moving
        averages."""
        epsilon = real(self.label, "epsilon", self.epsilon, 0.0)  # it may have been set to anything
        mean, variance = (np.float64(average.value) for average in (self.moving_mean, self.moving_variance))
        with np.errstate(all="ignore"):
            scale = 1.0 / np.sqrt(variance + epsilon)
            if self.gamma is not None:
                scale = scale * self.gamma.value
            shift = -mean * scale
        return scale, shift if self.beta is None else shift + self.beta.value

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": class_and_config(self.beta_initializer),
            "gamma_initializer": class_and_config(self.gamma_initializer),
            "moving_mean_initializer": class_and_config(self.moving_mean_initializer),
            "moving_variance_initializer": class_and_config(self.moving_variance_initializer),
            "beta_regularizer": regularizers.described(self.beta_regularizer),
            "gamma_regularizer": regularizers.described(self.gamma_regularizer),
        }

    def _move(self, mean: Array, variance: Array) -> None:
        """Move the averages towards the statistics; new arrays, for old ones may be kept for a gradient."""
        with np.errstate(all="ignore"):
            for average, statistic in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(average.value * self.momentum + statistic * (1.0 - self.momentum))


def _value(variable: Variable | None) -> Array | None:
    return None if variable is None else variable.value
