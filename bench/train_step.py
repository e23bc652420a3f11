"""The training step of the course's CNN at batch 128 against PyTorch: eager and compiled, in both layouts.

    python bench/train_step.py --torch-python PYTHON [--compiled] [--rounds N] [--threads N] [--out FILE]

PYTHON is one that has torch and numpy; without it Konv runs alone. The machine should do nothing else. The
peers' medians go to stdout, everything to FILE, results/train_step-CPU.json unless given.

A step is forward, loss, backward and Adam on 128 images of 28x28 pixels that lie ready, and the loss as a
number. Each peer is a process of its own, with the same initial weights, images and number of threads. Before
the timing, without dropout, all peers make the same three steps, and their losses must agree. Then they take
turns, each round in the opposite order of the one before: a turn is one step to warm up and 0.5 s of steps,
whose mean counts. Times are medians over the rounds, the ratio Konv's over the best of PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import machine
from peer import Peer

import konv

HERE = Path(__file__).parent
SECONDS_PER_TURN = 0.5
# Adam divides a gradient by its size, so that rounding in a gradient of almost 0 can turn a weight's first
# step of 0.001: the later losses may differ by some 1e-3, the first by rounding only.
TOLERANCES = (1e-5, 5e-3, 5e-3)


def check(peers: list[Peer]) -> list[float]:
    """Make three steps with each peer and raise unless the losses agree; returns Konv's."""
    losses: dict[str, list[float]] = {peer.name: peer.ask(steps=3)["losses"] for peer in peers}
    for name, found in losses.items():
        for wanted, loss, tolerance in zip(losses["konv"], found, TOLERANCES, strict=True):
            if not abs(loss - wanted) <= tolerance * abs(wanted):
                raise RuntimeError(f"the losses of konv and {name} differ: {losses['konv']} and {found}")
    return losses["konv"]


def main() -> None:
    """Check, measure, print, write the JSON file."""
    parser = argparse.ArgumentParser(description="The course CNN's training step against PyTorch.")
    parser.add_argument("--torch-python", metavar="PYTHON", help="a Python that has torch and numpy")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too (a minute of compiling)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each peer (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each peer (%(default)s)")
    parser.add_argument("--limit", type=float, metavar="RATIO", help="fail where the ratio is above it")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=machine.results_file("train_step"), help="(%(default)s)"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, received {options.rounds}")

    pythons = {"konv": sys.executable}
    if options.torch_python:
        names = ["torch_nchw", "torch_nhwc"]
        names += [f"{name}_compiled" for name in names] if options.compiled else []
        pythons |= dict.fromkeys(names, options.torch_python)
    worker = str(HERE / "train_step_worker.py")
    peers = [Peer(name, (python, worker), options.threads) for name, python in pythons.items()]
    losses = check(peers)
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(options.rounds):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            seconds[peer.name].append(peer.ask(seconds=SECONDS_PER_TURN)["seconds"])
    for peer in peers:
        peer.close()

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<22}{1e3 * median:8.1f} ms")
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "versions": machine.versions(options.torch_python),
        "isa": konv._core.isa(),
        "threads": options.threads,
        "rounds": options.rounds,
        "losses": losses,
        "ms": {name: round(1e3 * median, 3) for name, median in medians.items()},
    }
    others = [median for name, median in medians.items() if name != "konv"]
    if others:
        report["ratio"] = round(medians["konv"] / min(others), 3)
        print(f"konv / best of PyTorch: {report['ratio']:.2f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print("written to", options.out)
    if options.limit is not None and not report.get("ratio", 0.0) <= options.limit:
        sys.exit(f"the ratio is {report['ratio']}, at most {options.limit} expected")


if __name__ == "__main__":
    main()
