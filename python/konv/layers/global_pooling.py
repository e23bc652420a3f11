"""GlobalAveragePooling2D and GlobalMaxPooling2D."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv import ops
from konv._arguments import Shape, channels_last, flag
from konv.backend import Array, Backend
from konv.layers.base import Call, Layer
from konv.layers.context import Context
from konv.layers.window import check_images
from konv.ops.pooling import bind_pool2d


class _GlobalPooling2D(Layer):
    """What the layers that pool whole images `(N, H, W, C)` share; see `GlobalAveragePooling2D` for the
    parameters."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        channels_last(self.label, data_format)
        self.keepdims = flag(self.label, "keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_images(input_shape)
        n, _, _, channels = input_shape
        return (n, 1, 1, channels) if self.keepdims else (n, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}

    def _pooled(self, outputs: Array) -> Array:
        """Give outputs `(N, 1, 1, C)` the shape they are to have."""
        n, _, _, channels = outputs.shape
        return outputs if self.keepdims else outputs.reshape(n, channels)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel of images: `(N, H, W, C)` to `(N, C)`.

    Parameters
    ----------
    data_format : {None, "channels_last"}
    keepdims : bool
        Whether to keep the axes: `(N, 1, 1, C)`.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import GlobalAveragePooling2D
    >>> GlobalAveragePooling2D().compute_output_shape((None, 7, 7, 512))
    (None, 512)
    """

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        return self._pooled(ops.avg_pool2d(inputs, inputs.shape[1:3])), inputs.shape

    def bind(self, input_shape: tuple[int, ...], *, backend: Backend, **_: Any) -> Call:
        height, width = input_shape[1:3]
        pool = bind_pool2d(backend.kernels.avg_pool2d, False, pool_size=(height, width))
        return lambda x, _: self._pooled(pool(x))

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        n, height, width, channels = saved
        grad = grad.reshape(n, 1, 1, channels)
        return ops.avg_pool2d_backward(grad, saved, (height, width)), []


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each channel of images: `(N, H, W, C)` to `(N, C)`.

    Parameters as for `GlobalAveragePooling2D`. Equal maxima share the gradient, as in Keras.

    Examples
    --------
    >>> from konv.layers import GlobalMaxPooling2D
    >>> GlobalMaxPooling2D(keepdims=True).compute_output_shape((None, 7, 7, 512))
    (None, 1, 1, 512)
    """

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        outputs = ops.max_pool2d(inputs, inputs.shape[1:3])
        return self._pooled(outputs), (inputs, outputs) if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        inputs, outputs = saved
        largest = inputs == outputs
        with np.errstate(all="ignore"):  # no element equals a largest one that is NaN
            share = grad.reshape(outputs.shape) / largest.sum(axis=(1, 2), keepdims=True, dtype=grad.dtype)
            return largest * share, []
