"""Optimizer steps, each computed by hand from Keras's formulas."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from konv import optimizers
from konv._arguments import class_and_config
from konv.initializers import Zeros
from konv.layers.variable import Variable
from konv.optimizers import SGD, Adam, AdamW, Optimizer
from konv.optimizers.schedules import StepDecay

GRADIENTS = [1.0, -2.0, 0.5]


def trajectory(optimizer, start=1.0, gradients=GRADIENTS, dtype="float64"):
    variable = Variable("w", (1,), np.dtype(dtype), Zeros(), 0)
    variable.assign(np.array([start]))
    values = []
    for gradient in gradients:
        optimizer.apply([np.array([gradient], dtype)], [variable])
        values.append(float(variable.value[0]))
    assert variable.value.dtype == dtype
    return values


def test_sgd():
    assert trajectory(SGD(0.1)) == pytest.approx([0.9, 1.1, 1.05])


def test_momentum():
    # v: -0.1, 0.9*-0.1+0.2 = 0.11, 0.9*0.11-0.05 = 0.049
    assert trajectory(SGD(0.1, momentum=0.9)) == pytest.approx([0.9, 1.01, 1.059])


def test_nesterov():
    # w += 0.9 v - lr g with the same v
    assert trajectory(SGD(0.1, momentum=0.9, nesterov=True)) == pytest.approx(
        [1 - 0.19, 1 - 0.19 + 0.299, 1 - 0.19 + 0.299 - 0.0059]
    )


def test_adam():
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.001 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-7)
        expected.append(w)
    assert expected[0] == pytest.approx(0.999, abs=1e-8)  # the first step is the learning rate
    assert trajectory(Adam()) == pytest.approx(expected, rel=1e-13)
    # In float32 each of the three steps rounds a handful of times near 1.
    assert trajectory(Adam(), dtype="float32") == pytest.approx(expected, abs=3 * 2**-23)


def test_adam_without_memory():
    # With both betas 0 every step is learning_rate * sign(g), as far as epsilon allows.
    assert trajectory(Adam(0.1, beta_1=0.0, beta_2=0.0)) == pytest.approx([0.9, 1.0, 0.9], abs=1e-7)


def test_amsgrad_divides_by_the_largest_velocity():
    w, m, v, largest, expected = 1.0, 0.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.5 * m + 0.5 * g, 0.25 * v + 0.75 * g * g
        largest = max(largest, v)
        w -= 0.1 * math.sqrt(1 - 0.25**t) / (1 - 0.5**t) * m / (math.sqrt(largest) + 1e-7)
        expected.append(w)
    assert largest > v  # at the last step it matters
    assert trajectory(Adam(0.1, 0.5, 0.25, amsgrad=True)) == pytest.approx(expected, rel=1e-13)


def test_weight_decay_comes_before_the_step():
    assert trajectory(SGD(0.1, weight_decay=0.5), gradients=[1.0, 0.0]) == pytest.approx([0.85, 0.85 * 0.95])
    assert trajectory(SGD(0.1, 0.5, weight_decay=0.5), gradients=[1.0, 0.0]) == pytest.approx(
        [0.85, 0.85 * 0.95 - 0.05]
    )
    # Decoupled: it goes into neither momentum nor velocity.
    plain = trajectory(Adam(0.1), start=0.0, gradients=[1.0])
    assert trajectory(Adam(0.1, weight_decay=0.5), gradients=[1.0]) == pytest.approx([0.95 + plain[0]])
    assert trajectory(AdamW(0.1, 0.5)) == trajectory(Adam(0.1, weight_decay=0.5))
    assert trajectory(AdamW(0.1)) == trajectory(Adam(0.1, weight_decay=0.004))
    assert trajectory(AdamW(0.1, 0)) == trajectory(Adam(0.1))


@pytest.mark.parametrize("clip", [{}, {"clipnorm": 1}, {"clipvalue": 1}, {"global_clipnorm": 1}])
@pytest.mark.parametrize("make", [SGD, Adam, AdamW])
def test_what_diverges_does_so_quietly(make, clip):
    for rate, gradients in ((1e308, [1e30, -1e30, 1e30]), (1.0, [math.inf, 0.0, math.nan])):
        trajectory(make(rate, **clip), gradients=gradients, dtype="float32")
        trajectory(make(rate, **clip), gradients=gradients, dtype="float64")


def test_gradients_stay_as_they_are():
    for optimizer in (SGD(1.0, 0.9, weight_decay=0.1), Adam(clipnorm=1), SGD(clipvalue=1)):
        gradient = np.array([3.0, 4.0])
        optimizer.apply([gradient], [Variable("w", (2,), np.dtype("float64"), Zeros(), 0)])
        assert gradient.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    "gradient",
    [
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], "float16"),
        np.array([[1, 2], [3, 4]], ">f8"),
        np.array([[1.0, 0, 2, 0], [3, 0, 4, 0]])[:, ::2],
    ],
    ids=["column_major", "int64", "float16", "big_endian", "strided"],
)
def test_gradients_of_any_layout_and_real_dtype(dtype, gradient):
    variable = Variable("w", (2, 2), dtype, Zeros(), 0)
    SGD(1.0).apply([gradient], [variable])
    assert variable.value.tolist() == [[-1.0, -2.0], [-3.0, -4.0]]


def test_a_gradient_may_be_the_weights_themselves():
    variable = Variable("w", (3,), np.dtype("float64"), Zeros(), 0)
    variable.assign(np.array([1.0, 2.0, 3.0]))
    SGD(0.5).apply([variable.value], [variable])
    SGD(1.0).apply([variable.value[::-1]], [variable])
    assert variable.value.tolist() == [0.5 - 1.5, 0.0, 1.5 - 0.5]


@pytest.mark.parametrize(
    "view",
    [lambda shape: np.broadcast_to(np.float32(2.0), shape), lambda shape: np.full(shape, 2.0, order="F")],
    ids=["read_only", "column_major"],
)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_users_initializer_may_return_any_view(momentum, view):
    """Kernels write in place, so that the weight copies what can't be written."""

    class View(Zeros):
        def __call__(self, shape, key):
            return view(shape)

    variable = Variable("w", (2, 3), np.dtype("float32"), View(), 0)
    SGD(1.0, momentum).apply([np.ones((2, 3))], [variable])
    assert (variable.value == 1).all()


