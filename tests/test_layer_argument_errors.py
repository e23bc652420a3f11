"""Bad arguments and shapes of layers without much else to go wrong: tables of what each must say."""

from __future__ import annotations

import numpy as np
import pytest

from konv.initializers import Initializer
from konv.layers import (
    Add,
    Concatenate,
    Context,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    ReLU,
    Rescaling,
    Reshape,
    SeparableConv2D,
    Softmax,
    SumPooling2D,
    ZeroPadding2D,
)

NAMED = {"name": "mine"}

# error, layer, message, positional and keyword arguments
ARGUMENTS = [
    (TypeError, DepthwiseConv2D, "kernel_size must be an int or a pair", (None,), {}),
    (
        ValueError,
        DepthwiseConv2D,
        "depth_multiplier must be an int of at least 1",
        (3,),
        {"depth_multiplier": 0},
    ),
    (TypeError, DepthwiseConv2D, "depth_multiplier must be an int, received True", (3, 1, "same", True), {}),
    (ValueError, DepthwiseConv2D, "depthwise_initializer must be", (3,), {"depthwise_initializer": "he"}),
    (ValueError, DepthwiseConv2D, 'padding must be "valid"', (3, 1, "full"), {}),
    (TypeError, SeparableConv2D, "filters must be an int, received 'a'", ("a", 3), {}),
    (ValueError, SeparableConv2D, "filters must fit in 64 bits", (10**20, 3), {}),
    (ValueError, SeparableConv2D, "depth_multiplier must be", (3, 3), {"depth_multiplier": -1}),
    (ValueError, SeparableConv2D, "pointwise_initializer must be", (3, 3), {"pointwise_initializer": ""}),
    (ValueError, Conv2DTranspose, "filters must be an int of at least 1", (0, 3), {}),
    (
        ValueError,
        Conv2DTranspose,
        r"output_padding must be at least 0 and below strides, received output_padding=2 and strides=\(2,",
        (3, 3, 2, "valid", 2),
        {},
    ),
    (ValueError, Conv2DTranspose, "output_padding must be at least 0", (3, 3, 2, "valid", (0, -1)), {}),
    (TypeError, Conv2DTranspose, "output_padding must be an int or a pair", (3, 3, 2, "valid", 1.0), {}),
    (TypeError, SumPooling2D, "pool_size must be an int or a pair", (2.0,), {}),
    (TypeError, GlobalMaxPooling2D, "keepdims must be True or False", (None, 1), {}),
    (ValueError, GlobalAveragePooling2D, "data_format must be None", ("channels_first",), {}),
    (ValueError, ZeroPadding2D, "data_format must be None", (1, "channels_first"), {}),
    *(
        (ValueError, ZeroPadding2D, r"padding must be an int, \(height, width\) or", (padding,), {})
        for padding in (-1, (1,), (1, 2, 3), ((1, 2, 3), 1), ((1, 2), (0, -1)))
    ),
    *(
        (TypeError, ZeroPadding2D, r"padding must be an int, \(height, width\) or", (padding,), {})
        for padding in ("same", None, 1.0, True, (1, "a"), ((1, 2), (0, True)))
    ),
    (ValueError, ZeroPadding2D, "padding must fit in 64 bits", (2**70,), {}),
    (
        TypeError,
        Dense,
        "kernel_regularizer: L2: l2 must be a number, received 'x'",
        (3,),
        {"kernel_regularizer": {"class_name": "L2", "config": {"l2": "x"}}},
    ),
    (TypeError, Reshape, "target_shape must be a tuple of ints, received 3", (3,), {}),
    (TypeError, Reshape, r"target_shape \(each size\) must be an int, received None", ((None, 2),), {}),
    (
        ValueError,
        Reshape,
        r"target_shape \(each size that isn't -1\) must be an int of at least 1",
        ((0,),),
        {},
    ),
    (ValueError, Reshape, "target_shape must have -1 at most once", ((-1, 2, -1),), {}),
    (TypeError, Rescaling, "scale must be a number, received 'a'", ("a",), {}),
    (ValueError, Rescaling, "scale must be in .*, received inf", (np.inf,), {}),
    (ValueError, Rescaling, "offset must be in .*, received 1e.300", (1, 1e300), {}),
    (ValueError, Rescaling, "scale must be one number or one for each channel, received ", ([],), {}),
    (ValueError, Rescaling, "scale must be one number or one for each", (np.ones((2, 2)),), {}),
    (TypeError, Rescaling, r"offset \(each number\) must be a number, received None", (1, [None]), {}),
]

