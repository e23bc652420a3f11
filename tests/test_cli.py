"""The `konv` command: what it prints, where, and its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import konv

INTERRUPTED = 130
DATA = "{digits,mnist,fashion-mnist,cifar10}"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "konv", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = run("train", "digits", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def accuracy(output: str) -> float:
    """The test accuracy that a run printed, in percent."""
    return float(re.search(r"^test: .*accuracy ([\d.]+)%", output, re.MULTILINE)[1])


def without_speed(output: str) -> str:
    """What a run printed, less what the clock decides."""
    return re.sub(r"[\d.,]+ ?(images/s|ms|s)\b", "", output)


@pytest.mark.parametrize("command", [[], ["info"], ["train"], ["bench"]], ids=" ".join)
def test_help(command):
    done = run(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {' '.join(['konv', *command])} ")


def test_version():
    assert run("--version").stdout == f"konv {konv.__version__}\n"


def test_info_is_show_config(capsys):
    konv.show_config()
    shown = capsys.readouterr().out
    assert run("info").stdout.splitlines()[0] == shown.splitlines()[0]


def test_console_script():
    script = Path(sysconfig.get_path("scripts")) / "konv"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"konv {konv.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "konv: the following arguments are required: {info,train,bench} (see konv --help)"),
        (["fly"], "konv: argument {info,train,bench}: invalid choice: 'fly'"),
        (["train"], f"konv train: the following arguments are required: {DATA} (see konv train --help)"),
        (["train", "birds"], f"konv train: argument {DATA}: invalid choice: 'birds'"),
        (
            ["train", "digits", "--lr", "-1"],
            "konv train: unrecognized arguments: --lr -1 (see konv train --help)",
        ),
        (["train", "digits", "--model", "vgg99"], "konv train: argument --model: invalid choice: 'vgg99'"),
        (["train", "digits", "--optimizer", "x"], "konv train: argument --optimizer: invalid choice: 'x'"),
        (
            ["train", "digits", "--epochs", "0"],
            "konv train: argument --epochs: must be an integer of at least 1, received '0'",
        ),
        (
            ["train", "digits", "--epochs", str(2**63)],
            f"konv train: argument --epochs: must be an integer of at least 1, received '{2**63}'",
        ),
        (
            ["train", "digits", "--batch-size", str(2**63)],
            f"konv train: argument --batch-size: must be an integer of at least 1, received '{2**63}'",
        ),
        (
            ["train", "digits", "--out", ""],
            "konv train: argument --out: must be the name of a folder, received ''",
        ),
        (
            ["train", "digits", "--batch-size", "many"],
            "konv train: argument --batch-size: must be an integer of at least 1, received 'many'",
        ),
        (
            ["train", "digits", "--threads", "257"],
            "konv train: argument --threads: must be an integer from 1 to 256, received '257'",
        ),
        (
            ["train", "digits", "--seed", "-1"],
            "konv train: argument --seed: must be an integer from 0 to 4294967295, received '-1'",
        ),
        (
            ["train", "digits", "--learning-rate", "nan"],
            "konv train: argument --learning-rate: must be a finite number above 0, received 'nan'",
        ),
        (
            ["train", "digits", "--learning-rate", "fast"],
            "konv train: argument --learning-rate: must be a finite number above 0, received 'fast'",
        ),
        (["info", "--fast"], "konv info: unrecognized arguments: --fast (see konv info --help)"),
        (
            ["train", "digits", "--out", __file__],
            f"konv train: argument --out: {__file__!r} is a file, expected a folder",
        ),
        (
            ["train", "digits", "--resume"],
            "konv train: argument --resume: needs --out DIR, the folder to resume in",
        ),
    ],
    ids=lambda value: " ".join(value).replace(__file__, "FILE") if isinstance(value, list) else "",
)
def test_bad_arguments(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_failure_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should go")
    done = run("train", "digits", "--out", tmp_path / "taken" / "folder")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"konv train: .*Not a directory.*taken.*\n", done.stderr)


def test_a_name_too_long_for_a_folder_is_one_line():
    done = run("train", "digits", "--out", "m" * 300)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"konv train: .*File name too long: 'm+'\n", done.stderr)


def test_a_closed_stdout_is_no_error():
    command = [sys.executable, "-m", "konv", "train", "digits", "--model", "lenet5", "--epochs", "1"]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_unknown_algorithm_fails_before_the_work(monkeypatch):
    monkeypatch.setenv("KONV_ALGORITHM", "magic")
    done = run("train", "digits")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"konv train: .*KONV_ALGORITHM must be .*, received 'magic'\n", done.stderr)


def test_divergence_is_one_warning():
    done = train("--epochs", 2, "--optimizer", "sgd", "--learning-rate", 1e30)
    assert done.stderr == (
        "konv train: warning: training diverged, the loss became nan; try a smaller --learning-rate\n"
    )


def test_defaults_reach_the_promised_accuracy():
    assert accuracy(train().stdout) >= 97


def test_a_pipe_gets_plain_lines():
    done = train("--epochs", 2)
    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    epochs = [line for line in done.stdout.splitlines() if line.lower().startswith("epoch ")]
    assert len(epochs) == 2
    for line in epochs:
        for word in ("loss", "accuracy", "images/s"):
            assert word in line
    assert "Conv2D" in done.stdout  # the summary


def test_same_seed_repeats_for_any_number_of_threads():
    one = without_speed(train("--epochs", 1, "--threads", 1).stdout)
    assert one == without_speed(train("--epochs", 1, "--threads", 2).stdout)
    assert one != without_speed(train("--epochs", 1, "--seed", 1).stdout)


def test_out_keeps_the_model(tmp_path):
    folder = tmp_path / "a" / "b"
    done = train(
        "--epochs", 1, "--batch-size", 64, "--optimizer", "sgd", "--learning-rate", 0.1, "--out", folder
    )
    model = konv.load_model(folder / "model.safetensors")
    _, (x_test, y_test) = konv.datasets.digits.load_data()
    predicted = model.predict(x_test[..., None].astype(np.float32) / 16, verbose=0).argmax(axis=1)
    assert round(100 * np.mean(predicted == y_test), 2) == accuracy(done.stdout)


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_ctrl_c_ends_cleanly():
    command = [sys.executable, "-u", "-m", "konv", "train", "digits", "--epochs", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.lower().startswith("epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert errors.strip() == "konv train: interrupted"


@pytest.mark.skipif(os.name == "nt", reason="pipes end differently")
def test_a_reader_that_leaves_is_no_error():
    command = f'"{sys.executable}" -u -m konv info | head -n 1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"konv      {konv.__version__}\n"
    assert done.stderr == ""
