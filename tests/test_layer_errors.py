"""Errors of layers name the layer."""

from __future__ import annotations

import numpy as np
import pytest

from konv.activations import linear
from konv.layers import (
    AveragePooling2D,
    Context,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
    ReLU,
    Softmax,
)
from konv.layers.affine import Affine
from konv.layers.convolution import Convolution

NAMED = {"name": "mine"}
CONV = r"^layer 'mine' \(Conv2D\): "


class Endless(Layer):
    def forward(self, inputs, context):
        raise MemoryError("too much")


class Twice(Layer):
    def build(self, input_shape):
        self.add_weight("w", (1,))
        self.add_weight("w", (1,))


class BuiltAtTheSecondTry(Dense):
    """Fails at first, `before` or after the layer that it derives from is built."""

    def __init__(self, before, **options):
        super().__init__(2, **options)
        self.own_weight = self.add_weight("own", (1,))
        self.before = before
        self.tries = 0

    def build(self, input_shape):
        self.tries += 1
        self.add_weight("scale", (1,))
        if self.before and self.tries == 1:
            raise OSError("a second try, please")
        super().build(input_shape)
        if self.tries == 1:
            raise OSError("a second try, please")


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            TypeError,
            lambda: Conv2D(3.0, 3, **NAMED),
            CONV + r"filters must be an int, received 3.0 \(float\)",
        ),
        (
            ValueError,
            lambda: Conv2D(0, 3, **NAMED),
            CONV + "filters must be an int of at least 1, received 0",
        ),
        (ValueError, lambda: Conv2D(10**30, 3, **NAMED), CONV + "filters must fit in 64 bits"),
        (ValueError, lambda: Conv2D(3, -1, **NAMED), CONV + "kernel_size must be an int of at least 1"),
        (ValueError, lambda: Conv2D(3, (3, 3, 3), **NAMED), CONV + "kernel_size must be an int or a pair"),
        (TypeError, lambda: Conv2D(3, 3, strides=None, **NAMED), CONV + "strides must be an int or a pair"),
        (
            ValueError,
            lambda: Conv2D(3, 3, strides=(1, 0), **NAMED),
            CONV + "strides must be an int of at least 1",
        ),
        (ValueError, lambda: Conv2D(3, 3, padding="full", **NAMED), CONV + 'padding must be "valid", "same"'),
        (
            ValueError,
            lambda: Conv2D(3, 3, padding=-1, **NAMED),
            CONV + "padding must be an int of at least 0",
        ),
        (ValueError, lambda: Conv2D(3, 3, dilation_rate=0, **NAMED), CONV + "dilation_rate must be"),
        (
            ValueError,
            lambda: Conv2D(3, 3, groups=2, **NAMED),
            CONV + "groups must divide filters, received groups=2",
        ),
        (
            ValueError,
            lambda: Conv2D(3, 3, activation="tanhh", **NAMED),
            CONV + "activation must be None or one of",
        ),
        (TypeError, lambda: Conv2D(3, 3, activation=3, **NAMED), CONV + "activation must be None, a str"),
        (TypeError, lambda: Conv2D(3, 3, use_bias="no", **NAMED), CONV + "use_bias must be True or False"),
        (
            ValueError,
            lambda: Conv2D(3, 3, kernel_initializer="he", **NAMED),
            CONV + 'kernel_initializer must be one of "constant", "glorot_normal"',
        ),
        (
            ValueError,
            lambda: Conv2D(3, 3, data_format="channels_first", **NAMED),
            CONV + "data_format must be None",
        ),
        (TypeError, lambda: Conv2D(3, 3, trainable=1, **NAMED), CONV + "trainable must be True or False"),
        (
            ValueError,
            lambda: Conv2D(3, 3, dtype="float16", **NAMED),
            CONV + 'dtype must be "float32" or "float64"',
        ),
        *(
            (
                TypeError,
                lambda dtype=dtype: Conv2D(3, 3, dtype=dtype, **NAMED),
                CONV + 'dtype must be "float32" or "float64"',
            )
            for dtype in (None, (None, None), np.float32(0.5), np.zeros(2), ["float32"])
        ),
        *(
            (
                ValueError,
                lambda dtype=dtype: Conv2D(3, 3, dtype=dtype, **NAMED),
                CONV + 'dtype must be "float32" or "float64"',
            )
            for dtype in (float, "f4", ">f4", np.dtype(">f4"), np.int8)
        ),
        (
            TypeError,
            lambda: Conv2D(3, 3, data_format=np.array(["channels_last"] * 2), **NAMED),
            CONV + "data_format must be a str, received <array of shape",
        ),
        (
            TypeError,
            lambda: Conv2D(np.timedelta64(3), 3, **NAMED),
            CONV + "filters must be an int, received .*timedelta64",
        ),
        (
            TypeError,
            lambda: ReLU(threshold=np.timedelta64(1), **NAMED),
            "threshold must be a number, received .*timedelta64",
        ),
        (TypeError, lambda: Dense.from_config(None), "^Dense: config must be a dict, received None"),
        (
            ValueError,
            lambda: Conv2D(3, 3, **NAMED).build((None, None, 8, 8, 1)),
            CONV
            + r"inputs must be images of .* \(None, None, 8, 8, 1\); Input's shape is without the batch axis",
        ),
        (
            ValueError,
            lambda: Conv2D(3, 3, **NAMED)(np.ones((2, 8, 8))),
            CONV + r"inputs must be images of .* \(None, 8, 8\); x\[..., None\] adds an axis of channels",
        ),
        (
            TypeError,
            lambda: Conv2D(3, 3, input_shape=3, **NAMED),
            CONV + "input_shape must be a tuple of ints or None",
        ),
        (
            ValueError,
            lambda: Conv2D(3, 3, input_shape=(8, 0, 1), **NAMED),
            CONV + r"input_shape \(each size\) must be",
        ),
        (TypeError, lambda: Dense(3, name=7), "^Dense: name must be a str, received 7"),
        (
            ValueError,
            lambda: Dense(3, name="a/b"),
            "^Dense: name must be a str that is not empty, printable and without '/'",
        ),
        (
            ValueError,
            lambda: Dense(3, name="a\nb"),
            "^Dense: name must be a str that is not empty, printable",
        ),
        (
            ValueError,
            lambda: Dense(3, name="\ud800"),
            "^Dense: name must be a str that is not empty, printable",
        ),
        (TypeError, lambda: Dense("3", **NAMED), r"^layer 'mine' \(Dense\): units must be an int"),
        (ValueError, lambda: MaxPooling2D(0, **NAMED), r"^layer 'mine' \(MaxPooling2D\): pool_size must be"),
        (ValueError, lambda: AveragePooling2D(2, 0, **NAMED), r"\(AveragePooling2D\): strides must be"),
        (ValueError, lambda: Flatten("channels_first", **NAMED), r"\(Flatten\): data_format must be None"),
        (TypeError, lambda: Softmax(axis=1.0, **NAMED), r"\(Softmax\): axis must be an int"),
        (
            ValueError,
            lambda: Softmax(2, **NAMED).build((None, 3)),
            r"\(Softmax\): axis must be one of the axes",
        ),
        (
            ValueError,
            lambda: Softmax(0, **NAMED).build((None, 3)),
            r"\(Softmax\): axis must be one of the axes",
        ),
        (
            ValueError,
            lambda: ReLU(max_value=-1, **NAMED),
            r"\(ReLU\): max_value must be finite and at least 0",
        ),
        (ValueError, lambda: ReLU(negative_slope=np.nan, **NAMED), r"\(ReLU\): negative_slope must be"),
        (TypeError, lambda: ReLU(threshold="0", **NAMED), r"\(ReLU\): threshold must be a number"),
        (TypeError, lambda: Input(8), "^Input: shape must be a tuple of ints or None, received 8"),
        (
            ValueError,
            lambda: Input((8, -1)),
            r"^Input: shape \(each size\) must be an int of at least 1",
        ),
        (ValueError, lambda: Input((8,), dtype="int8"), "^Input: dtype must be"),
        (
            ValueError,
            lambda: Conv2D(3, 3, **NAMED).build((None, 8, 8)),
            CONV + r"inputs must be images of shape \(N",
        ),
        (
            ValueError,
            lambda: Conv2D(3, 3, **NAMED).build((None, 8, 8, None)),
            CONV + "the number of input channels must be known",
        ),
        (ValueError, lambda: Conv2D(3, 3, **NAMED).build((None, 2, 8, 1)), CONV + "(?!layer)"),
        (TypeError, lambda: Conv2D(3, 3, **NAMED).build(3), CONV + "input_shape must be a tuple"),
        (
            ValueError,
            lambda: Conv2D(4, 3, groups=2, **NAMED).build((None, 8, 8, 3)),
            CONV + "groups must divide the input channels, received 2 groups, 3 channels",
        ),
        (
            ValueError,
            lambda: Dense(3, **NAMED).build((None, None)),
            r"\(Dense\): inputs must have a batch axis",
        ),
        (
            ValueError,
            lambda: Dense(3, **NAMED).count_params(),
            r"\(Dense\): count_params needs a built layer",
        ),
        (TypeError, lambda: Dense(3, **NAMED)([[1.0]]), r"\(Dense\): inputs must be an array"),
        (
            TypeError,
            lambda: Dense(3, **NAMED)(np.array([["a"]])),
            r"\(Dense\): inputs must hold real numbers, received dtype <U1",
        ),
        (ValueError, lambda: Dense(3, **NAMED)(np.array(1.0)), r"\(Dense\): inputs must have a batch axis"),
        (
            TypeError,
            lambda: Dense(3, **NAMED).build([(None, 3), (None, 4)]),
            r"\(Dense\): input_shape",
        ),
        (TypeError, lambda: Dense(3, **NAMED)([np.ones((1, 1))]), r"\(Dense\): inputs must be an array"),
        (
            TypeError,
            lambda: Flatten(foo=1),
            "^Flatten: arguments must be data_format, name, trainable, dtype, input_shape, received foo$",
        ),
        (
            TypeError,
            lambda: Dense(3, activaton="relu", foo=1),
            "^Dense: arguments must be units, activation, use_bias, .*, name, trainable, dtype, input_shape, "
            r"received activaton, foo; did you mean activation\?$",
        ),
        (TypeError, lambda: Dense(3, **NAMED)(np.ones((1, 1)), training=1), "training must be True or False"),
        (TypeError, lambda: Dense(3, **NAMED).set_weights(3), r"\(Dense\): weights must be a list of arrays"),
        (
            ValueError,
            lambda: Dense(3, **NAMED).set_weights([1]),
            r"0 arrays \(it is not built yet\), received 1",
        ),
        (MemoryError, lambda: Endless(**NAMED)(np.ones((1, 1))), r"^layer 'mine' \(Endless\): too much$"),
        (
            MemoryError,
            lambda: Dense(2**40, **NAMED)(np.ones((1, 8))),
            r"^layer 'mine' \(Dense\): weight 'bias' must fit into the available memory, received shape "
            r"\(1099511627776,\), 4398046511104 bytes$",
        ),
        (
            MemoryError,
            lambda: Dense(2**62, **NAMED)(np.ones((1, 8))),
            r"^layer 'mine' \(Dense\): weight '(kernel|bias)'",
        ),
        (
            ValueError,
            lambda: Twice(**NAMED).build((None,)),
            r"^layer 'mine' \(Twice\): there must be one weight",
        ),
        (NotImplementedError, lambda: Layer(**NAMED)(np.ones(1)), r"^layer 'mine' \(Layer\): forward is not"),
        (
            NotImplementedError,
            lambda: Layer(**NAMED).backward(None, None, needs_input=True),
            r"^layer 'mine' \(Layer\): backward is not",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("before", [True, False])
def test_a_build_that_failed_is_undone(before):
    layer = BuiltAtTheSecondTry(before, name="mine")
    with pytest.raises(OSError, match="second try"):
        layer.build((None, 3))
    assert not layer.built
    assert [variable.name for variable in layer.variables] == ["own"]
    layer.build((None, 3))
    assert layer.built
    assert [variable.name for variable in layer.variables] == ["own", "scale", "kernel", "bias"]


def test_errors_of_ops_name_the_layer():
    layer = Conv2D(16, 3, name="mine")
    layer.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=CONV + "kernel has 3 input channels but x has 4"):
        layer.forward(np.ones((1, 8, 8, 4), np.float32), Context())
    with pytest.raises(TypeError, match=CONV + "all arrays must have one dtype"):
        layer.forward(np.ones((1, 8, 8, 3)), Context())
    with pytest.raises(TypeError, match=CONV + "weight 'kernel' must be a NumPy array of real numbers"):
        layer.set_weights([None, None])
    with pytest.raises(ValueError, match=r"weights must be 2 arrays, received 1$"):
        layer.set_weights([np.ones(1)])


