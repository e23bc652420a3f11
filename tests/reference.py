"""Every op of `konv.ops` in float64 NumPy, written to be checked by eye.

Images are (N, H, W, C), kernels (R, S, C / groups, K), outputs (N, P, Q, K). No image is ever padded:
each op loops over the taps (r, s) of its window and handles, at once, all outputs whose tap falls on a
real pixel. So a convolution is `y[at] += x[under] @ kernel[r, s]`; its gradients are this line read in
the other two directions.

It imports nothing of Konv. Arguments are spelt as in `konv.ops` (`**options` are those of `axes`) and
taken to be legal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = "int | tuple[int, int]"
Padding: TypeAlias = "str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]"
Pixels: TypeAlias = tuple[slice, Indices, Indices]
"""An index (all images, rows, columns): the rows stand in a column, so that the two make a grid."""


def float64(array: ArrayLike) -> Array:
    """Widen without loss: every float16, float32 and float64 number is a float64 number."""
    return np.asarray(array, dtype=np.float64)


# ---- where windows lie ----------------------------------------------------------------------------------


def pair(value: Any) -> Any:
    """Spell what stands for both axes as (rows, columns)."""
    return value if isinstance(value, tuple) else (value, value)


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of an image."""

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int
    ceil_mode: bool

    @property
    def outputs(self) -> int:
        """The number of windows: the one output-size formula. Below 1 means that no window fits."""
        room = self.size + self.before + self.after - (self.window - 1) * self.dilation - 1
        if not self.ceil_mode:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        last_starts_outside = (count - 1) * self.stride >= self.size + self.before
        return count - 1 if last_starts_outside else count

    def pixels(self, tap: int) -> Indices:
        """The pixel under this tap of each window; it may lie outside the image."""
        return np.asarray(np.arange(self.outputs) * self.stride + (tap * self.dilation - self.before))

    def hits(self, tap: int) -> tuple[Indices, Indices]:
        """The windows whose tap falls on a real pixel, and these pixels."""
        pixels = self.pixels(tap)
        (windows,) = np.nonzero((pixels >= 0) & (pixels < self.size))
        return windows, pixels[windows]

    def taps_inside(self, padded: bool) -> Indices:
        """How many taps of each window are real pixels or, with `padded`, lie in the padded image."""
        first, end = (-self.before, self.size + self.after) if padded else (0, self.size)
        pixels = np.stack([self.pixels(tap) for tap in range(self.window)])
        return np.asarray(np.count_nonzero((pixels >= first) & (pixels < end), axis=0))


def axes(
    shape: Shape,
    window: Pair,
    *,
    strides: Pair = 1,
    padding: Padding = "valid",
    dilation_rate: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[Axis, Axis]:
    """The axes (rows, columns) of windows over images of shape (N, H, W, C), the padding in pixels."""

    def axis(i: int) -> Axis:
        size, k, stride, dilation = shape[1 + i], pair(window)[i], pair(strides)[i], pair(dilation_rate)[i]
        if padding == "valid":
            before = after = 0
        elif padding == "same":  # TensorFlow's rule: ceil(size / stride) outputs, the odd pixel at the end
            total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
            before, after = total // 2, total - total // 2
        else:
            before, after = pair(pair(padding)[i])
        return Axis(size, k, stride, dilation, before, after, ceil_mode and padding != "same")

    return axis(0), axis(1)


def taps(rows: Axis, columns: Axis) -> Iterator[tuple[tuple[int, int], Pixels, Pixels]]:
    """Yield ((r, s), at, under) in row-major order: outputs[at] have image[under] below this tap."""
    for r in range(rows.window):
        p, h = rows.hits(r)
        for s in range(columns.window):
            q, w = columns.hits(s)
            yield (r, s), (slice(None), p[:, None], q), (slice(None), h[:, None], w)


# ---- convolution ----------------------------------------------------------------------------------------


def conv2d_output_shape(input_shape: Shape, kernel_shape: Shape, *, groups: int = 1, **options: Any) -> Shape:
    """(N, P, Q, K), whatever the groups."""
    rows, columns = axes(input_shape, cast(Pair, kernel_shape[:2]), **options)
    return input_shape[0], rows.outputs, columns.outputs, kernel_shape[3]


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    groups: int = 1,
    activation: str | None = None,
    **options: Any,
) -> Array:
    """Correlate x (N, H, W, C) with kernel (R, S, C / groups, K) into (N, P, Q, K)."""
    x, kernel = float64(x), float64(kernel)
    if groups > 1:
        pieces = zip(np.split(x, groups, axis=3), np.split(kernel, groups, axis=3), strict=True)
        y = np.concatenate([conv2d(x_piece, k_piece, **options) for x_piece, k_piece in pieces], axis=3)
    else:
        y = np.zeros(conv2d_output_shape(x.shape, kernel.shape, **options))
        for (r, s), at, under in taps(*axes(x.shape, cast(Pair, kernel.shape[:2]), **options)):
            y[at] += x[under] @ kernel[r, s]
    if bias is not None:
        y = y + float64(bias)
    return relu(y) if activation == "relu" else y


