"""`konv bench`: how fast Konv is on this machine, by itself and beside what else is there."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import konv
from konv.bench import machine, peers, summary, table
from konv.bench.harness import Limits, Turns, measure_layer
from konv.bench.layer import ALL_PASSES, LISTS, Layer, find_layers
from konv.bench.peers import LIBRARIES, Peer
from konv.cli.argument_types import MOST, integer
from konv.models.whole_file import write_whole

TURNS = Turns(rounds=7, seconds=0.05)
QUICK = Turns(rounds=3, seconds=0.02)
SECONDS_OF_LIMITS = 0.5


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bench` to the commands."""
    about = "Measure how fast Konv is on this machine, beside the libraries that are installed."
    parser = commands.add_parser("bench", help=about, description=about)
    add = parser.add_argument
    add(
        "--layers",
        nargs="+",
        metavar="NAME",
        default=["classic", "memory"],
        help=f"lists ({', '.join(LISTS)}), layers in them, or .csv files (classic memory)",
    )
    add(
        "--passes", nargs="+", choices=ALL_PASSES, metavar="PASS", help=f"only these: {', '.join(ALL_PASSES)}"
    )
    add("--threads", type=integer(1, 256), metavar="N", help="threads to compute with (the CPUs it may use)")
    add("--isa", choices=peers.ISAS, help="instruction set that every library may use at most (the best)")
    add("--rounds", type=integer(1, MOST), metavar="N", help=f"turns of each library ({TURNS.rounds})")
    add("--quick", action="store_true", help="fewer and shorter turns: a first impression")
    others = [library for library in LIBRARIES if library != "konv"]
    add(
        "--peers",
        nargs="*",
        choices=others,
        metavar="LIBRARY",
        help=f"only these beside Konv, maybe none: {', '.join(others)} (what is installed)",
    )
    add(
        "--python",
        action="append",
        type=_interpreter,
        default=[],
        metavar="LIBRARY=PYTHON",
        help="the interpreter of another environment that has a library",
    )
    add("--json", type=Path, metavar="FILE", help="write all results there")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> None:
    """Measure what the options ask for, print it, and write it."""
    layers = find_layers(options.layers)
    pythons = peers.installed(dict(options.python))
    if options.peers is not None:
        pythons = {name: python for name, python in pythons.items() if name in ("konv", *options.peers)}
    turns = QUICK if options.quick else TURNS
    turns = turns._replace(rounds=options.rounds or turns.rounds)
    threads = options.threads or konv.config.get_num_threads()

    running = peers.start(pythons, threads, options.isa)
    try:
        report = {
            "machine": machine.describe(),
            "versions": {peer.name: peer.versions for peer in running},
            "threads": threads,
            "rounds": turns.rounds,
            **_measure(layers, options.passes or ALL_PASSES, running, turns),
        }
    finally:
        for peer in running:
            peer.close()
    if options.json is not None:
        write_whole("konv bench", str(options.json), json.dumps(report, indent=1).encode() + b"\n")
        print(f"saved {options.json}")


def _measure(
    layers: dict[str, list[Layer]], passes: Sequence[str], running: list[Peer], turns: Turns
) -> dict[str, Any]:
    measured = running[0].ask("limits", cache_bytes=machine.last_cache_bytes(), seconds=SECONDS_OF_LIMITS)
    limits = Limits(**measured)
    print(f"peak {limits.flops / 1e9:.1f} GFLOP/s, memory {limits.bandwidth / 1e9:.1f} GB/s")
    print(table.HEADER)
    results = []
    for name, members in layers.items():
        for layer in members:
            found: dict[str, Any] = {}
            for which in layer.passes:
                if which in passes:
                    found[which] = measure_layer(layer, which, running, turns, limits)
                    print(table.layer_line(layer.name, which, found[which]), flush=True)
            results.append({"list": name, "kind": layer.kind, **dataclasses.asdict(layer), "passes": found})
    means = summary.geometric_means(results)
    for line in table.mean_lines(means):
        print(line)
    return {
        "limits": {"gflops": round(limits.flops / 1e9, 1), "gbps": round(limits.bandwidth / 1e9, 1)},
        "geometric_means": means,
        "totals": summary.network_totals(results),
        "layers": results,
    }


def _interpreter(text: str) -> tuple[str, str]:
    """Type of an option that names a library and a Python that has it."""
    library, _, python = text.partition("=")
    if library not in LIBRARIES or not python:
        raise argparse.ArgumentTypeError(f"must be LIBRARY=PYTHON, received {text!r}")
    return library, python
