"""Convolution against PyTorch: the layers of conv_layers.csv, forward and both gradients.

    python bench/conv.py --torch-python PYTHON [--layers NAME ...] [--rounds N] [--threads N] [--out FILE]

PYTHON is one that has torch and numpy; without it Konv runs alone. The machine should do nothing else. A
table goes to stdout, everything to FILE, results/conv-CPU.json unless given.

Each peer is a process of its own: Konv, PyTorch with contiguous NCHW tensors, PyTorch with channels_last
ones, whose better layout of each pass counts. All have the same data and number of threads, and take turns,
each round in the opposite order of the one before. A pass is timed only after its result is right: the last
image's against Konv's reference algorithm in float64, the whole batch's against each peer's. A turn is one
call to warm up, then 0.05 s of calls, of which the mean counts. Times are medians over the rounds, GFLOP/s
the direct algorithm's, ratios Konv's speed over PyTorch's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np
from conv_layer import PASSES, ConvLayer, read_layers

import konv

HERE = Path(__file__).parent
SECONDS_PER_TURN = 0.05
# The largest error measured, Winograd's, is 2.4e-5 of the largest output; a wrong tap's is above 1e-2.
TOLERANCE = 1e-4


class Peer:
    """A worker process, asked one thing at a time."""

    def __init__(self, name: str, python: str, threads: int) -> None:
        self.name = name
        count = str(threads)
        self._process = subprocess.Popen(
            [python, str(HERE / "conv_worker.py"), name, count],
            env={**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "KONV_NUM_THREADS": count},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended, exit status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def check(layer: ConvLayer, which: str, peers: list[Peer]) -> float:
    """Compute a pass once with each peer, and raise unless the results are right; returns Konv's error."""
    answers = {peer.name: peer.ask(**{"pass": which}) for peer in peers}
    error: float = answers["konv"]["error"]
    if not error <= TOLERANCE:
        raise RuntimeError(
            f"{layer.name} {which}: error {error:.1e} of the largest, at most {TOLERANCE} expected"
        )
    found, size = answers["konv"]["probe"]
    for name, answer in answers.items():
        gap = abs(answer["probe"][0] - found) / size
        if not gap <= TOLERANCE:
            raise RuntimeError(f"{layer.name} {which}: konv and {name} differ by {gap:.1e}")
    return error


def measure(layer: ConvLayer, which: str, peers: list[Peer], rounds: int) -> dict[str, Any]:
    """Check a pass, then time the peers in turns."""
    error = check(layer, which, peers)
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(rounds):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            seconds[peer.name].append(peer.ask(seconds=SECONDS_PER_TURN)["seconds"])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    result: dict[str, Any] = {
        "error": error,
        "ms": {name: round(1e3 * time, 4) for name, time in medians.items()},
        "gflops": {name: round(layer.flops / time / 1e9, 1) for name, time in medians.items()},
    }
    others = [time for name, time in medians.items() if name != "konv"]
    if others:
        result["ratio"] = round(min(others) / medians["konv"], 3)
    return result


def table_row(name: str, passes: dict[str, dict[str, Any]]) -> str:
    """A layer's line: per pass Konv's GFLOP/s, the better PyTorch's, and their ratio."""
    cells = []
    for result in passes.values():
        gflops = dict(result["gflops"])
        konv = gflops.pop("konv")
        cells.append(f"{konv:8.1f} {max(gflops.values(), default=0):8.1f} {result.get('ratio', 0):6.2f}")
    return f"{name:<18}" + " |".join(cells)


def geometric_means(layers: list[dict[str, Any]]) -> dict[str, float]:
    """Of the ratios of each pass; empty where Konv ran alone."""
    ratios = {which: [layer["passes"][which].get("ratio") for layer in layers] for which in PASSES}
    return {which: round(statistics.geometric_mean(r), 3) for which, r in ratios.items() if None not in r}


def smallest_ratio(layers: list[dict[str, Any]]) -> str:
    """Say where Konv is slowest against PyTorch."""
    ratios = [
        (result["ratio"], layer["name"], which)
        for layer in layers
        for which, result in layer["passes"].items()
    ]
    ratio, name, which = min(ratios)
    return f"{ratio:.2f} ({name} {which})"


def versions(torch_python: str | None) -> dict[str, str]:
    """Of what is compared."""
    found = {"konv": konv.__version__, "numpy": np.__version__}
    if torch_python:
        code = "import torch; print(torch.__version__)"
        done = subprocess.run([torch_python, "-c", code], check=True, capture_output=True, text=True)
        found["torch"] = done.stdout.strip()
    return found


def main() -> None:
    """Measure every layer, print a table, write the JSON file."""
    parser = argparse.ArgumentParser(description="Convolution against PyTorch.")
    parser.add_argument("--torch-python", metavar="PYTHON", help="a Python that has torch and numpy")
    layers = {layer.name: layer for layer in read_layers(HERE / "conv_layers.csv")}
    parser.add_argument("--layers", nargs="+", metavar="NAME", choices=layers, help="only these")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each peer (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each peer (%(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=machine.results_file("conv"), help="(%(default)s)"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, received {options.rounds}")

    pythons = {"konv": sys.executable}
    if options.torch_python:
        pythons |= dict.fromkeys(("torch_nchw", "torch_nhwc"), options.torch_python)
    peers = [Peer(name, python, options.threads) for name, python in pythons.items()]

    print(f"{'GFLOP/s':<18}" + " |".join(f"{'konv':>8} {'torch':>8} {'ratio':>6}" for _ in PASSES))
    results = []
    for name in options.layers or layers:
        layer = layers[name]
        shape = dataclasses.asdict(layer)
        for peer in peers:
            peer.ask(layer=shape)
        passes = {which: measure(layer, which, peers, options.rounds) for which in PASSES}
        results.append({**shape, "passes": passes})
        print(table_row(name, passes), flush=True)
    for peer in peers:
        peer.close()

    means = geometric_means(results)
    if means:
        print("geometric mean of ratios:", ", ".join(f"{which} {mean:.2f}" for which, mean in means.items()))
        print("smallest ratio:", smallest_ratio(results))
    report = {
        "machine": machine.describe(),
        "versions": versions(options.torch_python),
        "isa": konv._core.isa(),
        "threads": options.threads,
        "rounds": options.rounds,
        "geometric_mean_ratio": means,
        "layers": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print("written to", options.out)


if __name__ == "__main__":
    main()
