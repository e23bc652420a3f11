"""What errors say, word for word: what is wrong, what was expected, what was received.

Every `raise` of `konv.ops`, `konv.backend` and `konv.config` has its row, and so have the failures of the
shapes in C++.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arrays import DLPackOnly
from calls import X, call, image
from konv import config, ops


class OnGpu(DLPackOnly):
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


class Unreadable(DLPackOnly):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("no export today")


FLOATS = np.zeros(3, np.float32)
INT_OR_PAIR = "must be an int or a pair of ints (height, width), received"
PADDING = 'must be "valid", "same", an int, (height, width) or ((top, bottom), (left, right)), received'

ARRAYS: list[tuple[type[Exception], str, dict[str, Any], str]] = [
    (
        TypeError,
        "relu",
        {"x": [1.0]},
        "relu: x must be an array (NumPy, or any with __dlpack__), received list",
    ),
    (
        TypeError,
        "relu",
        {"x": np.ma.masked_array(FLOATS)},
        "relu: x must not be masked, received a numpy.ma.MaskedArray (fill its gaps first)",
    ),
    (
        TypeError,
        "relu",
        {"x": Unreadable(FLOATS)},
        f"relu: x can't be read through DLPack, received {__name__}.Unreadable: no export today",
    ),
    (
        TypeError,
        "relu",
        {"x": OnGpu(FLOATS)},
        "relu: x must be on the CPU, for this build has no CUDA kernels; "
        f"received {__name__}.OnGpu on DLPack device 2",
    ),
    (
        TypeError,
        "relu",
        {"x": FLOATS.astype(int)},
        "relu: x must have dtype float32 or float64, received int64",
    ),
    (
        TypeError,
        "relu",
        {"x": FLOATS.astype(">f4")},
        "relu: x must have dtype float32 or float64, received float32 of foreign byte order",
    ),
    (
        TypeError,
        "conv2d",
        {"kernel": image(3, 3, 4, 8, dtype=np.float64)},
        "conv2d: all arrays must have one dtype, received kernel of float64 and x of float32",
    ),
    (
        TypeError,
        "max_pool2d_backward",
        {"argmax": np.zeros((2, 4, 4, 4), np.int64)},
        "max_pool2d_backward: argmax must have dtype uint8 for pool_size (2, 2), received int64",
    ),
    (
        ValueError,
        "batch_norm_backward",
        {"y": None},
        "batch_norm_backward: y must be the result of the forward pass with a ReLU, received None",
    ),
]

SPELLINGS: list[tuple[type[Exception], str, dict[str, Any], str]] = [
    (TypeError, "conv2d", {"strides": 1.5}, f"conv2d: strides {INT_OR_PAIR} 1.5 (float)"),
    (
        TypeError,
        "conv2d",
        {"dilation_rate": (1, True)},
        f"conv2d: dilation_rate {INT_OR_PAIR} (1, True) (tuple)",
    ),
    (ValueError, "max_pool2d", {"pool_size": [2]}, f"max_pool2d: pool_size {INT_OR_PAIR} [2] (list)"),
    (TypeError, "conv2d", {"groups": "2"}, "conv2d: groups must be an int, received '2' (str)"),
    (
        ValueError,
        "conv2d",
        {"groups": 2**63},
        "conv2d: groups must fit in 64 bits, received 9223372036854775808 (int)",
    ),
    (
        ValueError,
        "conv2d",
        {"strides": (1, 1 << 20_000)},
        "conv2d: strides must fit in 64 bits, received (1, <int of 20001 bits>) (tuple)",
    ),
    (ValueError, "conv2d", {"padding": "full"}, f"conv2d: padding {PADDING} 'full' (str)"),
    (ValueError, "conv2d", {"padding": (1, 1, 1)}, f"conv2d: padding {PADDING} (1, 1, 1) (tuple)"),
    (ValueError, "conv2d", {"padding": ((1,), (1,))}, f"conv2d: padding {PADDING} ((1,), (1,)) (tuple)"),
    (TypeError, "conv2d", {"padding": None}, f"conv2d: padding {PADDING} None (NoneType)"),
    (TypeError, "conv2d", {"padding": (1, (1, 1))}, f"conv2d: padding {PADDING} (1, (1, 1)) (tuple)"),
    (
        TypeError,
        "avg_pool2d_backward",
        {"input_shape": X},
        "avg_pool2d_backward: input_shape must be a tuple of 4 ints, "
        "received <array of shape (2, 5, 5, 4) and dtype float32> (ndarray)",
    ),
    (
        ValueError,
        "avg_pool2d_backward",
        {"input_shape": (5, 5, 4)},
        "avg_pool2d_backward: input_shape must be a tuple of 4 ints, received (5, 5, 4) (tuple)",
    ),
    (
        TypeError,
        "max_pool2d",
        {"ceil_mode": 1},
        "max_pool2d: ceil_mode must be True or False, received 1 (int)",
    ),
    (
        TypeError,
        "conv2d",
        {"activation": max},
        'conv2d: activation must be None or "relu", received <built-in function max> '
        "(builtin_function_or_method)",
    ),
    (
        ValueError,
        "dense",
        {"activation": "elu"},
        "dense: activation must be None or \"relu\", received 'elu' (str)",
    ),
    (TypeError, "conv2d", {"algorithm": None}, "conv2d: algorithm must be a str, received None (NoneType)"),
    (
        TypeError,
        "conv2d_backward",
        {"needs": "x"},
        "conv2d_backward: needs must be a tuple, list or set of names, received 'x' (str)",
    ),
    (
        TypeError,
        "dense_backward",
        {"needs": [0]},
        "dense_backward: needs must hold names, received [0] (list)",
    ),
    (
        ValueError,
        "dense_backward",
        {"needs": ("y",)},
        'dense_backward: needs may name "x", "kernel" and "bias", received (\'y\',) (tuple)',
    ),
    (
        TypeError,
        "batch_norm",
        {"epsilon": "1"},
        "batch_norm: epsilon must be a number, received '1' (str)",
    ),
    (
        ValueError,
        "batch_norm",
        {"epsilon": -1.0},
        "batch_norm: epsilon must be finite and at least 0, received -1.0 (float)",
    ),
]

CONVOLUTION_SIZES: list[tuple[type[Exception], str, dict[str, Any], str]] = [
    (
        ValueError,
        "conv2d",
        {"x": image(5, 5, 4)},
        "conv2d: x must have 4 dimensions (N, H, W, C), received 3: (5, 5, 4)",
    ),
    (
        ValueError,
        "conv2d",
        {"x": image(2, 0, 5, 4)},
        "conv2d: every dimension of x but the first must be at least 1, received (2, 0, 5, 4)",
    ),
    (
        ValueError,
        "conv2d",
        {"kernel": image(3, 3)},
        "conv2d: kernel must have 4 dimensions (kernel_h, kernel_w, in, out), received 2: (3, 3)",
    ),
    (
        ValueError,
        "conv2d",
        {"kernel": image(3, 0, 4, 8)},
        "conv2d: every dimension of kernel must be at least 1, received (3, 0, 4, 8)",
    ),
    (
        ValueError,
        "conv2d",
        {"kernel": image(3, 3, 3, 8)},
        "conv2d: kernel has 3 input channels but x has 4 (x: (2, 5, 5, 4), kernel: (3, 3, 3, 8), groups=1)",
    ),
    (
        ValueError,
        "conv2d",
        {"groups": 2},
        "conv2d: kernel has 4 input channels but each group of x has 2 "
        "(x: (2, 5, 5, 4), kernel: (3, 3, 4, 8), groups=2)",
    ),
    (
        ValueError,
        "conv2d",
        {"groups": 3},
        "conv2d: groups must divide the 4 channels of x (x: (2, 5, 5, 4), kernel: (3, 3, 4, 8), groups=3)",
    ),
    (  # one channel of x would be left over
        ValueError,
        "conv2d",
        {"groups": 3, "kernel": image(3, 3, 1, 6)},
        "conv2d: groups must divide the 4 channels of x (x: (2, 5, 5, 4), kernel: (3, 3, 1, 6), groups=3)",
    ),
    (
        ValueError,
        "conv2d",
        {"groups": 4, "kernel": image(3, 3, 1, 6)},
        "conv2d: groups must divide the 6 filters of kernel "
        "(x: (2, 5, 5, 4), kernel: (3, 3, 1, 6), groups=4)",
    ),
    (ValueError, "conv2d", {"groups": 0}, "conv2d: groups must be at least 1, received 0"),
    (
        ValueError,
        "conv2d",
        {"bias": image(7)},
        "conv2d: bias must have the shape (8,), one value a filter, received (7,)",
    ),
    (
        ValueError,
        "conv2d",
        {"strides": (1, 0)},
        "conv2d: strides must be at least 1, received 0 for the width",
    ),
    (
        ValueError,
        "conv2d",
        {"dilation_rate": (-1, 1)},
        "conv2d: dilation_rate must be at least 1, received -1 for the height",
    ),
    (
        ValueError,
        "conv2d",
        {"padding": ((0, -1), (0, 0))},
        "conv2d: padding must not be negative, received (0, -1) for the height",
    ),
    (
        ValueError,
        "conv2d",
        {"kernel": image(6, 3, 4, 8)},
        "conv2d: the output's height would be 0, expected at least 1: "
        "floor((5 + 0 + 0 - (6 - 1) * 1 - 1) / 1) + 1 "
        "(input 5, padding (0, 0), window 6, dilation_rate 1, stride 1)",
    ),
    (
        ValueError,
        "conv2d",
        {"algorithm": "fast"},
        "conv2d: algorithm must be 'auto', 'direct', 'winograd' or 'reference', received 'fast'",
    ),
    (
        MemoryError,
        "conv2d",
        {"padding": 2**62},
        "conv2d: the size of the padded input exceeds 2^63",
    ),
    (
        ValueError,
        "conv2d_backward",
        {"grad": image(2, 3, 4, 8)},
        "conv2d_backward: grad must have the shape (2, 3, 3, 8), received (2, 3, 4, 8)",
    ),
    (
        ValueError,
        "conv2d_transpose",
        {"kernel": image(3, 3, 8, 5)},
        "conv2d_transpose: kernel has 5 input channels (its last dimension) but x has 4 "
        "(x: (2, 5, 5, 4), kernel: (3, 3, 8, 5), groups=1)",
    ),
    (
        ValueError,
        "conv2d_transpose",
        {"output_padding": (0, -1)},
        "conv2d_transpose: output_padding must not be negative, received -1 for the width",
    ),
    (
        ValueError,
        "conv2d_transpose",
        {"strides": 2, "output_padding": 2},
        "conv2d_transpose: a result of height 13 is not the input of a convolution with output 5 "
        "(it would give 6): output_padding must lie below the stride, received output_padding 2, stride 2, "
        "window 3, dilation_rate 1",
    ),
    (
        ValueError,
        "conv2d_transpose",
        {"padding": 4},
        "conv2d_transpose: the output's height would be -1, expected at least 1 "
        "(input 5, window 3, stride 1, dilation_rate 1, padding (4, 4))",
    ),
]

POOLING_SIZES: list[tuple[type[Exception], str, dict[str, Any], str]] = [
    (
        ValueError,
        "max_pool2d",
        {"pool_size": (2, 0)},
        "max_pool2d: pool_size must be at least 1, received (2, 0)",
    ),
    (
        ValueError,
        "avg_pool2d",
        {"pool_size": 9, "ceil_mode": True},
        "avg_pool2d: the output's height would be -3, expected at least 1: "
        "ceil((5 + 0 + 0 - (9 - 1) * 1 - 1) / 1) + 1 "
        "(input 5, padding (0, 0), window 9, dilation_rate 1, stride 1)",
    ),
    (
        ValueError,
        "sum_pool2d_backward",
        {"grad": image(2, 4, 3, 4)},
        "sum_pool2d_backward: grad must have the shape (2, 4, 4, 4), received (2, 4, 3, 4)",
    ),
]


@pytest.mark.parametrize(
    ("error", "op", "changes", "message"),
    [*ARRAYS, *SPELLINGS, *CONVOLUTION_SIZES, *POOLING_SIZES],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_the_message(error: type[Exception], op: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(error) as caught:
        call(op, **changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("threads", [0, 257])
def test_the_message_for_a_number_of_threads(threads: int) -> None:
    with pytest.raises(ValueError, match="set_num_threads") as caught:
        config.set_num_threads(threads)
    expected = f"set_num_threads: the number of threads must lie in 1..256, received {threads}"
    assert str(caught.value) == expected


def test_a_want_of_memory_says_how_much_was_needed_and_how_much_there_is() -> None:
    with pytest.raises(MemoryError) as caught:
        ops.relu(np.broadcast_to(np.float32(1), 2**40))
    assert str(caught.value).startswith("relu: ")
    assert f" need {4 * 2**40} bytes, but only " in str(caught.value)
    assert str(caught.value).endswith(" bytes of memory are available")
