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

from konv import Sequential
from konv.layers import Dense


def network():
    model = Sequential([Dense(3, input_shape=(2,), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
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
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
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
