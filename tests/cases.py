"""Named classes of shapes on tiny images: what every op is tested on, on every backend, ISA and dtype.

Each case stands for one way in which a kernel can go wrong (a channel tail, a phase of a strided gradient
without taps, a window that sees only padding, ...) and is as small as that allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pytest

from reference import Padding, Pair, Shape


@dataclass(frozen=True)
class ConvCase:
    """A convolution of x (N, H, W, C) with kernel (R, S, C / groups, K)."""

    name: str
    x: Shape
    kernel: Shape
    strides: Pair = 1
    padding: Padding = "valid"
    dilation_rate: Pair = 1
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The keywords of the op."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }


@dataclass(frozen=True)
class TransposeCase:
    """A transposed convolution of x (N, P, Q, in) with kernel (R, S, filters / groups, in)."""

    name: str
    x: Shape
    kernel: Shape
    strides: Pair = 1
    padding: Padding = "valid"
    output_padding: Pair | None = None
    dilation_rate: Pair = 1
    groups: int = 1

    @property
    def conv_options(self) -> dict[str, Any]:
        """The keywords of the convolution whose adjoint this is."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }

    @property
    def options(self) -> dict[str, Any]:
        """The keywords of the op."""
        return {**self.conv_options, "output_padding": self.output_padding}


@dataclass(frozen=True)
class PoolCase:
    """A pooling of x (N, H, W, C)."""

    name: str
    x: Shape
    pool_size: Pair
    strides: Pair | None = None
    padding: Padding = "valid"
    dilation_rate: Pair = 1
    ceil_mode: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The keywords of the op."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "ceil_mode": self.ceil_mode,
        }


@dataclass(frozen=True)
class DenseCase:
    """A dense layer on x (..., C)."""

    name: str
    x: Shape
    units: int


@dataclass(frozen=True)
class NormCase:
    """A batch normalisation of x (..., C), whose elements are drawn around `centre`."""

    name: str
    x: Shape
    centre: float = 0.0
    epsilon: float = 1e-3
    scaled: bool = True
    shifted: bool = True


class Case(Protocol):
    """What all cases have."""

    @property
    def name(self) -> str: ...


AnyCase = TypeVar("AnyCase", bound=Case)


def pick(cases: Sequence[AnyCase], *names: str) -> list[AnyCase]:
    """The cases of these names, in this order."""
    by_name = {case.name: case for case in cases}
    return [by_name[name] for name in names]


def each(cases: Sequence[Case], *names: str) -> pytest.MarkDecorator:
    """Run a test on each case, or on those of these names."""
    chosen = pick(cases, *names) if names else cases
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


CHANNEL_TAILS = (
    (1, 33),
    (2, 16),
    (3, 65),
    (4, 1),
    (5, 31),
    (15, 17),
    (16, 16),
    (17, 15),
    (31, 5),
    (33, 3),
    (65, 2),
)
"""Pairs (in, out) around the lengths of vectors (4, 8, 16 floats) and of the register tiles made of them."""

