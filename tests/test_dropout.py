"""Dropout: a mask that is a function of key and position, and inverted scaling."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from konv import _core, _random
from konv.layers import Context, Dropout
from konv.utils import set_random_seed

TRAINING = Context(training=True, seed=3, step=5)


def forward(layer, x, context=TRAINING):
    return layer.forward(x, context)[0]


@pytest.mark.parametrize("rate", [0.2, 0.3, 0.5])
def test_part_that_is_dropped_and_scale_of_the_rest(rate, dtype):
    x = np.ones((200, 500), dtype)
    y = forward(Dropout(rate), x)
    assert y.dtype == dtype
    assert np.unique(y).tolist() == [0, dtype.type(1.0 / (1.0 - rate))]
    # Shares of independent draws, to five standard deviations: the mean's own is one of n draws, that of the
    # spread of 200 rows 1 / sqrt(400) of it. So neither rows nor columns are dropped together.
    deviation = math.sqrt(rate * (1.0 - rate))
    assert (y == 0).mean() == pytest.approx(rate, abs=5 * deviation / math.sqrt(x.size))
    assert (y == 0).mean(1).std() == pytest.approx(deviation / math.sqrt(500), rel=5 / math.sqrt(400))


def test_the_mask_is_that_of_the_key_and_position():
    x = np.ones((4, 3, 2), np.float32)
    expected = _random.uniform(TRAINING.key, x.shape) >= np.float32(0.5)
    assert np.array_equal(forward(Dropout(0.5), x) != 0, expected)
    assert np.array_equal(forward(Dropout(0.5), x[:2]) != 0, expected[:2])


@pytest.mark.parametrize(
    "other",
    [
        Context(training=True, seed=4, step=5),
        Context(training=True, seed=3, step=6),
        TRAINING.within(1),
    ],
    ids=["seed", "step", "place"],
)
@pytest.mark.parametrize("seed", [None, 11])
def test_other_keys_other_masks(seed, other):
    layer, x = Dropout(0.5, seed=seed), np.ones((10, 10), np.float32)
    by_model = other.seed == TRAINING.seed or seed is None
    assert np.array_equal(forward(layer, x), forward(layer, x, other)) == (not by_model)


def test_seeds_of_layers():
    x = np.ones((10, 10), np.float32)
    assert not np.array_equal(forward(Dropout(0.5, seed=1), x), forward(Dropout(0.5, seed=2), x))
    drawn = []
    for _ in range(2):
        set_random_seed(7)
        drawn.append(Dropout(0.5)(x, training=True))
    assert np.array_equal(*drawn)


@pytest.mark.parametrize("rate", [0.25, 1.0])
def test_the_gradient_goes_where_the_values_went(rate):
    x = np.random.default_rng(0).normal(size=(5, 7))
    grad = np.random.default_rng(1).normal(size=(5, 7))
    layer = Dropout(rate)
    y, saved = layer.forward(x, TRAINING)
    grad_x, grads = layer.backward(grad, saved, needs_input=True)
    scale = 1 / 0.75 if rate < 1 else 0
    np.testing.assert_allclose(grad_x, np.where(y == 0, 0, grad * scale), rtol=1e-15)
    assert grads == []
    assert layer.backward(grad, saved, needs_input=False) == (None, [])


def test_rate_1_gives_zeros():
    assert not forward(Dropout(1), np.array([[1.0, np.inf, np.nan]])).any()


def test_what_is_dropped_is_gone_even_if_infinite():
    y = forward(Dropout(0.5), np.full((10, 10), np.inf, np.float32))
    assert set(np.unique(y)) == {0, np.inf}


@pytest.mark.parametrize(
    ("layer", "context"), [(Dropout(0.5), Context(training=False)), (Dropout(0.0), TRAINING)]
)
def test_inputs_pass_where_nothing_is_dropped(layer, context):
    x = np.ones((2, 3))
    y, saved = layer.forward(x, context)
    assert y is x
    assert layer.backward(x, saved, needs_input=True)[0] is x


def test_the_inputs_do_not_change():
    x = np.ones((10, 10))
    forward(Dropout(0.5), x)
    assert (x == 1).all()


@pytest.mark.parametrize("noise_shape", [(None, 1, 1, None), (8, 1, 1, 3), [None, 1, 1, None]])
def test_noise_shape_drops_whole_channels(noise_shape):
    x = np.ones((8, 4, 5, 3))
    layer = Dropout(0.5, noise_shape)
    y, saved = layer.forward(x, TRAINING)
    assert np.array_equal(y, np.broadcast_to(y[:, :1, :1], x.shape))
    assert 0 < (y == 0).mean() < 1
    assert np.array_equal(layer.backward(x, saved, needs_input=True)[0], y)


def test_empty_batch():
    layer = Dropout(0.5)
    y, saved = layer.forward(np.ones((0, 3)), TRAINING)
    assert y.shape == layer.backward(y, saved, needs_input=True)[0].shape == (0, 3)


def test_config_makes_a_twin():
    layer = Dropout(0.5, (None, 1), seed=9)
    twin = Dropout.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()
    x = np.ones((20, 2))
    assert np.array_equal(forward(twin, x), forward(layer, x))


LABEL = r"^layer 'mine' \(Dropout\): "


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: Dropout("0.5", name="mine"), "rate must be a number, received '0.5'"),
        (TypeError, lambda: Dropout(True, name="mine"), "rate must be a number, received True"),
        (ValueError, lambda: Dropout(1.5, name="mine"), r"rate must be in \[0, 1\], received 1.5"),
        (ValueError, lambda: Dropout(-0.1, name="mine"), r"rate must be in \[0, 1\]"),
        (ValueError, lambda: Dropout(np.nan, name="mine"), r"rate must be in \[0, 1\]"),
        (TypeError, lambda: Dropout(0.5, 3, name="mine"), "noise_shape must be a tuple of ints or None"),
        (ValueError, lambda: Dropout(0.5, (0,), name="mine"), r"noise_shape \(each size\) must be an int of"),
        (TypeError, lambda: Dropout(0.5, seed=1.0, name="mine"), "seed must be an int, received 1.0"),
        (ValueError, lambda: Dropout(0.5, seed=-1, name="mine"), "seed must be an int of at least 0"),
        (
            ValueError,
            lambda: Dropout(0.5, (None, 2), name="mine").build((None, 3)),
            r"noise_shape must have, for each axis of the inputs, its size, 1 or None, received \(None, 2\)",
        ),
        (
            ValueError,
            lambda: Dropout(0.5, (None,), name="mine").build((None, 3)),
            "noise_shape must have, for each axis of the inputs",
        ),
        (
            ValueError,
            lambda: forward(Dropout(0.5, (4, 1), name="mine"), np.ones((5, 3))),
            r"noise_shape must have, .* received \(4, 1\) for inputs of shape \(5, 3\)",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=LABEL + message):
        call()


def test_a_number_that_equals_the_rate_is_kept():
    context = Context(training=True, seed=1)
    drawn = _random.uniform(context.key, (1, 8))
    dropped = Dropout(float(drawn[0, 3])).forward(np.ones((1, 8), np.float32), context)[0] == 0
    assert np.array_equal(dropped, drawn < drawn[0, 3])
    assert dropped.any()


def dropped_in_numpy(x, key, offset, rate):
    """From the numbers themselves, by bits: what is dropped is +0.0."""
    kept = _core.philox_uniform(key, offset, x.size).reshape(x.shape) >= np.float32(rate)
    scale = x.dtype.type(1.0 / (1.0 - rate) if rate < 1 else 0.0)
    with np.errstate(all="ignore"):
        return np.where(kept, x * scale, x.dtype.type(0))


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 0.5, 1 - 2.0**-24, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("offset", [0, 1, 3, 2**34 - 2])
def test_the_kernel_is_its_formula(isa, dtype, rate, offset):
    """Tails of vectors, of blocks and of chunks of 1024 words."""
    for count in (0, 1, 3, 5, 17, 33, 1023, 1025, 1029, 40_003):
        x = np.random.default_rng(count).normal(size=count + 1).astype(dtype)[1:]
        x[::7], x[1::7], x[2::7] = np.inf, np.nan, -0.0
        y = _core.dropout(x, 5, offset, rate)
        assert y.tobytes() == dropped_in_numpy(x, 5, offset, rate).tobytes()


def test_threads_do_not_change_a_bit(set_threads, dtype):
    x = np.random.default_rng(0).normal(size=(3, 47_003)).astype(dtype)
    for threads in (1, 2, 3, 4):
        set_threads(threads)
        assert _core.dropout(x, 9, 6, 0.25).tobytes() == dropped_in_numpy(x, 9, 6, 0.25).tobytes()


def test_a_gradient_of_any_layout():
    layer = Dropout(0.5)
    y, saved = layer.forward(np.ones((6, 8)), TRAINING)
    grad_x, _ = layer.backward(np.ones((8, 6)).T, saved, needs_input=True)
    assert np.array_equal(grad_x, y)


@pytest.mark.parametrize(
    ("error", "offset", "rate", "message"),
    [
        (ValueError, -1, 0.5, "offset must be at least 0, received -1"),
        (ValueError, 0, -0.1, r"rate must be in \[0, 1\], received -0.1"),
        (ValueError, 0, 1.1, r"rate must be in \[0, 1\], received 1.1"),
        (ValueError, 0, math.nan, r"rate must be in \[0, 1\], received nan"),
        (MemoryError, 2**63 - 1, 0.5, r"the size of the stream exceeds 2\^63"),
    ],
)
def test_the_kernel_refuses(error, offset, rate, message):
    with pytest.raises(error, match=f"^dropout: {message}"):
        _core.dropout(np.ones(2), 0, offset, rate)
