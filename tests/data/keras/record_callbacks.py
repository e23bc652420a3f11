"""Callbacks, told of epochs with given values: what they do after each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from fixture import Fixture

from keras_build import drive_callback

NAN = float("nan")
DOWN_AND_UP = [0.9, 0.5, 0.6, 0.5, 0.45, 0.7, 0.46, 0.8, 0.9, 0.3]
SLOW = [1.0, 0.99, 0.985, 0.9, 0.895, 0.8925, 0.89, 0.7, 0.7, 0.7]
WITH_NAN = [0.9, NAN, 0.5, NAN, 0.7, NAN, 0.4]
NAN_FIRST = [NAN, NAN, 0.5, 0.6, 0.4]
FLAT = [0.5] * 9

STOP, PLATEAU, SAVE = "EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"
BEST: dict[str, Any] = {"restore_best_weights": True}
KEEP: dict[str, Any] = {"save_best_only": True, "monitor": "val_loss"}

CASES: list[tuple[str, str, dict[str, Any], list[float]]] = [
    ("stop", STOP, {}, DOWN_AND_UP),
    ("stop_patience", STOP, {"patience": 2}, DOWN_AND_UP),
    ("stop_restore", STOP, {"patience": 3} | BEST, DOWN_AND_UP),
    ("stop_never_restore", STOP, {"patience": 9} | BEST, DOWN_AND_UP[:9]),
    ("stop_min_delta", STOP, {"min_delta": 0.01, "patience": 2} | BEST, SLOW),
    ("stop_max", STOP, {"monitor": "val_accuracy", "patience": 3} | BEST, DOWN_AND_UP),
    ("stop_mode_max", STOP, {"mode": "max", "patience": 2} | BEST, DOWN_AND_UP),
    ("stop_baseline", STOP, {"baseline": 0.55, "patience": 2}, [0.9, 0.7, 0.6, 0.5, 0.4]),
    ("stop_baseline_met", STOP, {"baseline": 0.55, "patience": 2} | BEST, DOWN_AND_UP),
    ("stop_start_from", STOP, {"start_from_epoch": 5, "patience": 1} | BEST, DOWN_AND_UP),
    ("stop_nan", STOP, {"patience": 2} | BEST, WITH_NAN),
    ("stop_nan_first", STOP, {"patience": 3} | BEST, NAN_FIRST),
    ("stop_flat", STOP, {"patience": 4} | BEST, FLAT),
    ("plateau", PLATEAU, {"patience": 2}, DOWN_AND_UP),
    ("plateau_flat", PLATEAU, {"factor": 0.5, "patience": 2}, FLAT),
    ("plateau_cooldown", PLATEAU, {"factor": 0.5, "patience": 1, "cooldown": 2}, FLAT),
    ("plateau_min_lr", PLATEAU, {"factor": 0.1, "patience": 1, "min_lr": 0.03}, FLAT),
    ("plateau_min_delta", PLATEAU, {"factor": 0.5, "patience": 1, "min_delta": 0.01}, SLOW),
    ("plateau_default_delta", PLATEAU, {"factor": 0.5, "patience": 1}, [0.5, 0.49995, 0.4998, 0.49975]),
    ("plateau_max", PLATEAU, {"monitor": "val_accuracy", "factor": 0.5, "patience": 1}, DOWN_AND_UP),
    ("plateau_nan", PLATEAU, {"factor": 0.5, "patience": 2}, WITH_NAN),
    ("plateau_patience_0", PLATEAU, {"factor": 0.5, "patience": 0}, DOWN_AND_UP),
    ("schedule", "LearningRateScheduler", {"schedule": {"function": "halve_every_second_epoch"}}, FLAT),
    ("schedule_of_epoch", "LearningRateScheduler", {"schedule": {"function": "decay_by_epoch"}}, FLAT),
    ("save", SAVE, {}, FLAT[:3]),
    ("save_best", SAVE, KEEP, DOWN_AND_UP),
    ("save_best_max", SAVE, KEEP | {"monitor": "val_accuracy"}, DOWN_AND_UP),
    ("save_best_mode", SAVE, KEEP | {"mode": "max"}, DOWN_AND_UP),
    ("save_best_threshold", SAVE, KEEP | {"initial_value_threshold": 0.48}, DOWN_AND_UP),
    ("save_best_nan", SAVE, KEEP, WITH_NAN),
    ("save_best_nan_first", SAVE, KEEP, NAN_FIRST),
    ("csv", "CSVLogger", {}, DOWN_AND_UP[:4]),
    ("csv_separator", "CSVLogger", {"separator": ";"}, WITH_NAN[:3]),
]


def record() -> Fixture:
    """Record every callback: learning rate, whether it stops, what it logs and which files it leaves."""
    fixture = Fixture()
    for name, cls, arguments, values in CASES:
        with tempfile.TemporaryDirectory() as folder:
            paths = {SAVE: "{epoch:02d}-{val_loss:.2f}.keras", "CSVLogger": "log.csv"}
            path = str(Path(folder, paths[cls])) if cls in paths else None
            description = {"class": f"callbacks.{cls}", "arguments": arguments}
            rates, logged, weight = [], [], 0
            states = list(drive_steps(description, values, path, rates, logged))
            callback, model = states[-1]
            weight = int(model.get_weights()[0][0, 0])
            case = {
                "name": name,
                "callback": description,
                "learning_rates": rates,
                "logged_learning_rates": logged,
                "stopped": bool(model.stop_training),
                "weight": weight,
                "files": sorted(Path(each).stem for each in os.listdir(folder)),
            }
            for attribute in ("stopped_epoch", "best", "best_epoch"):
                if hasattr(callback, attribute):
                    case[attribute] = float(
                        np.nan if getattr(callback, attribute) is None else getattr(callback, attribute)
                    )
            if cls == "CSVLogger":
                case["text"] = Path(folder, "log.csv").read_text()
        fixture.add(case, values=values)
    return fixture


def drive_steps(description: Any, values: Any, path: Any, rates: list[float], logged: list[Any]) -> Any:
    """Tell a callback of all epochs, noting learning rates, in the model and in the logs."""
    for callback, model, logs in drive_callback(keras, description, values, path):
        rates.append(float(model.optimizer.learning_rate))
        logged.append(logs.get("learning_rate"))
        yield callback, model