CONV_CASES = (
    ConvCase("unit", (2, 6, 7, 4), (3, 3, 4, 8)),
    ConvCase("one_pixel", (1, 1, 1, 1), (1, 1, 1, 1)),
    ConvCase("one_pixel_same", (2, 1, 1, 5), (3, 3, 5, 6), padding="same"),
    ConvCase("one_output", (2, 4, 5, 6), (4, 5, 6, 10)),
    ConvCase("empty_batch", (0, 5, 6, 3), (3, 3, 3, 4), padding="same"),
    ConvCase("many_images", (9, 3, 4, 5), (2, 2, 5, 7)),
    ConvCase("blocks_of_images", (5, 11, 10, 17), (2, 2, 17, 18), padding="same"),
    ConvCase("pointwise", (3, 5, 6, 16), (1, 1, 16, 24)),
    ConvCase("pointwise_strided", (2, 7, 8, 9), (1, 1, 9, 16), strides=2),
    ConvCase("pointwise_padded", (2, 3, 4, 5), (1, 1, 5, 6), padding=((1, 0), (2, 1))),
    ConvCase("pointwise_padded_right", (2, 3, 4, 5), (1, 1, 5, 6), padding=((0, 0), (0, 1))),
    ConvCase("pointwise_padded_after", (2, 3, 4, 5), (1, 1, 5, 6), padding=((0, 1), (0, 2))),
    ConvCase("padded_rows", (2, 5, 6, 3), (3, 2, 3, 5), padding=((1, 1), (0, 0))),
    ConvCase("strided", (2, 9, 10, 6), (3, 3, 6, 8), strides=2),
    ConvCase("strided_uneven", (2, 11, 9, 3), (3, 4, 3, 5), strides=(3, 2), padding=1),
    ConvCase("stride_is_kernel", (2, 8, 9, 4), (2, 3, 4, 5), strides=(2, 3)),
    ConvCase("stride_beyond_kernel", (2, 11, 13, 4), (2, 1, 4, 5), strides=(4, 3)),
    ConvCase("stride_beyond_kernel_same", (2, 11, 10, 4), (2, 3, 4, 5), strides=(3, 5), padding="same"),
    ConvCase("stride_huge", (2, 5, 6, 3), (3, 2, 3, 4), strides=10**12),
    ConvCase("dilated", (2, 9, 10, 5), (3, 3, 5, 6), dilation_rate=2),
    ConvCase("dilated_rows", (2, 9, 8, 5), (3, 3, 5, 6), dilation_rate=(2, 1)),
    ConvCase("dilated_uneven_same", (2, 7, 8, 5), (3, 2, 5, 6), padding="same", dilation_rate=(2, 3)),
    ConvCase("dilation_huge_same", (2, 4, 5, 3), (3, 3, 3, 4), padding="same", dilation_rate=10**9),
    ConvCase("dilated_strided", (2, 12, 11, 5), (3, 3, 5, 6), strides=2, dilation_rate=2),
    ConvCase("dilated_strided_coprime", (2, 13, 12, 4), (3, 4, 4, 5), strides=(3, 2), dilation_rate=(2, 3)),
    ConvCase(
        "dilated_strided_same", (2, 12, 11, 4), (3, 3, 4, 5), strides=4, padding="same", dilation_rate=2
    ),
    ConvCase("grouped", (2, 6, 7, 6), (3, 3, 2, 9), padding="same", groups=3),
    ConvCase("grouped_tail", (2, 5, 6, 34), (3, 2, 17, 38), groups=2),
    ConvCase("grouped_wide", (1, 4, 5, 96), (3, 3, 48, 64), padding=1, groups=2),
    ConvCase("grouped_many_filters", (2, 5, 6, 6), (3, 2, 3, 34), groups=2),
    ConvCase("grouped_strided_dilated", (2, 9, 8, 10), (2, 3, 2, 15), 2, 1, 2, 5),
    ConvCase("grouped_by_four", (2, 6, 7, 36), (3, 3, 4, 36), padding="same", groups=9),
    ConvCase("grouped_by_four_strided", (2, 7, 9, 32), (3, 3, 4, 48), 2, "same", 1, 8),
    ConvCase("grouped_by_two_vectors", (2, 5, 9, 32), (3, 3, 2, 32), padding=1, groups=16),
    ConvCase("grouped_by_four_vectors", (2, 9, 11, 48), (3, 3, 4, 48), strides=2, padding="same", groups=12),
    ConvCase("grouped_by_eight_vectors", (2, 6, 17, 32), (3, 3, 8, 32), padding="same", groups=4),
    ConvCase("grouped_by_eight_dilated", (2, 8, 9, 32), (2, 3, 8, 32), (2, 1), 1, (1, 2), 4),
    ConvCase("grouped_bands", (1, 50, 30, 8), (3, 3, 4, 8), padding="same", groups=2),
    ConvCase("grouped_stride_beyond_kernel", (2, 9, 8, 6), (2, 2, 2, 9), strides=3, groups=3),
    ConvCase("grouped_row_beyond_slab", (1, 3, 700, 8), (3, 3, 4, 8), padding="same", groups=2),
    ConvCase("grouped_to_one", (2, 5, 5, 12), (3, 3, 3, 4), padding="same", groups=4),
    ConvCase("depthwise", (2, 7, 8, 19), (3, 3, 1, 19), padding="same", groups=19),
    ConvCase("depthwise_strided", (2, 9, 8, 33), (3, 3, 1, 33), strides=2, padding="same", groups=33),
    ConvCase("depthwise_stride_beyond_kernel", (2, 9, 8, 18), (2, 1, 1, 18), strides=3, groups=18),
    ConvCase("depthwise_dilated", (2, 9, 8, 16), (3, 2, 1, 16), dilation_rate=(2, 3), groups=16),
    ConvCase("depthwise_wide", (1, 3, 70, 70), (5, 5, 1, 70), padding=2, groups=70),
    ConvCase("depthwise_beyond_image", (2, 2, 3, 18), (5, 7, 1, 18), padding="same", groups=18),
    ConvCase("depthwise_many_images", (19, 3, 2, 5), (2, 2, 1, 5), groups=5),
    ConvCase("depthwise_third_channel_block", (2, 4, 5, 200), (3, 3, 1, 200), padding="same", groups=200),
    ConvCase("depthwise_merged_pixels", (2, 4, 41, 5), (3, 3, 1, 5), padding="same", groups=5),
    ConvCase("depthwise_row_tiles", (1, 6, 21, 32), (3, 3, 1, 32), padding="same", groups=32),
    ConvCase("depthwise_strided_row_tiles", (1, 7, 37, 17), (3, 3, 1, 17), 2, "same", 1, 17),
    ConvCase("depthwise_stride_beyond_kernel", (2, 9, 11, 18), (2, 2, 1, 18), strides=(3, 4), groups=18),
    ConvCase("depthwise_one_channel", (2, 9, 8, 1), (3, 3, 1, 1), padding="same"),
    ConvCase("depthwise_multiplier", (2, 6, 7, 7), (3, 3, 1, 21), padding="same", groups=7),
    ConvCase("depthwise_multiplier_strided", (2, 6, 7, 17), (3, 3, 1, 34), strides=(1, 2), groups=17),
    ConvCase("same", (2, 6, 5, 8), (3, 3, 8, 16), padding="same"),
    ConvCase("same_asymmetric", (2, 6, 7, 4), (2, 4, 4, 5), padding="same"),
    ConvCase("same_asymmetric_strided", (2, 8, 9, 4), (4, 4, 4, 5), strides=2, padding="same"),
    ConvCase("same_odd_strided", (2, 8, 8, 4), (3, 3, 4, 5), strides=2, padding="same"),
    ConvCase("same_kernel_beyond_image", (2, 2, 3, 4), (5, 7, 4, 5), padding="same"),
    ConvCase("padded_kernel_beyond_image", (2, 2, 3, 4), (5, 6, 4, 5), padding=2),
    ConvCase("padded_pair", (2, 4, 5, 4), (3, 3, 4, 5), padding=(2, 1)),
    ConvCase("padded_asymmetric", (2, 5, 6, 4), (3, 3, 4, 5), padding=((2, 0), (1, 3))),
    ConvCase("padded_asymmetric_strided", (2, 7, 6, 4), (3, 2, 4, 5), strides=2, padding=((0, 3), (2, 1))),
    ConvCase("padding_beyond_kernel", (2, 3, 2, 4), (2, 2, 4, 5), padding=((4, 3), (5, 2))),
    ConvCase("padding_beyond_kernel_strided", (2, 3, 2, 4), (2, 3, 4, 5), strides=3, padding=6),
    ConvCase("row_kernel", (2, 4, 12, 4), (1, 7, 4, 5), padding="same"),
    ConvCase("column_kernel", (2, 12, 4, 4), (7, 1, 4, 5), padding="same"),
    ConvCase("seven_taps", (2, 8, 9, 16), (7, 7, 16, 17), padding="same"),
    ConvCase("large_kernel", (1, 13, 12, 3), (11, 10, 3, 5), padding=3),
    ConvCase("one_row", (2, 1, 9, 4), (1, 3, 4, 5)),
    ConvCase("one_column", (2, 9, 1, 4), (3, 1, 4, 5)),
    ConvCase("rows_beyond_image", (2, 1, 9, 4), (3, 3, 4, 5), padding="same"),
    ConvCase("columns_beyond_image", (2, 9, 1, 4), (3, 3, 4, 5), padding="same"),
    ConvCase("no_column_meets_image", (2, 2, 1, 6), (4, 2, 6, 9), padding="same", dilation_rate=(1, 3)),
    ConvCase("no_row_meets_image", (2, 1, 2, 18), (2, 4, 18, 9), padding="same", dilation_rate=(3, 1)),
    ConvCase("first_layer_gray", (3, 12, 11, 1), (3, 3, 1, 32)),
    ConvCase("first_layer_gray_5x5", (2, 12, 11, 1), (5, 5, 1, 6), padding="same"),
    ConvCase("first_layer_color", (2, 9, 10, 3), (3, 3, 3, 64), padding="same"),
    ConvCase("first_layer_7x7", (1, 17, 16, 3), (7, 7, 3, 20), strides=2, padding=3),
    ConvCase("first_layer_11x11", (1, 23, 27, 3), (11, 11, 3, 17), strides=4, padding=2),
    ConvCase("pixel_blocks", (2, 20, 30, 6), (3, 3, 6, 7), padding="same"),
    ConvCase("pixel_blocks_strided", (2, 31, 33, 5), (3, 3, 5, 6), strides=2),
    ConvCase("wide_row", (1, 3, 701, 3), (3, 3, 3, 5), padding="same"),
    ConvCase("wide_row_strided", (1, 3, 700, 2), (2, 5, 2, 17), strides=(1, 2), padding=1),
    ConvCase("wide_row_dilated", (1, 3, 500, 4), (2, 3, 4, 5), padding="same", dilation_rate=(1, 50)),
    ConvCase("wide_row_pointwise", (1, 1, 1000, 16), (1, 1, 16, 17)),
    ConvCase("many_channels", (1, 3, 3, 130), (3, 3, 130, 20), padding="same"),
    ConvCase("many_channels_strided", (1, 4, 5, 260), (3, 3, 260, 33), strides=2),
    # From 16 channels on, the gradient of x takes another way.
    ConvCase("sixteen_channels_pointwise_strided", (2, 7, 8, 16), (1, 1, 16, 9), strides=2),
    ConvCase("sixteen_channels_strided", (2, 11, 9, 16), (3, 4, 16, 5), strides=(3, 2), padding=1),
    ConvCase("sixteen_channels_stride_beyond_kernel", (2, 11, 13, 16), (2, 1, 16, 5), strides=(4, 3)),
    ConvCase("sixteen_channels_dilated", (2, 9, 8, 16), (3, 2, 16, 5), dilation_rate=(2, 3)),
    ConvCase("sixteen_channels_dilated_strided", (2, 12, 11, 16), (3, 3, 16, 6), 2, "valid", 2),
    ConvCase("sixteen_channels_coprime", (2, 13, 12, 16), (3, 4, 16, 5), (3, 2), "valid", (2, 3)),
    ConvCase("sixteen_channels_padded", (2, 7, 6, 16), (3, 2, 16, 5), 2, ((0, 3), (2, 1))),
    ConvCase("many_channels_pointwise", (2, 3, 2, 600), (1, 1, 600, 40)),
    ConvCase("many_filters_pointwise", (2, 3, 4, 20), (1, 1, 20, 576)),
    ConvCase("filters_of_4_KiB_pointwise", (1, 2, 3, 17), (1, 1, 17, 1024)),
    ConvCase("many_filters", (1, 3, 3, 20), (2, 2, 20, 600)),
    ConvCase("all_blocks", (2, 13, 22, 66), (1, 2, 66, 130)),
    *(ConvCase(f"channels_{c}_to_{k}", (2, 5, 4, c), (3, 2, c, k), padding=1) for c, k in CHANNEL_TAILS),
)