IMAGES = "inputs must be images of shape"

SHAPES = [
    (DepthwiseConv2D(3, **NAMED), (None, 8, 8), IMAGES),
    (SeparableConv2D(3, 3, **NAMED), (None, 8, 8, None), "the number of input channels must be known"),
    (Conv2DTranspose(3, 3, **NAMED), (None, 8), IMAGES),
    (Conv2DTranspose(3, 1, padding=4, **NAMED), (None, 8, 8, 1), "(?!conv2d)"),
    (GlobalMaxPooling2D(**NAMED), (None, 8), IMAGES),
    (ZeroPadding2D(**NAMED), (None, 8, 8), IMAGES),
    (
        Reshape((3, 3), **NAMED),
        (None, 8),
        r"target_shape must take all 8 elements of an input, received \(3, 3\)",
    ),
    (Reshape((3, -1), **NAMED), (None, 8), "target_shape must take all 8 elements"),
    (Reshape((16, -1), **NAMED), (None, 8), "target_shape must take all 8 elements"),
    (Reshape((4,), **NAMED), (None, 8), "target_shape must take all 8 elements"),
    (
        Rescaling([1, 2], **NAMED),
        (None, 3),
        "scale must be one number or one for each channel, received 2 for",
    ),
    (Rescaling(1, [1, 2], **NAMED), (None, 3), "offset must be one number or one for each channel"),
]


@pytest.mark.parametrize(("error", "layer", "message", "arguments", "named"), ARGUMENTS)
def test_arguments(error, layer, message, arguments, named):
    with pytest.raises(error, match=rf"^layer 'mine' \({layer.__name__}\): {message}"):
        layer(*arguments, **named, **NAMED)


@pytest.mark.parametrize(("layer", "shape", "message"), SHAPES)
def test_shapes(layer, shape, message):
    with pytest.raises(ValueError, match=rf"^layer 'mine' \({type(layer).__name__}\): {message}"):
        layer.build(shape)


def test_results_that_cannot_be_held():
    message = (
        r"^layer 'mine' \(ZeroPadding2D\): the result must fit into the available memory, received shape"
    )
    with pytest.raises(MemoryError, match=message):
        ZeroPadding2D(10**12, **NAMED)(np.ones((1, 2, 2, 1), np.float32))


