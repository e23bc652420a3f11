"""The benchmark's harness finds wrong results, and its workers answer."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from konv.bench import exact, sections
from konv.bench.harness import (
    TOLERANCE,
    Turns,
    WrongResultError,
    difference,
    ratio_to_best_peer,
    require_right,
)
from konv.bench.layer import Layer
from konv.bench.libraries.konv_layers import KonvLayer
from konv.bench.peers import Peer, environment

LAYERS = [
    Layer("plain", "conv", 2, 9, 8, 5, K=7, R=3, S=3),
    Layer("strided", "conv", 2, 9, 8, 5, K=7, R=3, S=2, stride=2, padding=1),
    Layer("grouped", "conv", 2, 9, 8, 6, K=4, R=3, S=3, padding=1, groups=2),
    Layer("depthwise", "conv", 2, 9, 8, 6, R=3, S=3, stride=2, padding=1, groups=6),
    Layer("dense", "dense", 9, 1, 1, 5, K=7),
    Layer("max", "max_pool", 2, 9, 8, 5, R=3, S=3, stride=2, padding=1),
    Layer("average", "avg_pool", 2, 9, 8, 5, R=3, S=3, stride=2, padding=1),
    Layer("relu", "relu", 2, 9, 8, 5),
    Layer("norm", "batch_norm", 2, 9, 8, 5),
]
PASSES = [
    pytest.param(layer, which, id=f"{layer.name} {which}") for layer in LAYERS for which in layer.passes
]


def konv_result(layer: Layer, which: str) -> list[np.ndarray]:
    own = KonvLayer(layer)
    result = getattr(own, f"{layer.op}_{which}")(own.place(layer.data()))
    return [array.copy() for array in own.arrays(which, result)]


@pytest.mark.parametrize(("layer", "which"), PASSES)
def test_results_of_konv_are_right(layer, which):
    assert exact.error(layer, which, layer.data(), konv_result(layer, which)) < 1e-5


@pytest.mark.parametrize(("layer", "which"), PASSES)
def test_wrong_results_are_found(layer, which):
    data, right = layer.data(), konv_result(layer, which)
    shifted = [np.roll(array, 1) for array in right]
    assert exact.error(layer, which, data, shifted) > 100 * TOLERANCE
    for number in range(len(right)):
        corner = [array.copy() for array in right]
        corner[number].flat[0] = np.nan  # forgotten
        assert exact.error(layer, which, data, corner) == np.inf
    assert exact.error(layer, which, data, right + right) == np.inf
    assert exact.error(layer, which, data, [array.ravel()[1:] for array in right]) == np.inf


def test_a_missing_tap_is_found():
    layer = LAYERS[0]
    data = layer.data()
    without = {**data, "kernel": data["kernel"].copy()}
    without["kernel"][2, 2] = 0
    own = KonvLayer(layer)
    wrong = own.conv_forward(own.place(without))
    assert exact.error(layer, "forward", data, [wrong]) > 100 * TOLERANCE


def test_differences():
    one = [np.array([1.0, 2.0]), np.array([4.0])]
    assert difference(one, one) == 0
    assert difference([one[0], np.array([3.0])], one) == 0.25
    assert difference([one[0], np.array([np.nan])], one) == np.inf
    assert difference(one[:1], one) == np.inf
    assert difference([one[0], np.array([4.0, 4.0])], one) == np.inf


def test_errors_too_large():
    assert require_right("it", TOLERANCE) == TOLERANCE
    for error in (2e-4, float("nan"), float("inf")):
        with pytest.raises(
            WrongResultError, match=r"it: wrong by .* of the largest value, at most 0\.0001 expected"
        ):
            require_right("it", error)


def test_ratio_is_to_the_fastest_peer():
    assert ratio_to_best_peer({"konv": 2.0, "a": 3.0, "b": 5.0}) == {"best_peer": "a", "ratio": 1.5}
    assert ratio_to_best_peer({"konv": 2.0}) == {}


class FakePeer:
    """A peer in this process, with Konv's results plus some error."""

    def __init__(self, name: str, error: float = 0.0, seconds: float = 1.0) -> None:
        self.name, self.error, self.seconds, self.turns = name, error, seconds, 0

    def prepare(self, subject, *, layer, which, cache_bytes):
        self.result = [array + self.error for array in konv_result(Layer(**layer), which)]

    def save_result(self, path):
        np.savez(path, *self.result)

    def seconds_per_call(self, seconds):
        self.turns += 1
        return self.seconds * self.turns


