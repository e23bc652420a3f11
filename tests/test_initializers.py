"""Initial distributions and how they are named."""

from __future__ import annotations

import numpy as np
import pytest

from konv import initializers
from konv.initializers import GlorotUniform, Zeros


@pytest.mark.parametrize(
    ("shape", "fans"), [((3, 3, 4, 8), 36 + 72), ((300, 100), 400), ((50,), 100), ((), 2), ((5, 1, 2), 15)]
)
def test_glorot_uniform_limits(shape, fans):
    limit = np.sqrt(6 / fans)
    weights = GlorotUniform(seed=2)(shape)
    assert weights.shape == shape
    assert weights.dtype == np.float32
    assert np.abs(weights).max() <= limit
    if weights.size >= 288:
        assert np.abs(weights).max() > 0.97 * limit
        assert abs(weights.mean()) < 5 * limit / np.sqrt(3 * weights.size)


def test_seeds():
    assert np.array_equal(GlorotUniform(seed=1)((9,)), GlorotUniform(seed=1)((9,), key=5))
    assert np.array_equal(GlorotUniform()((9,), key=5), GlorotUniform()((9,), key=5))
    assert not np.array_equal(GlorotUniform()((9,)), GlorotUniform()((9,)))


def test_zeros():
    assert Zeros()((2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("name", ["glorot_uniform", "GlorotUniform", "GLOROT_UNIFORM"])
def test_names(name):
    assert isinstance(initializers.get(name), GlorotUniform)


def test_config():
    twin = initializers.get({"class_name": "GlorotUniform", "config": GlorotUniform(7).get_config()})
    assert twin.get_config() == {"seed": 7}


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda: initializers.get("he"),
            'must be one of "glorot_uniform", "zeros", received \'he\'',
        ),
        (TypeError, lambda: initializers.get(3), "must be a str or an instance of Initializer, received 3"),
        (ValueError, lambda: initializers.get({}), 'must have "class_name" and "config"'),
        (TypeError, lambda: GlorotUniform(1.5), "GlorotUniform: seed must be an int, received 1.5"),
        (ValueError, lambda: GlorotUniform(-1), "seed must be an int of at least 0"),
        (TypeError, lambda: Zeros()(3), "Zeros: shape must be a tuple of ints or None, received 3"),
        (ValueError, lambda: Zeros()((None,)), "every size of shape must be known"),
        (ValueError, lambda: Zeros()((0,)), r"shape \(each size\) must be an int of at least 1, received 0"),
        (MemoryError, lambda: Zeros()((2**50,)), "^Zeros: the result must fit into the available memory"),
        (MemoryError, lambda: GlorotUniform()((2**50, 4)), "^GlorotUniform: the result must fit into"),
        (NotImplementedError, lambda: initializers.Initializer()((1,)), "__call__ is not defined"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
