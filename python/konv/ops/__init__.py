"""Kernels as functions: arrays in, arrays out.

Images are NHWC, kernels (kernel_h, kernel_w, in / groups, out). NumPy arrays, and any CPU object with
`__dlpack__`, give NumPy results. Arrays are float32 or float64, all of one call alike: nothing is ever
promoted. N may be 0, every other dimension is at least 1. Bad arguments raise TypeError, ValueError, or
MemoryError for a result that can't be held.
"""

from konv.ops.activation import relu, relu_backward
from konv.ops.average_pooling import avg_pool2d, avg_pool2d_backward, sum_pool2d, sum_pool2d_backward
from konv.ops.conv import conv2d, conv2d_backward, conv2d_output_shape
from konv.ops.conv_transpose import conv2d_transpose, conv2d_transpose_backward, conv2d_transpose_output_shape
from konv.ops.fully_connected import dense, dense_backward
from konv.ops.max_pooling import max_pool2d, max_pool2d_backward, max_pool2d_with_argmax
from konv.ops.normalization import batch_norm, batch_norm_backward, batch_norm_train
from konv.ops.pooling import pool2d_output_shape

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_train",
    "conv2d",
    "conv2d_backward",
    "conv2d_output_shape",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "conv2d_transpose_output_shape",
    "dense",
    "dense_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_with_argmax",
    "pool2d_output_shape",
    "relu",
    "relu_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
]


def __dir__() -> list[str]:
    return __all__
