"""`konv bench`: what it prints and writes, and its exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from konv.cli import main

CSV = "name,op,N,H,W,C,K,R,S,padding,count\nsmall,conv,1,8,8,8,8,3,3,1,2\nrows,relu,1,8,8,8\n"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "konv", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def layers(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    return path


def test_layers_without_peers(layers, tmp_path):
    written = tmp_path / "result.json"
    how = ("--layers", layers, "--threads", 1, "--rounds", 1, "--quick", "--peers", "--json", written)
    done = run("layers", "calls", *how)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[6].startswith("peak ")
    assert [line.split()[:2] for line in lines[1:6]] == [
        *(["small", "forward"], ["small", "grad_x"], ["small", "grad_kernel"]),
        *(["rows", "forward"], ["rows", "grad_x"]),
    ]
    report = json.loads(written.read_text())
    assert list(report) == ["machine", "threads", "isa", "rounds", "layers", "calls"]
    assert (report["threads"], report["rounds"]) == (1, 1)
    assert list(report["layers"]) == ["versions", "limits", "geometric_means", "totals", "layers"]
    assert list(report["layers"]["versions"]) == ["konv"]
    small, rows = report["layers"]["layers"]
    assert (small["list"], small["kind"], small["count"]) == ("mine", "conv", 2)
    for result in small["passes"].values():
        assert set(result) == {"ms", "gflops", "of_peak", "gbps", "of_copy", "of_mix", "error"}
        assert result["ms"]["konv"] > 0
        assert 0 < result["error"] < 1e-4
    assert "gflops" not in rows["passes"]["forward"]
    assert set(report["calls"]) == {"ops_us", "bare_us", "overhead_us"}


def test_only_some_passes(layers):
    done = run("--layers", layers, "--passes", "forward", "--rounds", 1, "--quick", "--peers")
    assert done.returncode == 0, done.stderr
    assert "grad" not in done.stdout
    assert "training step" not in done.stdout


def test_training_step_alone(tmp_path):
    written = tmp_path / "result.json"
    done = run("step", "--quick", "--rounds", 1, "--peers", "--json", written)
    assert (done.returncode, done.stderr) == (0, "")
    (line, _) = done.stdout.splitlines()
    assert line.startswith("training step, konv")
    step = json.loads(written.read_text())["step"]
    assert set(step) == {"versions", "batch", "ms", "memory_mib", "losses"}
    assert len(step["losses"]) == 3
    assert 10 < step["memory_mib"]["konv"] < 1000


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_picture(layers, tmp_path):
    picture = tmp_path / "result.png"
    done = run("--layers", layers, "--rounds", 1, "--quick", "--peers", "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "argument SECTION: must be one of layers, step, epoch, inference, calls, received 'fly'"),
        (["--passes", "grad_z"], "argument --passes: invalid choice: 'grad_z'"),
        (["--layers", "relu_cached", "--passes", "grad_kernel"], "argument --passes: none of the layers has"),
        (["--threads", "0"], "argument --threads: must be an integer from 1 to 256, received '0'"),
        (["--rounds", "0"], "argument --rounds: must be an integer of at least 1, received '0'"),
        (["--isa", "sse"], "argument --isa: invalid choice: 'sse'"),
        (["--peers", "caffe"], "argument --peers: invalid choice: 'caffe'"),
        (["--python", "torch"], "argument --python: must be LIBRARY=PYTHON, received 'torch'"),
        (["--python", "caffe=python"], "argument --python: must be LIBRARY=PYTHON, received 'caffe=python'"),
        (
            ["--json", "/no/such/folder/x"],
            "argument --json: must be a file in a folder that is there, received",
        ),
        (["--json", "/dev/null"], "argument --json: must be a file in a folder that is there, received"),
        (["calls", "--plot", "x.png"], "argument --plot: draws only inference, layers, step"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"konv bench: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["layers", "--peers", "onnxruntime"], "onnxruntime has no part in layers"),
        (["--layers", "mnist_1", "--peers", "torch", "jax"], "jax has no part in layers"),
        (["calls", "epoch", "--peers", "torch"], "torch has no part in calls, epoch"),
        (
            ["inference", "--isa", "baseline", "--peers", "onnxruntime"],
            "onnxruntime held to baseline has no part in inference",
        ),
    ],
)
def test_a_peer_without_a_part(arguments, message, capsys):
    pythons = (f"--python={name}={sys.executable}" for name in ("torch", "onnxruntime", "jax"))
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *arguments, *pythons])
    assert capsys.readouterr().err.startswith(f"konv bench: argument --peers: {message} (see")


def test_a_peer_that_is_not_installed(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "--peers", "torch"])
    assert capsys.readouterr().err.startswith(
        "konv bench: argument --peers: torch must be installed, or --python torch=PYTHON name an interpreter"
    )


def test_a_folder_that_can_not_be_written_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "--json", str(tmp_path / "x.json")])
    assert "argument --json: must be in a folder that can be written to, received" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "vgg99"], "layers must be a list (classic, "),
        (["--layers", "no-such.csv"], "[Errno 2] No such file or directory: 'no-such.csv'"),
        (
            ["--layers", "mnist_1", "--python", "torch=/no/python"],
            "[Errno 2] No such file or directory: '/no/python'",
        ),
        (
            ["--layers", "mnist_1", "--python", "torch=~/no/python"],
            f"[Errno 2] No such file or directory: '{os.path.expanduser('~/no/python')}'",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_failures(arguments, message):
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"konv bench: {message}")
    assert done.stderr.count("\n") == 1
