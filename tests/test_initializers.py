"""Initial distributions and how they are named."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from konv import initializers
from konv.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from konv.initializers.random import RandomInitializer
from konv.layers import Dense

KERNEL = (3, 3, 40, 80)  # fans 360 and 720, 28,800 weights
TRUNCATED_STDDEV = 0.87962566

UNIFORM = {  # initializer: its limit
    RandomUniform(-0.2, 0.2, seed=1): 0.2,
    GlorotUniform(seed=1): math.sqrt(6 / 1080),
    HeUniform(seed=1): math.sqrt(6 / 360),
    LecunUniform(seed=1): math.sqrt(3 / 360),
    VarianceScaling(0.5, "fan_out", "uniform", seed=1): math.sqrt(3 * 0.5 / 720),
}
TRUNCATED = {  # initializer: its standard deviation
    TruncatedNormal(stddev=0.2, seed=1): 0.2 * TRUNCATED_STDDEV,
    GlorotNormal(seed=1): math.sqrt(2 / 1080),
    HeNormal(seed=1): math.sqrt(2 / 360),
    LecunNormal(seed=1): math.sqrt(1 / 360),
    VarianceScaling(0.5, "fan_avg", seed=1): math.sqrt(0.5 / 540),
}
NORMAL = {
    RandomNormal(seed=1): 0.05,
    VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=1): math.sqrt(2 / 720),
}
CONSTANT = [Zeros(), Ones(), Constant(0.5)]
EACH = pytest.mark.parametrize("initializer", [*UNIFORM, *TRUNCATED, *NORMAL, *CONSTANT], ids=repr)

# Five standard errors of a mean and of a standard deviation over the kernel, in standard deviations.
MEAN_ERROR = 5 / math.sqrt(math.prod(KERNEL))
STDDEV_ERROR = 5 / math.sqrt(2 * math.prod(KERNEL))


@EACH
def test_shape_dtype_and_repeatability(initializer):
    weights = initializer(KERNEL)
    assert weights.shape == KERNEL
    assert weights.dtype == np.float32
    assert weights.flags.c_contiguous
    assert np.array_equal(initializer(KERNEL, key=5), weights)
    assert initializer(()).shape == ()
    assert initializer((7,)).shape == (7,)


@pytest.mark.parametrize(("initializer", "limit"), UNIFORM.items(), ids=repr)
def test_uniform_ones(initializer, limit):
    weights = initializer(KERNEL) / limit
    assert 0.999 < np.abs(weights).max() <= 1
    assert abs(weights.mean()) < MEAN_ERROR / math.sqrt(3)
    assert abs(weights.std() - math.sqrt(1 / 3)) < STDDEV_ERROR / math.sqrt(3)


@pytest.mark.parametrize(("initializer", "stddev"), TRUNCATED.items(), ids=repr)
def test_truncated_normal_ones(initializer, stddev):
    weights = initializer(KERNEL) / stddev
    assert 0.99 < np.abs(weights).max() * TRUNCATED_STDDEV / 2 <= 1 + 1e-6
    assert abs(weights.mean()) < MEAN_ERROR
    assert abs(weights.std() - 1) < STDDEV_ERROR
    # Of a truncated normal distribution 0.6827 / 0.9545 lies within one standard deviation of the whole one.
    assert abs((np.abs(weights) < 1 / TRUNCATED_STDDEV).mean() - 0.7153) < MEAN_ERROR


@pytest.mark.parametrize(("initializer", "stddev"), NORMAL.items(), ids=repr)
def test_normal_ones(initializer, stddev):
    weights = initializer(KERNEL) / stddev
    assert 3.5 < np.abs(weights).max() < 6
    assert abs(weights.mean()) < MEAN_ERROR
    assert abs(weights.std() - 1) < STDDEV_ERROR
    for distance, share in [(1, 0.6827), (2, 0.9545), (3, 0.9973)]:
        assert abs((np.abs(weights) < distance).mean() - share) < MEAN_ERROR * math.sqrt(share * (1 - share))


@pytest.mark.parametrize("initializer", [RandomNormal(seed=3), TruncatedNormal(seed=3)], ids=repr)
def test_normal_numbers_do_not_hang_together(initializer):
    weights = initializer((2, 20000)) / 0.05
    correlations = np.corrcoef([*weights, *np.roll(weights, 1, axis=1)])  # also halves: pairs of one radius
    assert np.abs(correlations - np.eye(4)).max() < 5 / math.sqrt(20000)


def test_mean_and_range():
    assert abs(RandomNormal(3.0, 0.1, seed=1)(KERNEL).mean() - 3) < 0.1 * MEAN_ERROR
    assert np.abs(TruncatedNormal(3.0, 0.1, seed=1)(KERNEL) - 3).max() <= 0.2 + 1e-6
    weights = RandomUniform(2.0, 6.0, seed=1)(KERNEL)
    assert 2 <= weights.min() < 2.001
    assert 5.999 < weights.max() <= 6


@pytest.mark.parametrize(
    ("shape", "fans"), [((3, 3, 4, 8), 36 + 72), ((300, 100), 400), ((50,), 100), ((), 2), ((5, 1, 2), 15)]
)
def test_fans(shape, fans):
    weights = GlorotUniform(seed=2)(shape)
    limit = np.sqrt(6 / fans)
    assert np.abs(weights).max() <= limit
    if weights.size >= 288:
        assert np.abs(weights).max() > 0.97 * limit


@pytest.mark.parametrize(
    "cls", [GlorotUniform, HeNormal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling]
)
def test_seeds(cls):
    assert np.array_equal(cls(seed=1)((9,)), cls(seed=1)((9,), key=5))
    assert np.array_equal(cls()((9,), key=5), cls()((9,), key=5))
    assert not np.array_equal(cls(seed=1)((9,)), cls(seed=2)((9,)))
    assert not np.array_equal(cls()((9,)), cls()((9,)))


def test_constant_ones():
    assert Zeros()((2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert Ones()((2,)).tolist() == [1, 1]
    assert Constant(-2)((2,)).tolist() == [-2, -2]
    assert Constant().get_config() == {"value": 0.0}


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("glorot_uniform", GlorotUniform),
        ("GlorotUniform", GlorotUniform),
        ("GLOROT_UNIFORM", GlorotUniform),
        ("he_normal", HeNormal),
        ("lecun_uniform", LecunUniform),
        ("truncated_normal", TruncatedNormal),
        ("normal", RandomNormal),
        ("uniform", RandomUniform),
        ("ones", Ones),
    ],
)
def test_names(name, cls):
    assert type(initializers.get(name)) is cls


def test_every_class_has_its_name():
    classes = [
        getattr(initializers, name) for name in initializers.__all__ if name not in ("Initializer", "get")
    ]
    assert all(type(initializers.get(cls.__name__)) is cls for cls in classes)


@EACH
def test_config_makes_a_twin(initializer):
    config = json.loads(json.dumps(initializer.get_config()))
    twin = initializers.get({"class_name": type(initializer).__name__, "config": config})
    assert twin.get_config() == initializer.get_config()
    assert repr(twin) == repr(initializer)
    assert np.array_equal(twin((4, 4)), initializer((4, 4)))


def test_a_description_may_have_what_else_keras_writes():
    described = {"class_name": "HeNormal", "config": {"seed": 3}}
    described |= {"module": "keras.initializers", "registered_name": None}
    assert initializers.get(described).get_config() == {"seed": 3}


def test_a_layer_takes_its_kernel_from_one():
    layer = Dense(80, kernel_initializer=HeNormal(seed=1), bias_initializer="ones")
    layer.build((None, 40))
    kernel, bias = layer.get_weights()
    assert np.array_equal(kernel, HeNormal(seed=1)((40, 80)))
    assert (bias == 1).all()


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: initializers.get("he"), "must be one of \"constant\", .*, received 'he'"),
        (TypeError, lambda: initializers.get(3), "must be a str or an instance of Initializer, received 3"),
        *(
            (ValueError, lambda given=given: initializers.get(given), 'must have "class_name" and "config"')
            for given in (
                {},
                {"class_name": "Zeros"},
                {"class_name": "Zeros", "config": None},
                {"class_name": 3, "config": {}},
            )
        ),
        (TypeError, lambda: GlorotUniform(1.5), "GlorotUniform: seed must be an int, received 1.5"),
        (ValueError, lambda: GlorotUniform(-1), "seed must be an int of at least 0"),
        (TypeError, lambda: HeNormal(True), "HeNormal: seed must be an int, received True"),
        (TypeError, lambda: Zeros()(3), "Zeros: shape must be a tuple of ints or None, received 3"),
        (ValueError, lambda: Zeros()((None,)), "every size of shape must be known"),
        (ValueError, lambda: Zeros()((0,)), r"shape \(each size\) must be an int of at least 1, received 0"),
        (MemoryError, lambda: Zeros()((2**50,)), "^Zeros: the result must fit into the available memory"),
        (MemoryError, lambda: GlorotUniform()((2**50, 4)), "^GlorotUniform: the result must fit into"),
        (TypeError, lambda: Constant("1"), "^Constant: value must be a number, received '1'"),
        (ValueError, lambda: Constant(1e39), "^Constant: value must be in .*, received 1e.39"),
        (ValueError, lambda: RandomNormal(stddev=-1.0), "^RandomNormal: stddev must be in .*, received -1.0"),
        (ValueError, lambda: TruncatedNormal(np.nan), "^TruncatedNormal: mean must be in .*, received nan"),
        (TypeError, lambda: RandomUniform(None), "^RandomUniform: minval must be a number, received None"),
        (ValueError, lambda: RandomUniform(1, 0), "^RandomUniform: minval must be at most maxval"),
        (
            ValueError,
            lambda: RandomUniform(-3e38, 3e38),
            "their difference in the range of float32, received",
        ),
        (
            ValueError,
            lambda: VarianceScaling(0.0),
            "^VarianceScaling: scale must be more than 0, received 0.0",
        ),
        (ValueError, lambda: VarianceScaling(-1), "^VarianceScaling: scale must be in"),
        (ValueError, lambda: VarianceScaling(1, "fan"), 'mode must be one of "fan_in", "fan_out", "fan_avg"'),
        (TypeError, lambda: VarianceScaling(1, None), "mode must be a str, received None"),
        (
            ValueError,
            lambda: VarianceScaling(1, "fan_in", "normal"),
            'distribution must be one of "truncated_no',
        ),
        (TypeError, lambda: HeNormal()((2,), "1"), "^HeNormal: key must be an int from 0 .*, received '1'"),
        (ValueError, lambda: HeNormal()((2,), 2**64), r"^HeNormal: key must be an int from 0 to 2\*\*64 - 1"),
        (ValueError, lambda: RandomUniform()((2,), -1), "^RandomUniform: key must be .*, received -1"),
        (NotImplementedError, lambda: Initializer()((1,)), "__call__ is not defined"),
        (NotImplementedError, lambda: RandomInitializer()((1,)), "^RandomInitializer: _draw is not defined$"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
