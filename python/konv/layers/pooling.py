"""MaxPooling2D, AveragePooling2D and SumPooling2D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, Shape, channels_last
from konv.backend import Array, Backend
from konv.layers.base import Call, Layer
from konv.layers.context import Context
from konv.layers.window import output_shape, padding_argument, positive_pair
from konv.ops.pooling import bind_pool2d


class _Pooling2D(Layer):
    """What the layers that pool windows of images `(N, H, W, C)` share; see `MaxPooling2D` for the
    parameters."""

    def __init__(
        self,
        pool_size: IntOrPair = (2, 2),
        strides: IntOrPair | None = None,
        padding: PaddingArgument = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        where = self.label
        channels_last(where, data_format)
        self.pool_size = positive_pair(where, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else positive_pair(where, "strides", strides)
        self.padding = padding_argument(where, padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return output_shape(
            input_shape, self.pool_size, lambda shape: ops.pool2d_output_shape(shape, **self._geometry())
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._geometry()}

    def _geometry(self) -> dict[str, Any]:
        return {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}

    def _bound(self, kernel: Callable[..., Array], *further: Any) -> Call:
        pool = bind_pool2d(kernel, *further, **self._geometry())
        return lambda x, _: pool(x)


class MaxPooling2D(_Pooling2D):
    """The largest value of each window of images `(N, H, W, C)`.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    strides : int or (int, int), optional
        Default: `pool_size`.
    padding : str, int or tuple
        "valid", "same", an int, (h, w) or ((top, bottom), (left, right)).
    data_format : {None, "channels_last"}
    name : str, optional
    **options
        `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import MaxPooling2D
    >>> MaxPooling2D().compute_output_shape((None, 27, 27, 8))
    (None, 13, 13, 8)
    """

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if not context.for_backward:
            outputs = ops.max_pool2d(inputs, **self._geometry())
            return ops.relu(outputs) if context.relu else outputs, None
        outputs, argmax = ops.max_pool2d_with_argmax(inputs, **self._geometry())
        if context.relu:
            outputs = ops.relu(outputs)
        after_relu = context.relu or context.masks  # whose gradient is the same before the windows' and after
        return outputs, (argmax, inputs.shape, outputs if after_relu and not context.masked else None)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        argmax, input_shape, y = saved
        if y is not None:
            grad = ops.relu_backward(grad, y)
        return ops.max_pool2d_backward(grad, argmax, input_shape, **self._geometry()), []

    def bind(self, input_shape: tuple[int, ...], *, relu: bool, backend: Backend, **_: Any) -> Call:
        pooled, kernels = self._bound(backend.kernels.max_pool2d, False), backend.kernels
        return (lambda x, _: kernels.relu(pooled(x, None))) if relu else pooled

    def fuses(self, *, norm: bool, add: bool, relu: bool) -> bool:
        return relu and not (norm or add)

    @property
    def fused_as(self) -> str | None:
        # With other paddings a window may have no real pixel, and then is -inf. Without strides as many
        # elements come out as go in, so that nothing is gained.
        return "max" if isinstance(self.padding, str) and self.strides != (1, 1) else None

    @property
    def masks_gradient(self) -> bool:
        return self.fused_as == "max"


class AveragePooling2D(_Pooling2D):
    """The mean of each window of images `(N, H, W, C)`; pixels of the padding don't count.

    Parameters as for `MaxPooling2D`.

    Examples
    --------
    >>> from konv.layers import AveragePooling2D
    >>> AveragePooling2D(3, strides=2, padding="same").compute_output_shape((None, 28, 28, 8))
    (None, 14, 14, 8)
    """

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        return ops.avg_pool2d(inputs, **self._geometry()), inputs.shape

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        return ops.avg_pool2d_backward(grad, saved, **self._geometry()), []

    def bind(self, input_shape: tuple[int, ...], *, backend: Backend, **_: Any) -> Call:
        return self._bound(backend.kernels.avg_pool2d, False)


class SumPooling2D(_Pooling2D):
    """The sum of each window of images `(N, H, W, C)`; pixels of the padding count as 0.

    Parameters as for `MaxPooling2D`.

    Examples
    --------
    >>> from konv.layers import SumPooling2D
    >>> SumPooling2D(2).compute_output_shape((None, 28, 28, 8))
    (None, 14, 14, 8)
    """

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        return ops.sum_pool2d(inputs, **self._geometry()), inputs.shape

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        return ops.sum_pool2d_backward(grad, saved, **self._geometry()), []

    def bind(self, input_shape: tuple[int, ...], *, backend: Backend, **_: Any) -> Call:
        return self._bound(backend.kernels.sum_pool2d)
