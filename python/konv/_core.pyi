"""Types of the C++ extension: the kernels that `konv.ops` calls, with arguments already normalised.

Arrays are C-contiguous, aligned, of native float32 or float64, all of one dtype in a call; they may be
read-only. Sizes are checked here and raise ValueError or MemoryError with the op's name in front. Padding is
"valid", "same" or (top, bottom, left, right).
"""

from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

_Float: TypeAlias = NDArray[np.floating[Any]]
_Argmax: TypeAlias = NDArray[np.uint8] | NDArray[np.int32]
_Pair: TypeAlias = tuple[int, int]
_Shape: TypeAlias = tuple[int, int, int, int]
_Pads: TypeAlias = str | tuple[int, int, int, int]
_Needs: TypeAlias = tuple[bool, bool, bool]
_Gradients: TypeAlias = tuple[_Float | None, _Float | None, _Float | None]

def conv2d(
    x: _Float,
    kernel: _Float,
    bias: _Float | None,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    groups: int,
    relu: bool,
    algorithm: str,
    /,
) -> _Float: ...
def conv2d_backward(
    grad: _Float,
    x: _Float,
    kernel: _Float,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    groups: int,
    needs: _Needs,
    algorithm: str,
    /,
) -> _Gradients: ...
def conv2d_transpose(
    x: _Float,
    kernel: _Float,
    bias: _Float | None,
    strides: _Pair,
    padding: _Pads,
    output_padding: _Pair | None,
    dilation: _Pair,
    groups: int,
    algorithm: str,
    /,
) -> _Float: ...
def conv2d_transpose_backward(
    grad: _Float,
    x: _Float,
    kernel: _Float,
    strides: _Pair,
    padding: _Pads,
    output_padding: _Pair | None,
    dilation: _Pair,
    groups: int,
    needs: _Needs,
    algorithm: str,
    /,
) -> _Gradients: ...

class PreparedKernel:
    """A copy of a kernel in the form of the algorithm that was planned for one shape."""

    @property
    def nbytes(self) -> int: ...

def prepare_conv2d(
    kernel: _Float,
    image: tuple[int, int, int],
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    groups: int,
    algorithm: str,
    /,
) -> PreparedKernel: ...
def prepare_dense(kernel: _Float, /) -> PreparedKernel: ...
def apply_prepared(
    x: _Float, prepared: PreparedKernel, bias: _Float | None, relu: bool, addend: _Float | None, /
) -> _Float: ...
def conv2d_output_shape(
    x_shape: _Shape, kernel_shape: _Shape, strides: _Pair, padding: _Pads, dilation: _Pair, groups: int, /
) -> _Shape: ...
def conv2d_transpose_output_shape(
    x_shape: _Shape,
    kernel_shape: _Shape,
    strides: _Pair,
    padding: _Pads,
    output_padding: _Pair | None,
    dilation: _Pair,
    groups: int,
    /,
) -> _Shape: ...
@overload
def max_pool2d(
    x: _Float,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    with_argmax: Literal[False],
    /,
) -> _Float: ...
@overload
def max_pool2d(
    x: _Float,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    with_argmax: Literal[True],
    /,
) -> tuple[_Float, _Argmax]: ...
def max_pool2d_backward(
    grad: _Float,
    argmax: _Argmax,
    input_shape: _Shape,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    /,
) -> _Float: ...
def avg_pool2d(
    x: _Float,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    /,
) -> _Float: ...
def avg_pool2d_backward(
    grad: _Float,
    input_shape: _Shape,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    /,
) -> _Float: ...
def sum_pool2d(
    x: _Float, pool_size: _Pair, strides: _Pair, padding: _Pads, dilation: _Pair, ceil_mode: bool, /
) -> _Float: ...
def sum_pool2d_backward(
    grad: _Float,
    input_shape: _Shape,
    pool_size: _Pair,
    strides: _Pair,
    padding: _Pads,
    dilation: _Pair,
    ceil_mode: bool,
    /,
) -> _Float: ...
def pool2d_output_shape(
    x_shape: _Shape, pool_size: _Pair, strides: _Pair, padding: _Pads, dilation: _Pair, ceil_mode: bool, /
) -> _Shape: ...
def relu(x: _Float, /) -> _Float: ...
def relu_backward(grad: _Float, y: _Float, /) -> _Float: ...
def relu6(x: _Float, /) -> _Float: ...
def relu6_backward(grad: _Float, y: _Float, /) -> _Float: ...
def leaky_relu(x: _Float, /) -> _Float: ...
def leaky_relu_backward(grad: _Float, y: _Float, /) -> _Float: ...
def elu(x: _Float, /) -> _Float: ...
def elu_backward(grad: _Float, y: _Float, /) -> _Float: ...
def sigmoid(x: _Float, /) -> _Float: ...
def sigmoid_backward(grad: _Float, y: _Float, /) -> _Float: ...
def hard_sigmoid(x: _Float, /) -> _Float: ...
def hard_sigmoid_backward(grad: _Float, y: _Float, /) -> _Float: ...
def tanh(x: _Float, /) -> _Float: ...
def tanh_backward(grad: _Float, y: _Float, /) -> _Float: ...
def silu(x: _Float, /) -> _Float: ...
def silu_backward(grad: _Float, x: _Float, /) -> _Float: ...
def add(a: _Float, b: _Float, relu: bool, /) -> _Float: ...
def erf(x: _Float, /) -> _Float: ...
def batch_norm(
    x: _Float,
    gamma: _Float | None,
    beta: _Float | None,
    mean: _Float,
    variance: _Float,
    epsilon: float,
    relu: bool,
    /,
) -> _Float: ...
def batch_norm_train(
    x: _Float, gamma: _Float | None, beta: _Float | None, epsilon: float, relu: bool, /
) -> tuple[_Float, _Float, _Float]: ...
def batch_norm_backward(
    grad: _Float,
    x: _Float,
    gamma: _Float | None,
    mean: _Float,
    variance: _Float,
    epsilon: float,
    training: bool,
    relu: bool,
    y: _Float | None,
    x_relu: bool,
    /,
) -> tuple[_Float, _Float, _Float]: ...
def dense(x: _Float, kernel: _Float, bias: _Float | None, relu: bool, /) -> _Float: ...
def dense_backward(grad: _Float, x: _Float, kernel: _Float, needs: _Needs, /) -> _Gradients: ...