def test_arrays_that_numpy_cannot_hold():
    x = np.broadcast_to(np.float32(1), (2**40, 4, 4, 1))
    for layer in (Add(**NAMED), Concatenate(**NAMED), ReLU(threshold=1, **NAMED), Rescaling(2, **NAMED)):
        message = r"^layer 'mine' \(\w+\): (Unable to allocate|result and scratch need)"
        with pytest.raises(MemoryError, match=message) as caught:
            layer([x, x] if layer.several_inputs else x)
        assert caught.type is MemoryError


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (DepthwiseConv2D(2, **NAMED), (1, 4, 4, 2), "inputs must have 3 channels, as those it was built for"),
        (SeparableConv2D(2, 2, **NAMED), (1, 4, 4, 2), "inputs must have 3 channels"),
        (ZeroPadding2D(**NAMED), (1, 4, 4), IMAGES),
        (Softmax(1, **NAMED), (4,), "axis must be one of the axes after the batch's, received 1"),
        (Softmax(**NAMED), (4,), "axis must be one of the axes after the batch's, received -1"),
        (Softmax(**NAMED), (1, 0), r"input_shape \(each size\) must be an int of at least 1, received 0"),
    ],
)
def test_built_layers_check_arrays(layer, shape, message):
    layer(np.ones((1, 4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=rf"^layer 'mine' \({type(layer).__name__}\): {message}"):
        layer(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    "layer",
    [
        Conv2DTranspose(3, 3, **NAMED),
        GlobalMaxPooling2D(**NAMED),
        Reshape((3,), **NAMED),
        Rescaling([1, 2], **NAMED),
        Softmax(**NAMED),
        ZeroPadding2D(**NAMED),
        Layer(**NAMED),
    ],
)
def test_output_shapes_are_of_input_shapes(layer):
    start = rf"^layer 'mine' \({type(layer).__name__}\): input_shape "
    for error, shape, message in (
        (TypeError, None, "must be a tuple of ints or None, received None"),
        (TypeError, "abcd", "must be a tuple of ints or None, received 'abcd'"),
        (TypeError, (None, 2.5), r"\(each size\) must be an int, received 2.5"),
        (ValueError, (None, -1), r"\(each size\) must be an int of at least 0, received -1"),
        (ValueError, (), r"must have a batch axis, received \(\)"),
    ):
        with pytest.raises(error, match=start + message):
            layer.compute_output_shape(shape)


def test_output_shapes_of_several_inputs():
    for layer in (Add(**NAMED), Concatenate(**NAMED)):
        with pytest.raises(TypeError, match=r"input_shape must be a list of shapes, received \[\]"):
            layer.compute_output_shape([])
        with pytest.raises(ValueError, match=r"input_shape \(each of the list\) must have a batch axis"):
            layer.compute_output_shape([(None, 2), ()])


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (TypeError, {"name": 3}, "name must be a str, received 3"),
        (ValueError, {"name": "a/b"}, "name must be a str that is not empty, printable and without '/'"),
        (TypeError, {"shape": 3}, "shape of 'w' must be a tuple of ints or None, received 3"),
        (ValueError, {"shape": (0,)}, r"shape of 'w' \(each size\) must be an int of at least 1, received 0"),
        (ValueError, {"shape": (None,)}, r"every size of the shape of 'w' must be known, received \(None,\)"),
        (TypeError, {"trainable": 1}, "trainable must be True or False, received 1"),
    ],
)
def test_weights_to_add(error, arguments, message):
    with pytest.raises(error, match=rf"^layer 'mine' \(Layer\): {message}"):
        Layer(**NAMED).add_weight(**{"name": "w", "shape": (2,), **arguments})


@pytest.mark.parametrize(
    ("error", "made", "message"),
    [
        (TypeError, [[1.0]], "must be a NumPy array of real numbers, received .* \\(list\\)"),
        (TypeError, np.ones((2, 1), complex), "must be a NumPy array of real numbers, .* complex128"),
        (ValueError, np.ones((1, 2)), r"must have shape \(2, 1\), received \(1, 2\)"),
        (ValueError, np.full((2, 1), 1e300), "must be in the range of float32"),
        (TypeError, np.ma.ones((2, 1)), "must not be masked"),
    ],
)
def test_what_initializers_make(error, made, message):
    class Own(Initializer):
        def __call__(self, shape, key=None):
            return made

    with pytest.raises(error, match=rf"^layer 'mine' \(Dense\): weight 'kernel' {message}"):
        Dense(1, kernel_initializer=Own(), **NAMED)(np.ones((1, 2)))


def test_softmax_checks_what_it_is_given():
    message = (
        r"^layer 'mine' \(Softmax\): axis must be one of the axes after the batch's, received 2 for \(4, 3\)"
    )
    with pytest.raises(ValueError, match=message):
        Softmax(2, **NAMED).forward(np.ones((4, 3), np.float32), Context())


def test_built_layers_check_again():
    message = r"^layer 'mine' \(\w+\): inputs must have 3 channels, as those it was built for"
    for layer in (
        DepthwiseConv2D(2, **NAMED),
        SeparableConv2D(2, 2, **NAMED),
        Conv2DTranspose(2, 2, **NAMED),
    ):
        layer.build((None, 4, 4, 3))
        with pytest.raises(ValueError, match=message):
            layer.build((None, 4, 4, 2))
    with pytest.raises(ValueError, match=r"\(Rescaling\): scale must be one number or one for each channel"):
        Rescaling([1, 2], **NAMED).forward(np.ones((1, 3), np.float32), None)
    with pytest.raises(ValueError, match=r"\(Reshape\): target_shape must take all 3 elements"):
        Reshape((2,), **NAMED).forward(np.ones((1, 3), np.float32), None)