def test_nothing_is_changed_if_one_gradient_does_not_fit():
    optimizer = SGD(1.0, 0.5)
    first, second = (Variable(name, (2,), np.dtype("float32"), Zeros(), 0) for name in "ab")
    with pytest.raises(
        ValueError, match=r"^SGD: the gradient of 'b' must have its shape \(2,\), received \(3,\)"
    ):
        optimizer.apply([np.ones(2), np.ones(3)], [first, second])
    assert first.value.tolist() == [0.0, 0.0]
    assert optimizer.iterations == 0


def test_no_gradients_make_no_step():
    optimizer = SGD(1.0, global_clipnorm=1)
    optimizer.apply([], [])
    assert optimizer.iterations == 0


BASE = {"weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None}
ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}


def test_defaults_are_those_of_keras():
    assert SGD().get_config() == {
        "name": "sgd",
        "learning_rate": 0.01,
        **BASE,
        "momentum": 0.0,
        "nesterov": False,
    }
    assert Adam().get_config() == {"name": "adam", **BASE, **ADAM}
    assert AdamW().get_config() == {"name": "adam_w", **BASE, **ADAM, "weight_decay": 0.004}


@pytest.mark.parametrize("cls", [SGD, Adam, AdamW])
def test_a_name_of_ones_own(cls):
    optimizer = cls(name="mine")
    assert optimizer.name == optimizer.get_config()["name"] == "mine"
    assert optimizers.get(class_and_config(optimizer)).name == "mine"


