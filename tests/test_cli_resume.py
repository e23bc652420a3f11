"""`konv train --out DIR --resume`: what a run leaves, and how it goes on after it was killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import konv
from konv.cli import main, train
from konv.cli.history_plot import plot_history

EPOCHS = 3


def command(folder: Path, *arguments: object) -> list[str]:
    fixed = ["train", "digits", "--epochs", EPOCHS, "--batch-size", 32, "--out", folder]
    return [sys.executable, "-u", "-m", "konv", *map(str, fixed), *map(str, arguments)]


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments), capture_output=True, text=True, timeout=300, check=False
    )


def resume(folder: Path, *arguments: object) -> str:
    done = run(folder, "--resume", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """The bits of everything in a model's file, and of its history."""
    tensors = load_file(folder / "model.safetensors")
    bits = {name: tensor.tobytes() for name, tensor in tensors.items()}
    return bits | {"history": (folder / "history.csv").read_bytes()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def stop_in_epoch(number: int, folder: Path, how: int, *arguments: object, delay: float = 0.0) -> str:
    """Start a run and send it a signal a while after an epoch has ended; what it printed on stderr."""
    with subprocess.Popen(
        command(folder, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("Multiply-adds" if number == 0 else f"Epoch {number}/"):
                break
        time.sleep(delay)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (-how if how == signal.SIGKILL else 130)
    return errors


def test_what_a_run_leaves(whole):
    left = {"model.safetensors", "history.csv"} | ({"history.png"} if find_spec("matplotlib") else set())
    assert set(os.listdir(whole)) == left
    lines = (whole / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2"]
    model = konv.load_model(whole / "model.safetensors")
    assert model.epoch == EPOCHS
    names = {path: variable for path, variable in model.named_variables()}
    assert len(names) == 32


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_the_picture_is_a_png(whole):
    assert (whole / "history.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize(("epoch", "delay"), [(0, 0.0), (1, 0.0), (1, 0.02), (2, 0.05)])
def test_a_killed_run_goes_on_to_the_same_bits(whole, tmp_path, epoch, delay):
    stop_in_epoch(epoch, tmp_path, signal.SIGKILL, delay=delay)
    resume(tmp_path)
    assert contents(tmp_path) == contents(whole)


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_ctrl_c_keeps_the_last_epoch(whole, tmp_path):
    errors = stop_in_epoch(2, tmp_path, signal.SIGINT)
    assert errors.strip() == "konv train: interrupted"
    kept = konv.load_model(tmp_path / "model.safetensors").epoch
    assert kept in (1, 2)
    printed = resume(tmp_path)
    assert f"going on after epoch {kept} of {EPOCHS}" in printed
    assert "Epoch 1/" not in printed
    assert contents(tmp_path) == contents(whole)


def test_threads_may_change_in_between(whole, tmp_path):
    assert run(tmp_path, "--epochs", 1, "--threads", 1).returncode == 0
    resume(tmp_path, "--threads", 3)
    assert contents(tmp_path) == contents(whole)


def test_nothing_to_resume_from(whole, tmp_path):
    printed = resume(tmp_path / "new")
    assert f"{tmp_path / 'new'}: no model.safetensors to resume from, starting afresh" in printed
    assert contents(tmp_path / "new") == contents(whole)


def test_a_finished_run(whole):
    before = contents(whole)
    printed = resume(whole)
    assert f"{whole / 'model.safetensors'}: the run was finished, with {EPOCHS} epochs" in printed
    assert "Epoch" not in printed.replace("Epochs", "")
    assert re.search(r"^test: loss", printed, re.MULTILINE)
    assert contents(whole) == before


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_finished_run_draws_only_a_picture_that_is_missing_or_old(whole):
    picture = whole / "history.png"
    drawn, age = picture.read_bytes(), picture.stat().st_mtime_ns
    resume(whole)
    assert picture.stat().st_mtime_ns == age
    os.utime(picture, (0, 0))
    resume(whole)
    assert picture.stat().st_mtime_ns > 0
    picture.unlink()
    resume(whole)
    assert picture.read_bytes() == drawn


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--model", "lenet5"), "DATA and --model, received another"),
        (("--optimizer", "sgd"), "options, received another --optimizer or --learning-rate"),
        (("--learning-rate", 0.01), "options, received another --optimizer or --learning-rate"),
        (("--seed", 5), "options, received another --seed"),
        (("--batch-size", 33), "options, received another --batch-size"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_other_options_are_refused(whole, arguments, named):
    before = contents(whole)
    done = run(whole, "--resume", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"konv train: {whole / 'model.safetensors'} must come from a run with the same {named}\n"
    )
    assert contents(whole) == before


def test_a_run_that_ends_before_its_first_epoch_leaves_nothing_of_an_earlier_one(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    for name in ("model.safetensors", "history.csv", "history.png"):
        (tmp_path / name).write_bytes(b"of an earlier run")
    monkeypatch.setattr(konv.Sequential, "fit", interrupted)
    assert main(["train", "digits", "--out", str(tmp_path)]) == 130
    assert os.listdir(tmp_path) == []


def test_another_data_set_of_the_same_shapes_is_refused(tmp_path, monkeypatch, capsys):
    arguments = ["train", "digits", "--model", "lenet5", "--epochs", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    monkeypatch.setitem(train.DATASETS, "other", train.DATASETS["digits"])
    monkeypatch.setattr(konv.datasets, "other", konv.datasets.digits, raising=False)
    arguments[1] = "other"
    assert main([*arguments, "--resume"]) == 1
    assert capsys.readouterr().err == (
        f"konv train: {tmp_path / 'model.safetensors'} must come from a run with the same options, "
        "received another DATA\n"
    )


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("", "its columns are []"),
        ("epoch,loss\n", "it must have rows, each as long as the first line"),
        ("epoch,loss\n0,1.5,2\n", "it must have rows, each as long as the first line"),
        ("epoch,loss\n0\n", "it must have rows, each as long as the first line"),
        ("epoch,loss\n0,low\n", "could not convert string to float: 'low'"),
        ("loss,epoch\n1.5,0\n", "its columns are ['loss', 'epoch']"),
        ("epoch\n0\n", "its columns are ['epoch']"),
        ('epoch,loss\n0,"1.5', "unexpected end of data"),
    ],
    ids=repr,
)
def test_a_history_that_was_edited(tmp_path, history, message):
    (tmp_path / "history.csv").write_text(history)
    with pytest.raises(ValueError, match=re.escape("history.csv must be as CSVLogger wrote it: ")) as error:
        plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    assert message in str(error.value)
    assert os.listdir(tmp_path) == ["history.csv"]


def test_a_broken_model_is_not_overwritten(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    done = run(tmp_path, "--resume")
    assert done.returncode == 1
    assert re.fullmatch(r"konv train: .*model.safetensors is not a whole safetensors file.*\n", done.stderr)
    assert (tmp_path / "model.safetensors").read_bytes() == b"something else"


def test_a_new_run_replaces_an_earlier_one(whole, tmp_path):
    assert run(tmp_path, "--seed", 3).returncode == 0
    assert run(tmp_path).returncode == 0
    assert contents(tmp_path) == contents(whole)