TRANSPOSE_CASES = (
    TransposeCase("unit", (2, 5, 6, 4), (3, 3, 5, 4)),
    TransposeCase("one_pixel", (1, 1, 1, 1), (1, 1, 1, 1)),
    TransposeCase("one_pixel_strided", (2, 1, 1, 3), (3, 2, 4, 3), strides=2),
    TransposeCase("empty_batch", (0, 3, 4, 3), (3, 3, 4, 3), strides=2),
    TransposeCase("pointwise", (2, 4, 5, 6), (1, 1, 7, 6)),
    TransposeCase("pointwise_strided", (2, 4, 5, 6), (1, 1, 7, 6), strides=(2, 3)),
    TransposeCase("same", (2, 4, 5, 6), (3, 3, 7, 6), padding="same"),
    TransposeCase("same_strided", (2, 4, 5, 6), (3, 3, 7, 6), strides=2, padding="same"),
    TransposeCase("same_asymmetric_strided", (2, 4, 5, 6), (4, 2, 7, 6), strides=2, padding="same"),
    TransposeCase("same_stride_beyond_kernel", (2, 3, 4, 5), (2, 1, 6, 5), strides=(3, 4), padding="same"),
    TransposeCase("same_output_padding", (2, 3, 4, 5), (3, 4, 6, 5), 2, "same", (0, 1)),
    TransposeCase("strided", (2, 4, 5, 3), (3, 3, 4, 3), strides=2),
    TransposeCase("stride_is_kernel", (2, 4, 5, 3), (2, 3, 4, 3), strides=(2, 3)),
    TransposeCase("stride_beyond_kernel", (2, 3, 4, 3), (2, 1, 4, 3), strides=(4, 3)),
    TransposeCase("valid_output_padding", (2, 3, 4, 3), (3, 2, 4, 3), 3, "valid", (2, 0)),
    TransposeCase("padded", (2, 4, 5, 3), (3, 3, 4, 3), padding=1),
    TransposeCase("padded_strided", (2, 4, 5, 3), (4, 3, 4, 3), strides=2, padding=1),
    TransposeCase("padded_asymmetric", (2, 4, 5, 3), (3, 4, 4, 3), 2, ((2, 0), (1, 3))),
    TransposeCase("padded_output_padding", (2, 4, 5, 3), (3, 3, 4, 3), 2, 1, 1),
    TransposeCase("padding_beyond_kernel", (2, 6, 7, 3), (2, 2, 4, 3), padding=((2, 3), (3, 2))),
    TransposeCase("dilated", (2, 4, 5, 3), (3, 2, 4, 3), dilation_rate=(2, 3)),
    TransposeCase("dilated_strided", (2, 4, 5, 3), (3, 3, 4, 3), 2, "valid", None, 2),
    TransposeCase("dilated_strided_same", (2, 4, 5, 3), (3, 2, 4, 3), (3, 2), "same", None, (2, 3)),
    TransposeCase("dilation_huge_same", (2, 4, 3, 3), (3, 3, 4, 3), 1, "same", None, 10**9),
    TransposeCase("grouped", (2, 4, 5, 6), (3, 3, 4, 6), strides=2, padding="same", groups=2),
    TransposeCase("grouped_tail", (2, 4, 3, 34), (2, 3, 19, 34), groups=2),
    TransposeCase("depthwise", (2, 4, 5, 19), (3, 3, 1, 19), strides=2, padding="same", groups=19),
    TransposeCase("row_kernel", (2, 3, 8, 4), (1, 5, 3, 4), strides=(1, 2)),
    TransposeCase("wide_row", (1, 2, 400, 3), (2, 3, 5, 3), strides=2, padding="same"),
    TransposeCase("pixel_blocks", (2, 11, 17, 5), (3, 3, 6, 5), strides=2),
    TransposeCase("sixteen_filters_stride_beyond_kernel", (2, 3, 4, 5), (2, 1, 16, 5), strides=(4, 3)),
    TransposeCase("sixteen_filters_dilated_strided", (2, 4, 5, 3), (3, 3, 17, 3), (2, 3), "same", None, 2),
    TransposeCase("many_channels", (1, 3, 3, 130), (3, 3, 20, 130), padding="same"),
    TransposeCase("many_filters", (1, 2, 3, 20), (2, 2, 300, 20), strides=2),
    *(TransposeCase(f"channels_{c}_to_{k}", (2, 3, 4, c), (3, 2, k, c), 2, "same") for c, k in CHANNEL_TAILS),
)