def test_arguments_by_position_are_in_keras_order():
    config = SGD(0.1, 0.2, True, 0.3, 0.4).get_config()
    assert config == {"name": "sgd", "learning_rate": 0.1, "momentum": 0.2, "nesterov": True} | BASE | {
        "weight_decay": 0.3,
        "clipnorm": 0.4,
    }
    config = Adam(0.1, 0.2, 0.3, 0.4, True, 0.5, None, 0.6).get_config()
    assert list(config.values()) == ["adam", 0.1, 0.5, None, 0.6, None, 0.2, 0.3, 0.4, True]
    config = AdamW(0.1, 0.5, 0.2, 0.3, 0.4, True, None, None, 0.6).get_config()
    assert list(config.values()) == ["adam_w", 0.1, 0.5, None, None, 0.6, 0.2, 0.3, 0.4, True]


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.1, 0.9, True, 0.01, 1.0), Adam(0.1, 0.8, 0.9, 1e-3, True, clipvalue=2), AdamW(global_clipnorm=3)],
    ids=repr,
)
def test_configs_survive_json(optimizer):
    again = optimizers.get(json.loads(json.dumps(class_and_config(optimizer))))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert again.slot_names == optimizer.slot_names
    assert trajectory(again) == trajectory(optimizer)


def test_a_copy_of_the_state_goes_on_to_the_same_bits():
    optimizer = AdamW(StepDecay(0.1, 2), amsgrad=True)
    variable = Variable("w", (3,), np.dtype("float32"), Zeros(), 0)
    gradients = np.random.default_rng(5).normal(size=(6, 3))
    for gradient in gradients[:3]:
        optimizer.apply([gradient], [variable])

    other, copied = (
        optimizers.get(class_and_config(optimizer)),
        Variable("w", (3,), variable.dtype, Zeros(), 0),
    )
    copied.assign(variable.value)
    other.iterations = optimizer.iterations
    for slot, kept in zip(other.slots(copied), optimizer.slots(variable), strict=True):
        slot[...] = kept
    for gradient in gradients[3:]:
        optimizer.apply([gradient], [variable])
        other.apply([gradient], [copied])
    assert np.array_equal(copied.value, variable.value)
    assert optimizer.iterations == other.iterations == 6


def test_steps_do_not_depend_on_threads(isa, dtype, set_threads):
    """A weight of several of the driver's blocks, with everything that an optimizer can do."""
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=70_001), rng.normal(size=(2, 70_001)).astype(dtype)

    def run(optimizer):
        variable = Variable("w", (70_001,), dtype, Zeros(), 0)
        variable.assign(start)
        for gradient in gradients:
            optimizer.apply([gradient], [variable])
        return b"".join(array.tobytes() for array in (variable.value, *optimizer.slots(variable)))

    def results():
        return [run(AdamW(0.1, amsgrad=True, clipnorm=1)), run(SGD(0.1, 0.9, True, global_clipnorm=1))]

    set_threads(1)
    expected = results()
    for threads in (2, 3):
        set_threads(threads)
        assert results() == expected


def test_each_variable_has_slots_of_its_own():
    optimizer = SGD(0.1, momentum=0.5)
    first, second = (Variable(name, (1,), np.dtype("float64"), Zeros(), 0) for name in "ab")
    optimizer.apply([np.ones(1)], [first])
    optimizer.apply([np.ones(1), np.ones(1)], [first, second])
    assert first.value[0] == pytest.approx(-0.1 - 0.15)
    assert second.value[0] == pytest.approx(-0.1)
    assert optimizer.iterations == 2
    assert optimizer.has_slots(first)
    assert not SGD().has_slots(first)


def test_learning_rate_can_change():
    optimizer = SGD(np.float64(0.1))
    optimizer.learning_rate = 0.2
    assert trajectory(optimizer, dtype="float32") == pytest.approx([0.8, 1.2, 1.1], rel=1e-6)


def test_update_is_given_the_rate_of_the_step():
    class Plain(Optimizer):
        def update(self, value, gradient, rate, *slots):
            value -= rate * gradient

    assert trajectory(Plain(0.1)) == trajectory(SGD(0.1))


def test_repr():
    assert repr(SGD(0.1)) == (
        "SGD(name='sgd', learning_rate=0.1, weight_decay=None, clipnorm=None, clipvalue=None, "
        "global_clipnorm=None, momentum=0.0, nesterov=False)"
    )