# Over the last axis. Cross-entropies of rows of logits z, which `labels` or rows of weights of the classes go
# with: values, and three arrays that the gradient needs (the last None for labels), see csrc/cpu/softmax.hpp.
# scale has one number for all rows or one each.
def softmax(x: _Float, /) -> _Float: ...
def softmax_cross_entropy(
    z: _Float, labels: NDArray[np.int64] | None, weights: _Float | None, /
) -> tuple[_Float, _Float, _Float, _Float | None]: ...
def softmax_cross_entropy_backward(
    z: _Float,
    labels: NDArray[np.int64] | None,
    weights: _Float | None,
    largest: _Float,
    total: _Float,
    weight: _Float | None,
    scale: _Float,
    /,
) -> _Float: ...

# One step of an optimizer, in place on every array but the gradient; the arrays share no memory. Formulas:
# csrc/cpu/kernels/optimizer.hpp; decay is the share of the value that is taken off before.
def sgd_step(
    value: _Float,
    gradient: _Float,
    velocity: _Float | None,
    rate: float,
    momentum: float,
    nesterov: bool,
    decay: float,
    /,
) -> None: ...
def adam_step(
    value: _Float,
    gradient: _Float,
    momentum: _Float,
    velocity: _Float,
    velocity_hat: _Float | None,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float,
    /,
) -> None: ...

# Words of the stream of a key (0 to 2^64 - 1), and uniform numbers in [0, 1) made of them: see konv._random.
def philox_words(key: int, offset: int, count: int, /) -> NDArray[np.uint32]: ...
def philox_uniform(key: int, offset: int, count: int, /) -> NDArray[np.float32]: ...

# x / (1 - rate) where the uniform number at offset + i is at least float32(rate), else 0, for element i.
def dropout(x: _Float, key: int, offset: int, rate: float, /) -> _Float: ...

# The process: threads, instruction set, build, memory.
def get_num_threads() -> int: ...
def set_num_threads(n: int, /) -> None: ...
def isa() -> str: ...
def set_isa(name: str, /) -> None: ...
def available_isas() -> list[str]: ...
def build_info() -> dict[str, str]: ...
def pool_info() -> dict[str, int]: ...
def reset_pool_peak() -> None: ...
def clear_cache() -> None: ...
def set_thread_work(nanoseconds: float, /) -> float: ...
def set_poison(poison: bool, /) -> None: ...
def measure_flops(seconds: float, /) -> float: ...
def measure_bandwidth(read: int, written: int, seconds: float, /) -> float: ...
def require_memory(op: str, bytes: int, /) -> None: ...