def conv2d_backward(
    grad: ArrayLike, x: ArrayLike, kernel: ArrayLike, *, groups: int = 1, **options: Any
) -> tuple[Array, Array, Array]:
    """Gradients of sum(grad * conv2d(x, kernel, bias)) by x, kernel and bias."""
    grad, x, kernel = float64(grad), float64(x), float64(kernel)
    grad_bias = grad.sum(axis=(0, 1, 2))
    if groups > 1:
        pieces = zip(*(np.split(array, groups, axis=3) for array in (grad, x, kernel)), strict=True)
        grads_x, grads_kernel, _ = zip(*(conv2d_backward(*piece, **options) for piece in pieces), strict=True)
        return np.concatenate(grads_x, axis=3), np.concatenate(grads_kernel, axis=3), grad_bias
    grad_x, grad_kernel = np.zeros(x.shape), np.zeros(kernel.shape)
    for (r, s), at, under in taps(*axes(x.shape, cast(Pair, kernel.shape[:2]), **options)):
        grad_x[under] += grad[at] @ kernel[r, s].T
        grad_kernel[r, s] = np.tensordot(x[under], grad[at], axes=((0, 1, 2), (0, 1, 2)))
    return grad_x, grad_kernel, grad_bias


# ---- transposed convolution: the adjoint of the conv2d whose input has the size of its output -----------


def conv2d_transpose_output_shape(
    input_shape: Shape,
    kernel_shape: Shape,
    *,
    strides: Pair = 1,
    padding: Padding = "valid",
    output_padding: Pair | None = None,
    dilation_rate: Pair = 1,
    groups: int = 1,
) -> Shape:
    """(N, H, W, filters) for x (N, P, Q, in) and kernel (R, S, filters / groups, in)."""

    def size(i: int) -> int:
        inputs, stride = input_shape[1 + i], int(pair(strides)[i])
        window = (kernel_shape[i] - 1) * int(pair(dilation_rate)[i]) + 1
        if output_padding is None and padding == "valid":
            return inputs * stride + max(window - stride, 0)
        if output_padding is None and padding == "same":
            return inputs * stride
        extra = 0 if output_padding is None else int(pair(output_padding)[i])
        if padding == "valid":
            return (inputs - 1) * stride + window + extra
        if padding == "same":
            return (inputs - 1) * stride + window % 2 + extra
        before, after = pair(pair(padding)[i])
        return int((inputs - 1) * stride + window - before - after + extra)

    return input_shape[0], size(0), size(1), kernel_shape[2] * groups


def conv2d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    output_padding: Pair | None = None,
    groups: int = 1,
    **options: Any,
) -> Array:
    """Scatter x (N, P, Q, in) by kernel (R, S, filters / groups, in): each pixel adds one window to y."""
    sizes = {"output_padding": output_padding, "groups": groups, **options}
    shape = conv2d_transpose_output_shape(np.shape(x), np.shape(kernel), **sizes)
    y, _, _ = conv2d_backward(x, np.zeros(shape), kernel, groups=groups, **options)
    return y if bias is None else y + float64(bias)


