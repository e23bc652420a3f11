"""What compile, fit, evaluate, predict and their like refuse, and what they say of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import Sequential
from konv.layers import Dense, Flatten, Input
from konv.optimizers import Adam


def network():
    model = Sequential([Input((8, 8, 1)), Flatten(), Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X, Y = np.zeros((4, 8, 8, 1)), np.zeros(4)
ADAM = "adam", "categorical_crossentropy"


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda m: m.compile("adamm", "categorical_crossentropy"),
            "^compile: optimizer must be one of",
        ),
        (
            TypeError,
            lambda m: m.compile(None, "categorical_crossentropy"),
            "^compile: optimizer must be a str",
        ),
        (ValueError, lambda m: m.compile("adam", "hinge"), "^compile: loss must be one of"),
        (TypeError, lambda m: m.compile("adam", None), "^compile: loss must be a str"),
        (TypeError, lambda m: m.compile(*ADAM, metrics="accuracy"), "^compile: metrics must be a list"),
        (
            ValueError,
            lambda m: m.compile(*ADAM, metrics=["acuracy"]),
            '^compile: each of metrics must be one of .*, "accuracy", "acc", received \'acuracy\'',
        ),
        (
            TypeError,
            lambda m: m.compile(Adam, "categorical_crossentropy"),
            r"^compile: optimizer must be a str .*; did you forget \(\)\?$",
        ),
        (
            TypeError,
            lambda m: m.compile(*ADAM, metrics=[{"a": "acc"}]),
            r"^compile: metrics must have no dict inside of a list or a dict, received \{'a': 'acc'\}",
        ),
        (ValueError, lambda m: m.compile(*ADAM, metrics=["acc", "acc"]), "^compile: metrics must have names"),
        (
            TypeError,
            lambda m: m.fit(X.tolist(), Y),
            "^fit: x must be an array, received list; use numpy.asarray$",
        ),
        (TypeError, lambda m: m.fit(X, None), "^fit: y must be an array .*, received NoneType"),
        (
            TypeError,
            lambda m: m.fit(X.astype(complex), Y),
            "^fit: x must hold real numbers, received dtype complex128",
        ),
        (
            TypeError,
            lambda m: m.fit(X.astype(object), Y),
            "^fit: x must hold real numbers, received dtype object",
        ),
        (TypeError, lambda m: m.fit(np.ma.masked_array(X), Y), "^fit: x must not be masked"),
        (
            ValueError,
            lambda m: m.fit(X[..., 0], Y),
            r"^fit: x must have shape \(None, 8, 8, 1\), as .* \(4, 8, 8\); x\[..., None\] adds an axis",
        ),
        (
            ValueError,
            lambda m: m.fit(X, np.zeros((4, 10)), batch_size=2),
            r"^fit: y must be integers of shape \(4,\), received shape \(4, 10\); for one-hot rows use",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, validation_data=(X, np.zeros((4, 10)))),
            r"^fit: validation_data: y must be integers of shape \(4,\), received shape \(4, 10\)",
        ),
        (
            ValueError,
            lambda m: m.compile("adam", "categorical_crossentropy") or m.evaluate(X, Y),
            r"^evaluate: y must be rows of shape \(4, 10\), received shape \(4,\); for integer labels use",
        ),
        (ValueError, lambda m: m.fit(X[:, 1:], Y), r"^fit: x must have shape .* received \(4, 7, 8, 1\)"),
        (ValueError, lambda m: m.fit(np.array(1.0), Y), "^fit: x must have a batch axis"),
        (
            ValueError,
            lambda m: m.fit(X, Y[:3]),
            "^fit: x and y must be equally long, 1 at least, received 4 and 3",
        ),
        (
            ValueError,
            lambda m: m.fit(X[:0], Y[:0]),
            "^fit: x and y must be equally long, 1 at least, received 0",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y + 10, verbose=0),
            r"^fit: y must hold integers from 0 to 9, received 10.0 at \[0\]",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y * math.nan, verbose=0),
            "^fit: y must hold integers from 0 to 9, received nan",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, batch_size=0),
            "^fit: batch_size must be an int of at least 1, received 0",
        ),
        (TypeError, lambda m: m.fit(X, Y, batch_size=2.0), "^fit: batch_size must be an int, received 2.0"),
        (ValueError, lambda m: m.fit(X, Y, epochs=-1), "^fit: epochs must be an int of at least 1"),
        (ValueError, lambda m: m.fit(X, Y, epochs=10**30), "^fit: epochs must fit in 64 bits"),
        (
            ValueError,
            lambda m: m.fit(X, Y, initial_epoch=-1),
            "^fit: initial_epoch must be an int of at least 0",
        ),
        (ValueError, lambda m: m.fit(X, Y, verbose=3), '^fit: verbose must be "auto", 0, 1 or 2, received 3'),
        (TypeError, lambda m: m.fit(X, Y, verbose=np.array([1, 2])), "^fit: verbose must be"),
        (ValueError, lambda m: m.fit(X, Y, verbose="yes"), "^fit: verbose must be"),
        (TypeError, lambda m: m.fit(X, Y, shuffle=1), "^fit: shuffle must be True or False"),
        (TypeError, lambda m: m.fit(X, Y, callbacks=[3]), "^fit: callbacks must be a list"),
        (
            ValueError,
            lambda m: m.fit(X, Y, validation_split=1.0),
            r"^fit: validation_split must be in \[0, 1\)",
        ),
        (ValueError, lambda m: m.fit(X, Y, validation_split=math.nan), "^fit: validation_split must be in"),
        (ValueError, lambda m: m.fit(X, Y, validation_split=0.999), "must leave samples on both sides"),
        (TypeError, lambda m: m.fit(X, Y, validation_data=X), r"validation_data must be a pair \(x, y\)"),
        (
            ValueError,
            lambda m: m.fit(X, Y, validation_data=(X, Y[:1])),
            "^fit: validation_data: x and y must be",
        ),
        (ValueError, lambda m: m.evaluate(X, Y, batch_size=0), "^evaluate: batch_size must be"),
        (ValueError, lambda m: m.evaluate(X[:0], Y[:0]), "^evaluate: x and y must be equally long"),
        (
            TypeError,
            lambda m: m.evaluate(X, Y, return_dict=1),
            "^evaluate: return_dict must be True or False",
        ),
        (TypeError, lambda m: m.predict([1.0]), "^predict: x must be an array"),
        (ValueError, lambda m: m.predict(X, batch_size=-3), "^predict: batch_size must be"),
        (ValueError, lambda m: m.predict(X, verbose=7), "^predict: verbose must be"),
        (ValueError, lambda m: m.predict_on_batch(X[0]), "^predict_on_batch: x must have shape"),
        (TypeError, lambda m: m.train_on_batch(X, 3), "^train_on_batch: y must be an array"),
        (TypeError, lambda m: m.test_on_batch(3, Y), "^test_on_batch: x must be an array"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call(network())


def test_a_missing_flatten_is_told():
    model = Sequential([Input((8, 8, 1)), Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"the outputs have shape \(4, 8, 8, 10\); is a Flatten missing\?$"):
        model.fit(X, Y)


def test_a_wrong_label_is_told_by_its_place_in_the_array_before_any_step():
    x, y = np.zeros((40, 8, 8, 1)), np.zeros(40, int)
    y[37] = 12
    model = network()
    before = model.get_weights()
    told = r"y must hold integers from 0 to 9, received 12 at \[37\]$"
    with pytest.raises(ValueError, match=f"^fit: {told}"):
        model.fit(x, y, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match=f"^fit: validation_data: {told}"):
        model.fit(x, np.zeros(40), validation_data=(x, y), verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.raises(ValueError, match=f"^evaluate: {told}"):
        model.evaluate(x, y, batch_size=4, verbose=0)
    batches = ((x[part : part + 4], y[part : part + 4]) for part in range(0, 40, 4))
    with pytest.raises(ValueError, match=r"^evaluate: batch 9: y must .*, received 12 at \[1\]$"):
        model.evaluate(batches, verbose=0)


def test_a_result_that_memory_cannot_hold():
    x = np.broadcast_to(np.float32(0), (2**44, 8, 8, 1))
    with pytest.raises(MemoryError, match=r"^predict: the result must fit .* received shape \(175\d+, 10\)"):
        network().predict(x, batch_size=2)


def test_training_needs_compile():
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(ValueError, match=f"^{method}: model .* must be compiled first"):
            getattr(Sequential([Dense(2)]), method)(X, Y)
