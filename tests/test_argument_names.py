"""Arguments under names that aren't there: the error says which are, and which may have been meant."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import konv
from konv.callbacks import EarlyStopping
from konv.initializers import RandomNormal
from konv.layers import Dense
from konv.losses import Loss, MeanSquaredError
from konv.metrics import BinaryAccuracy
from konv.optimizers import SGD, Adam, Optimizer, schedules
from konv.regularizers import L2


def model() -> konv.Model:
    return konv.Sequential([konv.Input((4,)), Dense(2)])


class Mine(Optimizer):
    def __init__(self, speed: float, **options: Any) -> None:
        super().__init__(speed, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SGD(0.1, momentm=0.9), r"^SGD: arguments must be learning_rate, momentum, nesterov, "),
        (lambda: SGD(0.1, momentm=0.9), r", name, received momentm; did you mean momentum\?$"),
        (lambda: Adam(lr=0.1), r"^Adam: .*, received lr; did you mean learning_rate\?$"),
        (lambda: Mine(1.0, clip_norm=1.0), r"^Mine: .*, received clip_norm; did you mean clipnorm\?$"),
        (lambda: schedules.CosineDecay(0.1, steps=3), r"^CosineDecay: .*; did you mean decay_steps\?$"),
        (lambda: EarlyStopping(patients=3), r"^EarlyStopping: .*; did you mean patience\?$"),
        (lambda: RandomNormal(std=1.0), r"^RandomNormal: .*; did you mean stddev\?$"),
        (
            lambda: MeanSquaredError(reduction="sum"),
            "^MeanSquaredError: arguments must be name, received red",
        ),
        (lambda: BinaryAccuracy(treshold=1.0), r"^BinaryAccuracy: .*; did you mean threshold\?$"),
        (lambda: L2(l1=1.0, x=2), r"^L2: arguments must be l2, received l1, x$"),
        (lambda: model().compile("sgd", "mse", metric=[]), r"^compile: .*; did you mean metrics\?$"),
        (lambda: model().fit(0, 0, epoch=3), r"^fit: arguments must be x, y, .*; did you mean epochs\?$"),
        (lambda: model().evaluate(0, batchsize=3), r"^evaluate: .*; did you mean batch_size\?$"),
        (lambda: model().predict(0, verbos=0), r"^predict: .*; did you mean verbose\?$"),
        (lambda: model().train_on_batch(0, yy=1), r"^train_on_batch: .*, received yy; did you mean y\?$"),
        (lambda: model().test_on_batch(0, sample_weights=1), r"; did you mean sample_weight\?$"),
        (
            lambda: model().predict_on_batch(inputs=1),
            "^predict_on_batch: arguments must be x, received",
        ),
    ],
)
def test_unknown_arguments(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_signatures_stay() -> None:
    assert "epochs" in inspect.signature(konv.Model.fit).parameters
    assert "beta_1" in inspect.signature(Adam).parameters


def test_any_argument_of_a_class_that_takes_any() -> None:
    class Anything(Loss):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.options = options

    assert Anything(speed=1).options == {"speed": 1}
