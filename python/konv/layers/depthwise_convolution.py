"""DepthwiseConv2D."""

from __future__ import annotations

from typing import Any, ClassVar

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, at_least
from konv.backend import Array
from konv.layers.affine import Prepared
from konv.layers.convolution import Convolution
from konv.ops.prepared import prepare_conv2d


class DepthwiseConv2D(Convolution):
    """Convolution of each channel of images `(N, H, W, C)` by itself; each gives `depth_multiplier` channels.

    Weights: kernel `(kernel_h, kernel_w, C, depth_multiplier)`, bias `(C * depth_multiplier,)`. Channel
    `c * depth_multiplier + m` of the outputs comes from channel `c`.

    Parameters
    ----------
    kernel_size, strides, dilation_rate : int or (int, int)
        Of height and width. Stride and dilation may both exceed 1.
    padding : str, int or tuple
        "valid", "same", an int, (h, w) or ((top, bottom), (left, right)).
    depth_multiplier : int
    data_format : {None, "channels_last"}
    activation : str or Activation, optional
        Applied to the outputs, see `konv.activations`.
    use_bias : bool
    depthwise_initializer, bias_initializer : str or Initializer
    depthwise_regularizer, bias_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import DepthwiseConv2D
    >>> DepthwiseConv2D(3, depth_multiplier=2).compute_output_shape((None, 32, 32, 3))
    (None, 30, 30, 6)
    """

    _kernels: ClassVar[dict[str, str]] = {"kernel": "depthwise"}

    def __init__(
        self,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: PaddingArgument = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: IntOrPair = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
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
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "bias_regularizer": bias_regularizer,
            },
            **options,
        )
        self.depth_multiplier = at_least(1, self.label, "depth_multiplier", depth_multiplier)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}

    def _window_shape(self, channels: int) -> tuple[tuple[int, int, int, int], int]:
        return (*self.kernel_size, 1, channels * self.depth_multiplier), channels

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        return [(*self.kernel_size, channels, self.depth_multiplier)]

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        window, groups = self._window_shape(inputs.shape[-1])
        kernel = self.kernel.value.reshape(window)
        outputs = ops.conv2d(inputs, kernel, bias, groups=groups, activation=fused, **self._geometry())
        return outputs, inputs

    def _prepare(self, kernels: list[Array], image: tuple[int, ...]) -> Prepared:
        (kernel,) = kernels
        window, groups = self._window_shape(kernel.shape[-2])
        prepared = prepare_conv2d(kernel.reshape(window), image, groups=groups, **self._geometry())
        return (prepared,)

    def _scaled(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale.reshape(kernel.shape[-2:])

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        window, groups = self._window_shape(saved.shape[-1])
        kernel = self.kernel.value.reshape(window)
        grad_inputs, grad_kernel, grad_bias = ops.conv2d_backward(
            grad, saved, kernel, groups=groups, needs=needs, **self._geometry()
        )
        return grad_inputs, None if grad_kernel is None else grad_kernel.reshape(self.kernel.shape), grad_bias