POOL_CASES = (
    PoolCase("pairs", (2, 6, 8, 5), 2),
    PoolCase("pairs_tail", (2, 7, 5, 16), 2),
    PoolCase("uneven", (2, 7, 9, 6), (2, 3)),
    PoolCase("one_pixel", (1, 1, 1, 1), 1),
    PoolCase("whole_image", (3, 5, 4, 7), (5, 4)),
    PoolCase("empty_batch", (0, 4, 6, 3), 2),
    PoolCase("many_images", (9, 4, 3, 2), 2, 1),
    PoolCase("overlapping", (2, 7, 8, 6), 3, 2),
    PoolCase("overlapping_dense", (2, 5, 6, 6), 3, 1),
    PoolCase("overlapping_padded", (2, 8, 7, 6), 3, 2, 1),
    PoolCase("same", (2, 5, 6, 6), 3, 1, "same"),
    PoolCase("same_strided", (2, 7, 8, 6), 3, 2, "same"),
    PoolCase("same_asymmetric", (2, 7, 6, 6), (2, 4), (1, 3), "same"),
    PoolCase("same_ceil", (2, 7, 6, 6), (2, 4), (1, 3), "same", 1, True),
    PoolCase("same_window_beyond_image", (2, 2, 3, 4), (5, 6), 1, "same"),
    PoolCase("stride_beyond_window", (2, 9, 10, 4), 2, (3, 4)),
    PoolCase("stride_beyond_window_ceil", (2, 10, 9, 4), 2, (3, 5), 0, 1, True),
    PoolCase("stride_huge", (2, 4, 5, 3), 3, 10**12),
    PoolCase("dilated", (2, 8, 9, 5), (3, 2), 1, "valid", (2, 3)),
    PoolCase("dilated_strided", (2, 9, 10, 5), 3, 2, 1, 2),
    PoolCase("dilated_strided_coprime", (2, 14, 13, 5), (4, 3), (2, 3), 1, (3, 2)),
    PoolCase("dilated_strided_ceil", (2, 9, 10, 5), 3, 2, 1, 2, True),
    PoolCase("dilated_same", (2, 6, 5, 5), (3, 2), 2, "same", 2),
    PoolCase("dilated_side_by_side", (2, 4, 14, 18), (2, 3), None, "valid", (1, 2)),
    PoolCase("dilation_huge_same", (2, 4, 5, 3), 3, 1, "same", 10**9),
    PoolCase("ceil", (2, 6, 8, 4), 3, 2, "valid", 1, True),
    PoolCase("ceil_exact", (2, 7, 9, 4), 3, 2, "valid", 1, True),
    PoolCase("ceil_padded", (2, 6, 7, 4), 3, 2, 1, 1, True),
    PoolCase("ceil_last_window_dropped", (2, 5, 4, 4), 2, 3, 1, 1, True),
    PoolCase("ceil_window_beyond_image", (2, 2, 3, 4), (3, 4), 2, "valid", 1, True),
    PoolCase("padded_asymmetric", (2, 5, 6, 4), 3, 2, ((2, 0), (1, 2))),
    PoolCase("padded_asymmetric_ceil", (2, 5, 6, 4), 3, 2, ((2, 0), (1, 2)), 1, True),
    PoolCase("padding_beyond_window", (2, 3, 2, 4), 2, 1, ((3, 2), (4, 3))),
    PoolCase("padding_beyond_window_strided", (2, 3, 2, 4), 2, 3, 4, 1, True),
    PoolCase("row_window", (2, 3, 9, 4), (1, 4), (1, 2)),
    PoolCase("row_window_same", (2, 3, 9, 4), (1, 4), (1, 2), "same"),
    PoolCase("column_window_same", (2, 9, 3, 4), (4, 1), (2, 1), "same"),
    PoolCase("wide_row", (1, 3, 401, 3), 3, 2, "same"),
    PoolCase("window_of_256", (1, 17, 18, 3), 16, 1),
    PoolCase("window_of_272", (1, 18, 17, 3), (17, 16), 1),
    PoolCase("window_by_rows", (2, 6, 5, 256), (5, 4), 1, 1),
    PoolCase("window_by_rows_dilated", (2, 9, 6, 320), (4, 2), 2, "valid", 2),
    PoolCase("window_by_rows_tail", (2, 5, 4, 260), (5, 4)),
    PoolCase("channel_blocks", (1, 33, 32, 70), 32, 1),
    *(PoolCase(f"channels_{c}", (2, 5, 6, c), 2, 2) for c in (1, 3, 8, 15, 17, 31, 33, 64, 65)),
    *(PoolCase(f"channels_{c}_overlapping", (2, 5, 6, c), 3, 2, 1) for c in (1, 3, 15, 17, 33, 65)),
)