def test_names():
    assert isinstance(optimizers.get("adam"), Adam)
    assert isinstance(optimizers.get("SGD"), SGD)
    assert isinstance(optimizers.get("adamw"), AdamW)
    assert optimizers.get({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum == 0.5


VARIABLE = Variable("w", (2,), np.dtype("float32"), Zeros(), 0)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: SGD("fast"), "SGD: learning_rate must be a number, received 'fast'"),
        (TypeError, lambda: SGD(True), "learning_rate must be a number"),
        (TypeError, lambda: AdamW(name=3), "^AdamW: name must be a str, received 3"),
        (ValueError, lambda: SGD(-1), "learning_rate must be finite and at least 0, received -1"),
        (
            ValueError,
            lambda: Adam(math.nan),
            "Adam: learning_rate must be finite and at least 0, received nan",
        ),
        (ValueError, lambda: Adam(10**400), "learning_rate must be finite"),
        (ValueError, lambda: SGD(momentum=1.5), r"momentum must be in \[0, 1\], received 1.5"),
        (TypeError, lambda: SGD(nesterov=1), "nesterov must be True or False, received 1"),
        (ValueError, lambda: Adam(beta_1=1.0), r"beta_1 must be in \[0, 1\), received 1.0"),
        (ValueError, lambda: Adam(beta_2=-0.1), r"beta_2 must be in \[0, 1\)"),
        (ValueError, lambda: Adam(epsilon=math.inf), "epsilon must be finite and at least 0"),
        (TypeError, lambda: Adam(amsgrad=None), "Adam: amsgrad must be True or False, received None"),
        (ValueError, lambda: SGD(weight_decay=-1), "SGD: weight_decay must be finite and at least 0"),
        (TypeError, lambda: AdamW(weight_decay=None), "AdamW: weight_decay must be a number, received None"),
        (ValueError, lambda: AdamW(beta_1=1), r"AdamW: beta_1 must be in \[0, 1\)"),
        (TypeError, lambda: SGD(clipnorm="1"), "SGD: clipnorm must be a number, received '1'"),
        (
            ValueError,
            lambda: SGD(clipvalue=math.nan),
            "clipvalue must be finite and at least 0, received nan",
        ),
        (ValueError, lambda: Adam(global_clipnorm=-1), "Adam: global_clipnorm must be finite and at least 0"),
        (
            ValueError,
            lambda: Adam(clipnorm=1, global_clipnorm=2.0),
            "Adam: only one of clipnorm, clipvalue and global_clipnorm may be given, "
            "received clipnorm=1, global_clipnorm=2.0",
        ),
        (TypeError, lambda: SGD().apply([[1, 2]], [VARIABLE]), "the gradient of 'w' must be an array"),
        (
            TypeError,
            lambda: SGD().apply([np.ones(2, complex)], [VARIABLE]),
            "the gradient of 'w' must have real numbers, received an array of complex128",
        ),
        (ValueError, lambda: optimizers.get("rmsprop"), 'must be one of "sgd", "adam"'),
        (
            TypeError,
            lambda: optimizers.get(Adam),
            r"must be a str or an instance of Optimizer.*; did you forget \(\)\?$",
        ),
        (
            TypeError,
            lambda: SGD().apply(np.ones((1, 2)), [VARIABLE]),
            "SGD: gradients must be a list, received",
        ),
        (TypeError, lambda: SGD().apply([np.ones(2)], None), "SGD: variables must be a list, received None"),
        (
            TypeError,
            lambda: SGD().apply([np.ones(2)], [np.ones(2)]),
            "SGD: variables must hold Variables, received .* \\(ndarray\\)",
        ),
        (ValueError, lambda: SGD().apply([], [VARIABLE]), "one gradient for each variable, received 0 for 1"),
        (
            ValueError,
            lambda: SGD().apply([np.zeros(3)], [VARIABLE]),
            r"the gradient of 'w' must have its shape \(2,\), received \(3,\)",
        ),
        (
            NotImplementedError,
            lambda: Optimizer(0.1).apply([np.zeros(2)], [VARIABLE]),
            "update is not defined",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
