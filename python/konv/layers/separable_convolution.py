"""SeparableConv2D."""

from __future__ import annotations

from typing import Any, ClassVar

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, at_least
from konv.backend import Array
from konv.layers.affine import Prepared
from konv.layers.convolution import Convolution
from konv.ops.prepared import prepare_conv2d


class SeparableConv2D(Convolution):
    """A depthwise convolution of images `(N, H, W, C)`, then a 1x1 convolution that mixes the channels.

    Weights: depthwise_kernel `(kernel_h, kernel_w, C, depth_multiplier)`, pointwise_kernel
    `(1, 1, C * depth_multiplier, filters)`, bias `(filters,)`.

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation_rate : int or (int, int)
        Of height and width, in the depthwise convolution. Stride and dilation may both exceed 1.
    padding : str, int or tuple
        "valid", "same", an int, (h, w) or ((top, bottom), (left, right)).
    data_format : {None, "channels_last"}
    depth_multiplier : int
        Channels that the depthwise convolution makes of each.
    activation : str or Activation, optional
        Applied to the outputs, see `konv.activations`.
    use_bias : bool
    depthwise_initializer, pointwise_initializer, bias_initializer : str or Initializer
    depthwise_regularizer, pointwise_regularizer, bias_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import SeparableConv2D
    >>> SeparableConv2D(16, 3, padding="same").compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 16)
    """

    _kernels: ClassVar[dict[str, str]] = {"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: PaddingArgument = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrPair = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            weights={
                "depthwise_initializer": depthwise_initializer,
                "pointwise_initializer": pointwise_initializer,
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "pointwise_regularizer": pointwise_regularizer,
                "bias_regularizer": bias_regularizer,
            },
            **options,
        )
        self.filters = at_least(1, self.label, "filters", filters)
        self.depth_multiplier = at_least(1, self.label, "depth_multiplier", depth_multiplier)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*super().compute_output_shape(input_shape)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
        }

    def _window_shape(self, channels: int) -> tuple[tuple[int, int, int, int], int]:
        return (*self.kernel_size, 1, channels * self.depth_multiplier), channels

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        return [
            (*self.kernel_size, channels, self.depth_multiplier),
            (1, 1, channels * self.depth_multiplier, self.filters),
        ]

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        window, groups = self._window_shape(inputs.shape[-1])
        depthwise, pointwise = self.kernels
        middle = ops.conv2d(inputs, depthwise.value.reshape(window), groups=groups, **self._geometry())
        return ops.conv2d(middle, pointwise.value, bias, activation=fused), (inputs, middle)

    def _prepare(self, kernels: list[Array], image: tuple[int, ...]) -> Prepared:
        depthwise, pointwise = kernels
        window, groups = self._window_shape(depthwise.shape[-2])
        first = prepare_conv2d(depthwise.reshape(window), image, groups=groups, **self._geometry())
        middle = (*self.compute_output_shape((None, *image))[1:-1], pointwise.shape[-2])
        second = prepare_conv2d(pointwise, middle, strides=1, padding="valid", dilation_rate=1)
        return first, second

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        inputs, middle = saved
        window, groups = self._window_shape(inputs.shape[-1])
        depthwise, pointwise = self.kernels
        of_depthwise = {"x": "x", "depthwise_kernel": "kernel"}
        needs_before = [own for name, own in of_depthwise.items() if name in needs]
        of_pointwise = {"pointwise_kernel": "kernel", "bias": "bias"}
        grad_middle, grad_pointwise, grad_bias = ops.conv2d_backward(
            grad,
            middle,
            pointwise.value,
            needs=["x"] * bool(needs_before) + [own for name, own in of_pointwise.items() if name in needs],
        )
        if grad_middle is None:
            return None, None, grad_pointwise, grad_bias
        grad_inputs, grad_depthwise, _ = ops.conv2d_backward(
            grad_middle,
            inputs,
            depthwise.value.reshape(window),
            groups=groups,
            needs=needs_before,
            **self._geometry(),
        )
        if grad_depthwise is not None:
            grad_depthwise = grad_depthwise.reshape(depthwise.shape)
        return grad_inputs, grad_depthwise, grad_pointwise, grad_bias