DENSE_CASES = (
    DenseCase("unit", (4, 7), 5),
    DenseCase("one", (1, 1), 1),
    DenseCase("vector", (9,), 4),
    DenseCase("more_axes", (2, 3, 4, 9), 6),
    DenseCase("empty_batch", (0, 5), 3),
    DenseCase("one_row_many_channels", (1, 600), 10),
    DenseCase("many_channels", (3, 1300), 33),
    DenseCase("many_units", (3, 20), 600),
    DenseCase("many_rows", (601, 10), 9),
    DenseCase("all_blocks", (530, 66), 130),
    *(DenseCase(f"channels_{c}_to_{k}", (13, c), k) for c, k in CHANNEL_TAILS),
)

NORM_CASES = (
    NormCase("unit", (4, 5, 6, 7)),
    NormCase("rows", (8, 3)),
    NormCase("one_row", (1, 6)),
    NormCase("one_pixel", (1, 1, 1, 4)),
    NormCase("one_channel", (3, 5, 4, 1)),
    NormCase("vector", (5,)),
    NormCase("empty_batch", (0, 3, 3, 5)),
    NormCase("no_scale", (4, 3, 3, 6), scaled=False),
    NormCase("no_shift", (4, 3, 3, 6), shifted=False),
    NormCase("plain", (4, 3, 3, 6), scaled=False, shifted=False),
    NormCase("far_from_zero", (4, 5, 5, 6), centre=1000.0),
    NormCase("no_epsilon", (4, 5, 5, 6), epsilon=0.0),
    NormCase("many_rows", (2, 30, 41, 5)),
    NormCase("many_channels", (5, 3, 2, 300)),
    NormCase("long_rows", (3, 9, 11, 77)),  # of several strips and a tail, in several blocks
    NormCase("many_long_rows", (2, 9, 8, 130), centre=100.0),
    *(NormCase(f"channels_{c}", (3, 4, 3, c)) for c in (2, 8, 15, 16, 17, 31, 33, 65)),
)

RELU_SHAPES: tuple[Shape, ...] = ((), (1,), (0, 3), (7,), (16,), (33,), (2, 3, 4, 5), (3, 150, 151))
