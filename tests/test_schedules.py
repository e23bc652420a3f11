"""Learning rate schedules: values by hand, configs, and what they refuse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from konv._arguments import class_and_config
from konv.initializers import Zeros
from konv.layers.variable import Variable
from konv.optimizers import SGD, Adam, get, schedules
from konv.optimizers.schedules import (
    CosineDecay,
    ExponentialDecay,
    LearningRateSchedule,
    LinearWarmup,
    PiecewiseConstantDecay,
    StepDecay,
)

ALL = [
    ExponentialDecay(0.1, 100, 0.96),
    ExponentialDecay(0.1, 100, 0.96, staircase=True),
    StepDecay(0.1, 30, 0.5),
    PiecewiseConstantDecay([10, 20.5], [1.0, 0.5, 0.1]),
    CosineDecay(0.1, 50, 0.25, warmup_target=0.5, warmup_steps=7),
    LinearWarmup(CosineDecay(0.1, 50), 7, 0.01),
    LinearWarmup(0.1, 7),
]


def test_exponential():
    schedule = ExponentialDecay(0.1, 100, 0.96)
    assert [schedule(step) for step in (0, 50, 100, 250)] == pytest.approx(
        [0.1, 0.1 * math.sqrt(0.96), 0.096, 0.1 * 0.96**2.5], rel=1e-15
    )
    stairs = ExponentialDecay(0.1, 100, 0.96, staircase=True)
    assert [stairs(step) for step in (0, 99, 100, 250)] == [0.1, 0.1, 0.1 * 0.96, 0.1 * 0.96**2]


def test_exponential_at_its_ends():
    assert ExponentialDecay(1.0, 1, 0.0)(0) == 1.0
    assert ExponentialDecay(1.0, 1, 0.0)(1) == 0.0
    assert ExponentialDecay(1.0, 1, 0.5)(2**62) == 0.0
    assert ExponentialDecay(1.0, 1, 2.0)(2**62) == math.inf
    assert ExponentialDecay(0.0, 1, 2.0)(2**62) == 0.0


def test_step_decay_is_the_staircase():
    stairs = ExponentialDecay(0.3, 7, 0.5, staircase=True)
    assert [StepDecay(0.3, 7, 0.5)(step) for step in range(50)] == [stairs(step) for step in range(50)]
    assert StepDecay(1.0, 5).get_config() == {
        "initial_learning_rate": 1.0,
        "decay_steps": 5.0,
        "decay_rate": 0.1,
        "name": "StepDecay",
    }


def test_piecewise_constant():
    schedule = PiecewiseConstantDecay([100, 110], [1.0, 0.5, 0.1])
    steps = (0, 100, 101, 110, 111, 10**9)
    assert [schedule(step) for step in steps] == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]
    assert PiecewiseConstantDecay([], [0.3])(5) == 0.3
    halves = PiecewiseConstantDecay([2.5], [1.0, 0.0])
    assert (halves(2), halves(3)) == (1.0, 0.0)


def test_cosine():
    schedule = CosineDecay(0.2, 100, alpha=0.1)
    assert [schedule(step) for step in (0, 25, 50, 100, 1000)] == pytest.approx(
        [0.2, 0.2 * (0.9 * 0.5 * (1 + math.sqrt(0.5)) + 0.1), 0.2 * 0.55, 0.02, 0.02], rel=1e-14
    )


def test_cosine_with_warmup():
    schedule = CosineDecay(0.1, 100, warmup_target=0.5, warmup_steps=4)
    assert [schedule(step) for step in (0, 1, 4, 54, 104, 1000)] == pytest.approx(
        [0.1, 0.2, 0.5, 0.25, 0.0, 0.0], abs=1e-15
    )
    # As in Keras: no steps of warm-up start at the target, and without a target there is none.
    assert CosineDecay(0.1, 100, warmup_target=0.5)(0) == 0.5
    assert CosineDecay(0.1, 100, warmup_steps=4)(0) == 0.1


def test_linear_warmup():
    constant = LinearWarmup(0.5, 4, 0.1)
    assert [constant(step) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    cosine = CosineDecay(0.1, 100, warmup_target=0.5, warmup_steps=4)
    wrapped = LinearWarmup(CosineDecay(0.5, 100), 4, 0.1)
    assert [wrapped(step) for step in range(120)] == [cosine(step) for step in range(120)]
    assert LinearWarmup(0.5, 0)(0) == 0.5


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_configs_survive_json(schedule):
    again = schedules.get(json.loads(json.dumps(class_and_config(schedule))))
    assert type(again) is type(schedule)
    assert [again(step) for step in range(60)] == [schedule(step) for step in range(60)]
    assert schedules.get(schedule) is schedule

    optimizer = get(json.loads(json.dumps(class_and_config(Adam(schedule)))))
    assert optimizer.get_config() == Adam(schedule).get_config()
    optimizer.iterations = 9
    assert optimizer.learning_rate == schedule(9)


@pytest.mark.parametrize(
    ("make", "arguments", "default"),
    [
        (ExponentialDecay, (0.1, 100, 0.96, True), "ExponentialDecay"),
        (StepDecay, (0.1, 30, 0.5), "StepDecay"),
        (PiecewiseConstantDecay, ([10], [1.0, 0.5]), "PiecewiseConstant"),
        (CosineDecay, (0.1, 50, 0.25), "CosineDecay"),
        (LinearWarmup, (0.1, 7, 0.01), "LinearWarmup"),
    ],
)
def test_names(make, arguments, default):
    assert make(*arguments).name == default
    named = make(*arguments, "mine")
    assert named.name == named.get_config()["name"] == "mine"
    assert schedules.get(class_and_config(named)).name == "mine"
    with pytest.raises(TypeError, match=f"^{make.__name__}: name must be a str, received 3"):
        make(*arguments, 3)


def test_the_cosines_arguments_by_position_are_in_keras_order():
    config = CosineDecay(0.1, 50, 0.25, "mine", 0.5, 7).get_config()
    assert list(config.values()) == [0.1, 50.0, 0.25, "mine", 0.5, 7]


def test_repr():
    text = "StepDecay(initial_learning_rate=0.1, decay_steps=30.0, decay_rate=0.5, name='StepDecay')"
    assert repr(StepDecay(0.1, 30, 0.5)) == text


def weight(size=1):
    return Variable("w", (size,), np.dtype("float64"), Zeros(), 0)


def test_an_optimizer_follows_its_schedule():
    optimizer, variable = SGD(PiecewiseConstantDecay([0, 1], [1.0, 0.5, 0.25])), weight()
    rates = []
    for _ in range(4):
        rates.append(optimizer.learning_rate)
        optimizer.apply([np.ones(1)], [variable])
    assert rates == [1.0, 0.5, 0.25, 0.25]
    assert variable.value[0] == -2.0


def test_a_schedule_of_ones_own():
    class Halving(LearningRateSchedule):
        def __call__(self, step):
            return np.float32(0.5**step)

    optimizer = SGD(Halving())
    optimizer.iterations = 3
    assert optimizer.learning_rate == 0.125
    assert type(optimizer.learning_rate) is float


def test_a_schedule_takes_the_place_of_a_number_and_of_a_schedule():
    optimizer = SGD(0.1)
    optimizer.learning_rate = StepDecay(0.2, 10)
    assert optimizer.learning_rate == 0.2
    optimizer.learning_rate = StepDecay(0.3, 10)
    assert optimizer.learning_rate == 0.3
    with pytest.raises(
        TypeError,
        match=r"^SGD: learning_rate must stay a schedule, for the optimizer has one \(StepDecay\(.*\)\), "
        r"received 0.5 \(float\); make the optimizer with a number to set it$",
    ):
        optimizer.learning_rate = 0.5
    assert optimizer.learning_rate == 0.3


def test_a_rate_that_is_no_step_changes_nothing():
    class Broken(LearningRateSchedule):
        def __init__(self, rate):
            self.rate = rate

        def __call__(self, step):
            return self.rate

    for rate, error, message in [
        (math.nan, ValueError, "must be finite and at least 0, received nan"),
        (-0.5, ValueError, "must be finite and at least 0, received -0.5"),
        (math.inf, ValueError, "must be finite and at least 0, received inf"),
        ("fast", TypeError, "must be a number, received 'fast'"),
        (None, TypeError, "must be a number, received None"),
    ]:
        optimizer, variable = SGD(Broken(rate), momentum=0.5), weight()
        with pytest.raises(error, match=rf"^SGD: learning_rate, Broken\(\) at step 0, {message}"):
            optimizer.apply([np.ones(1)], [variable])
        assert (optimizer.iterations, variable.value[0]) == (0, 0.0)
        assert not optimizer.has_slots(variable)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: ExponentialDecay("a", 1, 1), "ExponentialDecay: initial_learning_rate must be a"),
        (
            ValueError,
            lambda: ExponentialDecay(-1, 1, 1),
            "initial_learning_rate must be finite and at least 0",
        ),
        (
            ValueError,
            lambda: ExponentialDecay(1, 0, 1),
            "decay_steps must be finite and at least 1, received 0",
        ),
        (ValueError, lambda: ExponentialDecay(1, 1, -0.5), "decay_rate must be finite and at least 0"),
        (TypeError, lambda: ExponentialDecay(1, 1, 1, staircase=1), "staircase must be True or False"),
        (ValueError, lambda: StepDecay(1, -3), "StepDecay: decay_steps must be finite and at least 1"),
        (ValueError, lambda: CosineDecay(1, 0.5), "CosineDecay: decay_steps must be finite and at least 1"),
        (ValueError, lambda: CosineDecay(1, 1, -1), "alpha must be finite and at least 0"),
        (TypeError, lambda: CosineDecay(1, 1, warmup_target="x"), "warmup_target must be a number"),
        (TypeError, lambda: CosineDecay(1, 1, warmup_steps=1.5), "warmup_steps must be an int"),
        (ValueError, lambda: CosineDecay(1, 1, warmup_steps=-1), "warmup_steps must be an int of at least 0"),
        (
            TypeError,
            lambda: PiecewiseConstantDecay(5, [1, 2]),
            "boundaries must be a list of numbers, received 5",
        ),
        (
            TypeError,
            lambda: PiecewiseConstantDecay(["a"], [1, 2]),
            r"boundaries \(each number\) must be a number",
        ),
        (
            ValueError,
            lambda: PiecewiseConstantDecay([-1], [1, 2]),
            r"boundaries \(each number\) must be finite",
        ),
        (
            ValueError,
            lambda: PiecewiseConstantDecay([5, 5], [1, 2, 3]),
            r"boundaries must rise, received \[5, 5\]",
        ),
        (
            ValueError,
            lambda: PiecewiseConstantDecay([5], [1]),
            "values must be one more than the 1 boundaries",
        ),
        (ValueError, lambda: PiecewiseConstantDecay([5], [1, -1]), r"values \(each number\) must be finite"),
        (TypeError, lambda: LinearWarmup("adam", 5), "LinearWarmup: learning_rate must be a number"),
        (ValueError, lambda: LinearWarmup(0.1, -5), "warmup_steps must be an int of at least 0"),
        (ValueError, lambda: LinearWarmup(0.1, 5, -1), "initial_learning_rate must be finite and at least 0"),
        (TypeError, lambda: StepDecay(1, 1)(0.5), "StepDecay: step must be an int"),
        (
            ValueError,
            lambda: StepDecay(1, 1)(-1),
            "StepDecay: step must be an int of at least 0, received -1",
        ),
        (NotImplementedError, lambda: LearningRateSchedule()(0), "__call__ is not defined"),
        (ValueError, lambda: schedules.get("linear"), 'must be one of "exponential_decay", "step_decay"'),
        (ValueError, lambda: schedules.get("step_decay"), "must have a config of arguments of StepDecay"),
        (TypeError, lambda: schedules.get(0.1), "must be a str or an instance of LearningRateSchedule"),
        (
            ValueError,
            lambda: SGD({"class_name": "StepDecay"}),
            'SGD: learning_rate must have "class_name" and',
        ),
        (
            ValueError,
            lambda: SGD({"class_name": "StepDecay", "config": {"speed": 1}}),
            "SGD: learning_rate must have a config of arguments of StepDecay, received",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
