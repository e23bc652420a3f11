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
import statistics
import sys
from pathlib import Path
from typing import Any

import machine
from conv_layer import PASSES, ConvLayer, read_layers
from peer import Peer

import konv

HERE = Path(__file__).parent
SECONDS_PER_TURN = 0.05
# The largest error measured, Winograd's, is 2.4e-5 of the largest output; a wrong tap's is above 1e-2.
TOLERANCE = 1e-4


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
    worker = str(HERE / "conv_worker.py")
    peers = [Peer(name, (python, worker), options.threads) for name, python in pythons.items()]

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
        "versions": machine.versions(options.torch_python),
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
