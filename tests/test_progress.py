"""Progress of training: lines in a pipe, a bar on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest

from konv import Sequential
from konv import callbacks as cb
from konv.layers import Dense


def network():
    model = Sequential([Dense(3, input_shape=(2,), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_lines_in_a_pipe(capsys):
    x, y = np.zeros((20, 2)), np.zeros(20)
    model = network()
    model.fit(x, y, epochs=2, validation_data=(x, y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2: ")
    for part in ("images/s", "loss ", "accuracy ", "val_loss ", "val_accuracy "):
        assert part in lines[0]
    model.evaluate(x, y)
    assert capsys.readouterr().out.startswith("Test: loss ")
    model.fit(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    x, y = np.zeros((20, 2)), np.zeros(20)
    model = network()
    model.fit(x, y, batch_size=8, epochs=2)
    shown = sys.stdout.getvalue()
    assert "Epoch 2/2:   0% |" in shown
    assert "images/s, loss " in shown.splitlines()[-1]
    model.predict(x)
    model.evaluate(x, y, verbose=2)
    assert sys.stdout.getvalue().splitlines()[-1].startswith("Test: ")


def test_the_bar_of_evaluate_counts_samples(monkeypatch):
    class Draw(cb.Callback):
        def on_test_end(self, logs=None):
            cb.progress_bar.announce("")  # draws the bar again, though none was due

    monkeypatch.setattr(sys, "stdout", Terminal())
    network().evaluate(np.zeros((20, 2)), np.zeros(20), batch_size=8, callbacks=[Draw()])
    assert "evaluate: 100% |##########|" in sys.stdout.getvalue()


def shown_of(monkeypatch, verbose, params, steps=3, terminal=True):
    """Tell what shows progress of an epoch of batches of 8 images; return all that it writes."""
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    params = {"epochs": 5, "batch_size": None, "samples_seen": 0, "verbose": verbose, **params}
    with cb.CallbackList(cb.progress("fit", verbose), None, params) as tell:
        tell("on_train_begin")
        tell("on_epoch_begin", 0)
        for batch in range(steps):
            params["samples_seen"] += 8
            monkeypatch.setattr("time.perf_counter", lambda batch=batch: batch + 1.0)  # a second a batch
            tell("on_train_batch_end", batch, logs={"loss": 0.5})
        cb.progress_bar.announce("something happened")
        tell("on_epoch_end", 0, logs={"loss": 0.5, "learning_rate": 1e-5, "note": "text"})
        tell("on_train_end")
    return sys.stdout.getvalue()


LINE = "Epoch 1/5: 3.0 s, 8 images/s, loss 0.5000, learning_rate 1e-05, note text\n"


def test_lines_of_a_generator(monkeypatch):
    params = {"steps": None, "samples": None}
    shown = shown_of(monkeypatch, 2, params)
    assert shown == "something happened\n" + LINE
    assert shown_of(monkeypatch, "auto", params, terminal=False) == shown
    nothing = shown_of(monkeypatch, 2, params, steps=0)
    assert "Epoch 1/5: 0.0 s, 0 images/s, loss" in nothing
    assert shown_of(monkeypatch, 0, params) == "something happened\n"


@pytest.mark.parametrize(
    ("params", "last"),
    [
        ({"steps": 3, "samples": 24}, "Epoch 1/5: 100%, 8 images/s, loss 0.5000 |##########|"),
        ({"steps": 4, "samples": None}, "Epoch 1/5:  75%, 8 images/s, loss 0.5000 |#######"),
        ({"steps": None, "samples": None}, "Epoch 1/5: 3 steps, 8 images/s, loss 0.5000"),
        ({"steps": 3, "samples": 20}, "Epoch 1/5:   0%, 8 images/s, loss 0.5000 |"),  # more than was said
    ],
)
def test_the_bar_counts_what_is_known(monkeypatch, params, last):
    shown = [piece for piece in re.split("[\r\n]+", shown_of(monkeypatch, "auto", params)) if piece.strip()]
    assert shown[0] in ("Epoch 1/5:   0% |          |", "Epoch 1/5: 0 steps")
    place = shown.index("something happened")  # on a line of its own: the bar is drawn again after it
    assert shown[place + 1].startswith(last)
    assert shown[-1] + "\n" == LINE


def test_bars_of_samples(monkeypatch):
    for samples, last in ((16, "predict: 100% |##########|"), (None, "predict: 16 images")):
        monkeypatch.setattr(sys, "stdout", Terminal())
        with cb.sample_bar("predict", "auto", samples) as advance:
            advance(8)
            advance(8)
            cb.progress_bar.announce("")  # draws the bar again, though none was due
        assert last in sys.stdout.getvalue()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with cb.sample_bar("predict", "auto", None) as advance:
        advance(8)
    assert sys.stdout.getvalue() == ""


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_nothing_is_shown_where_there_is_no_standard_output(monkeypatch, verbose):
    monkeypatch.setattr(sys, "stdout", None)
    assert cb.progress("fit", verbose) == []
    with cb.sample_bar("predict", verbose, 8) as advance:
        advance(8)


@pytest.mark.parametrize(("error", "verbose"), [(TypeError, None), (ValueError, 3), (ValueError, "no")])
def test_verbose_is_checked(error, verbose):
    with pytest.raises(error, match=f'^fit: verbose must be "auto", 0, 1 or 2, received {verbose!r}'):
        cb.progress("fit", verbose)


def on_a_terminal(rows, columns, callback):
    """Train in another process on a terminal of a size; return all that stood on its lines."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-c", ON_A_TERMINAL + callback]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, stdout=inside, stderr=inside, env=environment):
        os.close(inside)
        shown = b""
        with contextlib.suppress(OSError):  # EIO, once nobody writes any more
            while part := os.read(terminal, 4096):
                shown += part
    os.close(terminal)
    return [piece.rstrip() for piece in re.split("[\r\n]+", shown.decode())]


ON_A_TERMINAL = """
import time, numpy as np
from konv import Sequential
from konv.callbacks import Callback
from konv.layers import Dense
def train(do):
    callback = Callback()
    callback.on_train_batch_begin = lambda batch, logs: do(batch)
    model = Sequential([Dense(3, input_shape=(2,), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((3, 2)), np.zeros(3)
    model.fit(x, y, batch_size=1, epochs=2, validation_data=(x, y), callbacks=[callback])
def interrupted(batch):
    time.sleep(0.11)
    if batch:
        raise KeyboardInterrupt
"""


def test_the_bar_fits_on_80_columns():
    shown = on_a_terminal(24, 80, "train(lambda batch: time.sleep(0.11))")
    assert any(
        re.search(r"%, \d+ images/s, loss [\d.]+, accuracy [\d.]+ \|.{10}\|$", piece) for piece in shown
    )
    lines = [piece for piece in shown if " s, " in piece]
    assert len(lines) == 2
    assert re.match(r"Epoch 2/2: .* images/s, loss .*, accuracy .*, val_loss .*, val_accuracy ", lines[1])
    assert all(len(piece) <= 80 for piece in shown if piece not in lines)


def test_a_terminal_without_size_shows_lines():
    shown = on_a_terminal(0, 0, "train(lambda batch: None)")
    assert len([piece for piece in shown if "val_accuracy" in piece]) == 2


def test_no_bar_is_drawn_after_an_interruption():
    shown = on_a_terminal(24, 80, "train(interrupted)")
    traceback = next(place for place, piece in enumerate(shown) if piece.startswith("Traceback"))
    assert any("%" in piece for piece in shown[:traceback])
    assert not any("%" in piece for piece in shown[traceback:])
    assert "KeyboardInterrupt" in shown