def conv2d_transpose_backward(
    grad: ArrayLike, x: ArrayLike, kernel: ArrayLike, *, output_padding: Pair | None = None, **options: Any
) -> tuple[Array, Array, Array]:
    """Gradients of sum(grad * conv2d_transpose(x, kernel, bias)) by x, kernel and bias.

    Since sum(grad * conv2d_transpose(x, kernel)) = sum(conv2d(grad, kernel) * x), the first is a
    convolution of grad, and the second that convolution's gradient of the kernel. The output padding is
    in the size of grad.
    """
    _, grad_kernel, _ = conv2d_backward(x, grad, kernel, **options)
    return conv2d(grad, kernel, **options), grad_kernel, float64(grad).sum(axis=(0, 1, 2))


# ---- pooling --------------------------------------------------------------------------------------------


def pool_axes(shape: Shape, pool_size: Pair, strides: Any = None, **options: Any) -> tuple[Axis, Axis]:
    """As `axes`, but the windows lie side by side unless strides are given."""
    return axes(shape, pool_size, strides=pool_size if strides is None else strides, **options)


def pool2d_output_shape(input_shape: Shape, pool_size: Pair, **options: Any) -> Shape:
    """(N, P, Q, C)."""
    rows, columns = pool_axes(input_shape, pool_size, **options)
    return input_shape[0], rows.outputs, columns.outputs, input_shape[3]


def max_pool2d_with_argmax(x: ArrayLike, pool_size: Pair, **options: Any) -> tuple[Array, Indices]:
    """The first maximum of each window and its position r * S + s; NaN beats numbers, padding nothing."""
    x = float64(x)
    shape = pool2d_output_shape(x.shape, pool_size, **options)
    y, argmax, found = np.full(shape, -np.inf), np.zeros(shape, np.int64), np.zeros(shape, bool)
    for (r, s), at, under in taps(*pool_axes(x.shape, pool_size, **options)):
        new, old = x[under], y[at]
        wins = ~found[at] | (new > old) | (np.isnan(new) & ~np.isnan(old))
        y[at] = np.where(wins, new, old)
        argmax[at] = np.where(wins, r * pair(pool_size)[1] + s, argmax[at])
        found[at] = True
    return y, argmax


def max_pool2d(x: ArrayLike, pool_size: Pair, **options: Any) -> Array:
    """The maximum of each window's real pixels."""
    return max_pool2d_with_argmax(x, pool_size, **options)[0]


def max_pool2d_backward(
    grad: ArrayLike, argmax: ArrayLike, input_shape: Shape, pool_size: Pair, **options: Any
) -> Array:
    """Give each window's gradient to the pixel that won it."""
    grad, argmax, grad_x = float64(grad), np.asarray(argmax), np.zeros(input_shape)
    for (r, s), at, under in taps(*pool_axes(input_shape, pool_size, **options)):
        grad_x[under] += np.where(argmax[at] == r * pair(pool_size)[1] + s, grad[at], 0.0)
    return grad_x


def sum_pool2d(x: ArrayLike, pool_size: Pair, **options: Any) -> Array:
    """The sum of each window's real pixels."""
    x = float64(x)
    y = np.zeros(pool2d_output_shape(x.shape, pool_size, **options))
    for _, at, under in taps(*pool_axes(x.shape, pool_size, **options)):
        y[at] += x[under]
    return y


def sum_pool2d_backward(grad: ArrayLike, input_shape: Shape, pool_size: Pair, **options: Any) -> Array:
    """Give each window's gradient to each of its real pixels."""
    grad, grad_x = float64(grad), np.zeros(input_shape)
    for _, at, under in taps(*pool_axes(input_shape, pool_size, **options)):
        grad_x[under] += grad[at]
    return grad_x


def avg_pool2d_divisor(shape: Shape, pool_size: Pair, *, count_include_pad: bool, **options: Any) -> Array:
    """(P, Q, 1): what the sum of each window is divided by; 1 where there is nothing to divide."""
    rows, columns = pool_axes(shape, pool_size, **options)
    counts = np.outer(rows.taps_inside(count_include_pad), columns.taps_inside(count_include_pad))
    return float64(np.maximum(counts, 1))[:, :, None]