def measure(*peers: FakePeer) -> dict:
    limits = sections.Limits(flops=1e6, copy=1e6, mix=5e5)
    return sections._layer(LAYERS[0], "forward", peers, Turns(3, 0.1), limits)


def test_a_layer_is_measured():
    layer, konv, other = LAYERS[0], FakePeer("konv"), FakePeer("other", seconds=3.0)
    result = measure(konv, other)
    assert (konv.turns, other.turns) == (3, 3)
    assert result["ms"] == {"konv": 2000.0, "other": 6000.0}  # medians
    assert (result["best_peer"], result["ratio"]) == ("other", 3.0)
    assert result["of_peak"] == round(layer.flops / 2 / 1e6, 4)
    assert result["of_copy"] == round(layer.bytes_of("forward") / 2 / 1e6, 4)
    assert result["of_mix"] == round(layer.bytes_of("forward") / 1e6, 4)


@pytest.mark.parametrize(
    ("measured", "earlier", "expected"),
    [
        ([10.0, 90.0], [], 10.0),  # nothing to compare with
        ([41.0, 90.0], [100.0, 10.0], 41.0),
        ([10.0, 39.0, 95.0, 99.0], [100.0], 95.0),
        ([10.0, 30.0, 20.0, 10.0, 10.0, 99.0], [100.0], 30.0),  # the machine has become slower
    ],
)
def test_a_limit_is_measured_again_where_something_else_took_the_cores(measured, earlier, expected):
    assert sections._undisturbed(lambda: measured.pop(0), earlier) == expected


def test_flops_are_compared_with_flops_and_bandwidths_with_copies():
    answers = {"flops": [10.0, 90.0], (1, 1): [8.0], (1, 4): [2.0, 5.0]}

    class Machine:
        def ask(self, command, *, read=None, written=None, **how):
            return answers[command if read is None else (read, written)].pop(0)

    earlier = [sections.Limits(flops=100.0, copy=9.0, mix=3.0)]
    assert sections._limits(Machine(), (1, 4), earlier) == (90.0, 8.0, 5.0)


def test_nothing_wrong_is_timed():
    for konv, other, blamed in ((0.1, 0.1, "konv"), (0.0, 0.1, "konv and other")):
        peers = FakePeer("konv", konv), FakePeer("other", other)
        with pytest.raises(WrongResultError, match=f"plain forward of {blamed}: wrong by"):
            measure(*peers)
        assert peers[0].turns == 0


def test_libraries_are_held_alike():
    pins = environment(2, "avx2")
    assert {pins[name] for name in ("KONV_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert (pins["KONV_ISA"], pins["ATEN_CPU_CAPABILITY"], pins["ONEDNN_MAX_CPU_ISA"]) == (
        "avx2",
        "avx2",
        "AVX2",
    )
    assert "KONV_ISA" not in environment(2, None)


@pytest.fixture
def konv():
    peer = Peer("konv", sys.executable, threads=1)
    yield peer
    peer.close()


def test_a_worker_that_fails_says_why(konv):
    with pytest.raises(ChildProcessError, match=r"^konv: KeyError: 'nothing'$"):
        konv.prepare("nothing")
    konv.prepare("call", bare=True)  # it goes on
    assert konv.seconds_per_call(0.001) > 0


def test_a_worker_that_ends(konv):
    konv._process.kill()
    with pytest.raises(ChildProcessError, match=r"^konv: its process ended, exit status -9$"):
        konv.prepare("call", bare=True)


@pytest.mark.parametrize("said", ["no JSON", "[1]", '{"hello": 1}'])
def test_what_is_no_python(said, tmp_path):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nread line\necho '{said}'\n")
    program.chmod(0o700)
    with pytest.raises(ChildProcessError, match=r"^torch_nchw: its interpreter must run .*worker\.py, but"):
        Peer("torch_nchw", str(program), threads=1)


def test_memory_at_most(konv):
    layer = {
        "name": "a",
        "op": "relu",
        "N": 1,
        "H": 1000,
        "W": 1000,
        "C": 16,
    }  # 64 MB, and as many of results
    konv.prepare("layer", layer=layer, which="forward", cache_bytes=1)
    konv.seconds_per_call(0.001)
    assert konv.ask("peak_bytes") >= 3 * 64_000_000


def test_a_library_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(
        ChildProcessError, match=r"^torch_nchw: ModuleNotFoundError: No module named 'torch'$"
    ):
        Peer("torch_nchw", sys.executable, threads=1)