@pytest.mark.parametrize("value", [1e300, -1e39])
def test_weights_out_of_range_are_refused(value):
    layer = Dense(1, name="mine")
    layer.build((None, 2))
    kernel, bias = layer.get_weights()
    message = (
        r"^layer 'mine' \(Dense\): weight 'bias' must be in the range of float32, up to 3.4e\+38, received"
    )
    with pytest.raises(ValueError, match=message):
        layer.set_weights([np.ones((2, 1)), np.array([value])])
    assert np.array_equal(layer.get_weights()[0], kernel)
    layer.set_weights([np.array([[np.inf], [np.nan]]), bias.astype(float)])
    assert np.isinf(layer.get_weights()[0][0, 0])


def test_a_built_layer_checks_the_channels_of_another_place():
    layer = Dense(3, name="mine")
    layer.build((None, 4))
    layer.build((None, 7, 4))
    message = r"^layer 'mine' \(Dense\): inputs must have 4 channels, as those it was built for, .* 5\)$"
    for again in (layer.build, layer.compute_output_shape):
        with pytest.raises(ValueError, match=message):
            again((None, 5))
    conv = Conv2D(3, 3, name="mine")
    conv.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=CONV + "inputs must have 3 channels"):
        conv.build((None, 8, 8, 1))


def test_what_a_layer_with_a_kernel_must_define():
    weights = {
        "kernel_initializer": "zeros",
        "bias_initializer": "zeros",
        "kernel_regularizer": None,
        "bias_regularizer": None,
    }
    options = {"activation": None, "use_bias": True, "weights": weights, **NAMED}
    affine, convolution = Affine(**options), Convolution(1, 1, "valid", None, 1, **options)
    x = np.ones((2, 3), np.float32)
    for call, missing in [
        (lambda: affine.build((None, 3)), "_kernel_shapes"),
        (lambda: affine.forward(x, Context()), "_apply"),
        (lambda: affine.backward(x, (x, linear, None), needs_input=True), "_gradients"),
        (lambda: convolution.compute_output_shape((None, 4, 4, 1)), "_window_shape"),
    ]:
        with pytest.raises(NotImplementedError, match=rf"^layer 'mine' \(\w+\): {missing} is not defined$"):
            call()