def avg_pool2d(x: ArrayLike, pool_size: Pair, *, count_include_pad: bool = False, **options: Any) -> Array:
    """The mean of each window's real pixels or, with count_include_pad, of its pixels in the padded image."""
    divisor = avg_pool2d_divisor(np.shape(x), pool_size, count_include_pad=count_include_pad, **options)
    return sum_pool2d(x, pool_size, **options) / divisor


def avg_pool2d_backward(
    grad: ArrayLike, input_shape: Shape, pool_size: Pair, *, count_include_pad: bool = False, **options: Any
) -> Array:
    """Give each window's gradient, divided, to each of its real pixels."""
    divisor = avg_pool2d_divisor(input_shape, pool_size, count_include_pad=count_include_pad, **options)
    return sum_pool2d_backward(float64(grad) / divisor, input_shape, pool_size, **options)


# ---- without windows ------------------------------------------------------------------------------------


def relu(x: ArrayLike) -> Array:
    """max(x, 0), with +0.0 for -0.0 and NaN for NaN."""
    return np.where(float64(x) <= 0, 0.0, float64(x))


def relu_backward(grad: ArrayLike, y: ArrayLike) -> Array:
    """Pass grad where not (y <= 0), so where y is NaN too."""
    return np.where(float64(y) <= 0, 0.0, float64(grad))


def dense(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, *, activation: str | None = None
) -> Array:
    """x (..., C) @ kernel (C, units) + bias."""
    y = float64(x) @ float64(kernel)
    y = y if bias is None else y + float64(bias)
    return relu(y) if activation == "relu" else y


def dense_backward(grad: ArrayLike, x: ArrayLike, kernel: ArrayLike) -> tuple[Array, Array, Array]:
    """Gradients of sum(grad * dense(x, kernel, bias)) by x, kernel and bias."""
    grad, x, kernel = float64(grad), float64(x), float64(kernel)
    every_row = tuple(range(x.ndim - 1))
    return grad @ kernel.T, np.tensordot(x, grad, axes=(every_row, every_row)), grad.sum(axis=every_row)


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, channel by channel of x (..., C)."""
    y = (float64(x) - float64(mean)) / np.sqrt(float64(variance) + epsilon)
    y = y if gamma is None else y * float64(gamma)
    y = y if beta is None else y + float64(beta)
    return relu(y) if activation == "relu" else y


def batch_norm_train(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    *,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> tuple[Array, Array, Array]:
    """Normalise by the batch's mean and biased variance, both 0 for an empty batch, and return these too."""
    rows = float64(x).reshape(-1, np.shape(x)[-1])
    count = max(len(rows), 1)
    mean = rows.sum(axis=0) / count
    variance = ((rows - mean) ** 2).sum(axis=0) / count
    return batch_norm(x, gamma, beta, mean, variance, epsilon=epsilon, activation=activation), mean, variance


def batch_norm_backward(
    grad: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float = 1e-3,
    training: bool = True,
    activation: str | None = None,
    y: ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of sum(grad * y) by x, gamma and beta (Ioffe and Szegedy 2015, section 3).

    In training mean and variance move with x, which takes from the gradient its mean and its part along the
    normalised x; otherwise they are constants.
    """
    grad = float64(grad)
    if activation == "relu":
        assert y is not None
        grad = relu_backward(grad, y)
    channels = grad.shape[-1]
    normalised = batch_norm(x, None, None, mean, variance, epsilon=epsilon)
    grad_gamma = (grad * normalised).reshape(-1, channels).sum(axis=0)
    grad_beta = grad.reshape(-1, channels).sum(axis=0)
    scale = (1.0 if gamma is None else float64(gamma)) / np.sqrt(float64(variance) + epsilon)
    if not training:
        return grad * scale, grad_gamma, grad_beta
    count = max(grad.size // channels, 1)
    return scale * (grad - grad_beta / count - normalised * grad_gamma / count), grad_gamma, grad_beta
