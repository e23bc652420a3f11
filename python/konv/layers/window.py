"""Arguments and shapes that convolution and pooling layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from konv._arguments import Shape, at_least, pads, pair


def positive_pair(where: str, name: str, value: Any) -> tuple[int, int]:
    """Take an int or (height, width), each at least 1."""
    height, width = pair(where, name, value)
    return at_least(1, where, name, height), at_least(1, where, name, width)


def padding_argument(where: str, value: Any) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """Take a padding; "valid" and "same" in any case, as Keras does."""
    padding = pads(where, value.lower() if isinstance(value, str) else value)
    if isinstance(padding, str):
        return padding
    for side in padding:
        at_least(0, where, "padding", side)
    top, bottom, left, right = padding
    return (top, bottom), (left, right)


def effective_size(window: tuple[int, int], dilation_rate: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width that a window with gaps covers."""
    height, width = ((size - 1) * rate + 1 for size, rate in zip(window, dilation_rate, strict=True))
    return height, width


def check_images(shape: Shape) -> None:
    """Raise unless a shape is that of images whose channels are known."""
    if len(shape) != 4:
        hint = {
            3: "; x[..., None] adds an axis of channels, Input's shape has one too",
            5: "; Input's shape is without the batch axis",
        }.get(len(shape), "")
        raise ValueError(f"inputs must be images of shape (N, H, W, C), received shape {shape}{hint}")
    if shape[3] is None:
        raise ValueError(f"the number of input channels must be known, received shape {shape}")


def output_shape(
    input_shape: Shape,
    window: tuple[int, int],
    formula: Callable[[tuple[int, int, int, int]], tuple[int, ...]],
) -> Shape:
    """Apply an output-size formula to a shape with unknown sizes.

    An unknown size goes in as one for which the window fits, and what comes out in its place is unknown
    again.
    """
    check_images(input_shape)
    n, h, w, c = input_shape
    assert c is not None
    outputs = formula(
        (1 if n is None else n, window[0] if h is None else h, window[1] if w is None else w, c)
    )
    return tuple(
        None if known is None and axis < 3 else size
        for axis, (known, size) in enumerate(zip(input_shape, outputs, strict=True))
    )
