"""Callbacks against Keras, told of epochs with given values: learning rates, stopping, weights, files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import konv
from keras_build import drive_callback
from keras_fixtures import Case, for_each_case

TEMPLATES = {
    "callbacks.ModelCheckpoint": "{epoch:02d}-{val_loss:.2f}.safetensors",
    "callbacks.CSVLogger": "log.csv",
}


@for_each_case("callbacks", "(?!.*nan_first)")
def test_run(case: Case, tmp_path: Path) -> None:
    """Learning rates are products of the same numbers: equal but for the rounding of a few."""
    template = TEMPLATES.get(case["callback"]["class"])
    path = None if template is None else str(tmp_path / template)
    rates, logged = [], []
    steps = drive_callback(konv, case["callback"], case.array("values").tolist(), path)
    for callback, model, logs in steps:
        rates.append(model.optimizer.learning_rate)
        logged.append(logs.get("learning_rate"))
        stopped_epoch = getattr(callback, "stopped_epoch", None)
    assert rates == pytest.approx(case["learning_rates"], rel=1e-14)
    assert logged == [
        rate if rate is None else pytest.approx(rate, rel=1e-14) for rate in case["logged_learning_rates"]
    ]
    assert model.stop_training == case["stopped"]
    assert model.get_weights()[0].item() == case["weight"]
    assert sorted(file.stem for file in tmp_path.iterdir()) == case["files"]
    if case["callback"]["class"] == "callbacks.EarlyStopping":
        assert stopped_epoch == case["stopped_epoch"]


@for_each_case("callbacks", "stop_nan_first")
def test_stop_of_nan_first(case: Case) -> None:
    """Keras takes a NaN of the first epoch as the best, which nothing beats. In Konv NaN is never the best:
    epoch 2 is, then epoch 4."""
    assert (case["stopped_epoch"], case["weight"]) == (3, 0)
    *_, (callback, model, _) = drive_callback(konv, case["callback"], case.array("values").tolist())
    assert (model.stop_training, callback.best) == (False, 0.4)
    assert model.get_weights()[0].item() == 4


@for_each_case("callbacks", "save_best_nan_first")
def test_save_of_nan_first(case: Case, tmp_path: Path) -> None:
    """The same of files."""
    assert case["files"] == ["01-nan"]
    path = str(tmp_path / TEMPLATES["callbacks.ModelCheckpoint"])
    for _ in drive_callback(konv, case["callback"], case.array("values").tolist(), path):
        pass
    assert sorted(file.stem for file in tmp_path.iterdir()) == ["03-0.50", "05-0.40"]


@for_each_case("callbacks", "csv")
def test_csv(case: Case, tmp_path: Path) -> None:
    """The same columns in the same order, and the same numbers however they are written."""
    path = tmp_path / "log.csv"
    for _ in drive_callback(konv, case["callback"], case.array("values").tolist(), str(path)):
        pass
    delimiter = case["callback"]["arguments"].get("separator", ",")
    actual, expected = (
        list(csv.reader(text.splitlines(), delimiter=delimiter)) for text in (path.read_text(), case["text"])
    )
    assert actual[0] == expected[0]
    for row, right in zip(actual[1:], expected[1:], strict=True):
        assert [float(x) for x in row] == pytest.approx([float(x) for x in right], rel=1e-14, nan_ok=True)
