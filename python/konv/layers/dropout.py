"""Dropout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from konv import _random
from konv._arguments import Shape, at_least, real, shape_of
from konv._masking import keep
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class Dropout(Layer):
    """In training, zero a random part of the inputs and scale the rest by `1 / (1 - rate)`.

    Otherwise the inputs as they are. (Srivastava et al.: Dropout, JMLR 15, 2014.) An element is dropped where
    the uniform number of its position, in the stream of the layer's key (`Context.key`), is below `rate`: the
    same ones for any number of threads. A call of the layer by itself is always step 0, so it drops the same
    ones each time.

    Parameters
    ----------
    rate : float
        Part that is dropped, in [0, 1]; at 1 everything is.
    noise_shape : tuple, optional
        Shape of the mask, with the batch: each size that of the inputs, 1 where one decision serves the whole
        axis, or None, which stands for the size of the inputs. `(None, 1, 1, None)` drops whole channels of
        images.
    seed : int, optional
        0 to 2^63 - 1, in place of the model's. Masks still differ from step to step.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Dropout
    >>> import numpy as np
    >>> Dropout(0.5, seed=1)(np.ones((1, 4), np.float32), training=True).tolist()
    [[0.0, 2.0, 0.0, 2.0]]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: tuple[int | None, ...] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        where = self.label
        self.rate = real(where, "rate", rate, 0.0, 1.0)
        self.noise_shape = None if noise_shape is None else shape_of(where, "noise_shape", noise_shape)
        self.seed = None if seed is None else at_least(0, where, "seed", seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.noise_shape is not None and not _spreads(self.noise_shape, input_shape):
            raise ValueError(
                "noise_shape must have, for each axis of the inputs, its size, 1 or None, "
                f"received {self.noise_shape} for inputs of shape {input_shape}"
            )
        return input_shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if not context.training or self.rate == 0.0:
            return inputs, None
        self.compute_output_shape(inputs.shape)
        key = (context if self.seed is None else replace(context, seed=self.seed)).key
        return self._drop(inputs, key), key if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        return grad if saved is None else self._drop(grad, saved), []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "noise_shape": self.noise_shape,
            "seed": self.seed,
        }

    def _drop(self, array: Array, key: int) -> Array:
        """The gradient is dropped as the inputs were: its mask is drawn again, from the same key."""
        if self.noise_shape is None:
            return _random.dropout(key, array, self.rate)
        shape = tuple(
            size if own is None else own for own, size in zip(self.noise_shape, array.shape, strict=True)
        )
        with np.errstate(all="ignore"):
            scaled = array * (1.0 / (1.0 - self.rate) if self.rate < 1.0 else 0.0)
        return keep(scaled, _random.uniform(key, shape) >= np.float32(self.rate))


def _spreads(noise_shape: Shape, input_shape: Shape) -> bool:
    """Whether an array of `noise_shape` broadcasts to `input_shape`; None fits every size."""
    return len(noise_shape) == len(input_shape) and all(
        own in (None, 1, size) or size is None for own, size in zip(noise_shape, input_shape, strict=True)
    )
