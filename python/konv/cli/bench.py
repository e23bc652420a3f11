"""`konv bench`: how fast Konv is on this machine, by itself and beside what else is there."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import konv
from konv import _core
from konv.bench import machine, peers, plot, sections
from konv.bench.harness import Turns
from konv.bench.layer import ALL_PASSES, LISTS, find_layers
from konv.bench.peers import LIBRARIES
from konv.bench.sections import Settings
from konv.cli.argument_types import MOST, integer
from konv.cli.history_plot import can_plot
from konv.models.whole_file import write_whole

TURNS = Turns(rounds=7, seconds=0.05)
QUICK = Turns(rounds=3, seconds=0.02)
# What each makes ready to be measured.
SECTIONS = {"layers": "layer", "step": "step", "epoch": "epoch", "inference": "network", "calls": "call"}
DEFAULT_LISTS = ("classic", "memory")
DRAWN_SECTIONS = {"layers", "step", "inference"}
DEFAULT_SECTIONS = ("layers", "step", "inference", "calls")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bench` to the commands."""
    about = "Measure how fast Konv is on this machine, beside the libraries that are installed."
    epilog = "Defaults stand in parentheses."
    parser = commands.add_parser("bench", help=about, description=about, epilog=epilog)
    add = parser.add_argument
    add(
        "sections",
        nargs="*",
        type=_section,
        metavar="SECTION",
        help=f"what to measure: {', '.join(SECTIONS)} ({' '.join(DEFAULT_SECTIONS)})",
    )
    add(
        "--layers",
        nargs="+",
        metavar="NAME",
        help=f"lists ({', '.join(LISTS)}), layers in them, or .csv files ({' '.join(DEFAULT_LISTS)})",
    )
    add(
        "--passes", nargs="+", choices=ALL_PASSES, metavar="PASS", help=f"only these: {', '.join(ALL_PASSES)}"
    )
    add("--threads", type=integer(1, 256), metavar="N", help="threads to compute with (the CPUs it may use)")
    add("--isa", choices=_core.available_isas(), help="instruction set of every library (its best)")
    add("--rounds", type=integer(1, MOST), metavar="N", help=f"turns of each library ({TURNS.rounds})")
    add("--quick", action="store_true", help="fewer and shorter turns: a first impression")
    others = [library for library in LIBRARIES if library != "konv"]
    add(
        "--peers",
        nargs="*",
        choices=others,
        metavar="LIBRARY",
        help=f"only these beside Konv: {', '.join(others)}; Konv alone if none is named (what is installed)",
    )
    add(
        "--python",
        action="append",
        type=_interpreter,
        default=[],
        metavar="LIBRARY=PYTHON",
        help="the interpreter of another environment that has a library",
    )
    add("--json", type=_file, metavar="FILE", help="write all results there")
    add("--plot", type=_file, metavar="FILE", help="draw bars and a roofline there, a PNG; needs matplotlib")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> None:
    """Measure what the options ask for, print it, and write it."""
    layers, passes = find_layers(options.layers or DEFAULT_LISTS), options.passes or ALL_PASSES
    if not any(which in passes for members in layers.values() for layer in members for which in layer.passes):
        options.parser.error("argument --passes: none of the layers has such a pass")
    asks_for_layers = options.layers or options.passes
    chosen = options.sections or (("layers",) if asks_for_layers else DEFAULT_SECTIONS)
    if options.plot is not None:  # before the work
        if not DRAWN_SECTIONS & set(chosen):
            options.parser.error(f"argument --plot: draws only {', '.join(sorted(DRAWN_SECTIONS))}")
        if not can_plot():
            raise ImportError("--plot needs matplotlib, which is not installed")
    pythons = _interpreters(options, chosen)
    turns = QUICK if options.quick else TURNS
    turns = turns._replace(rounds=options.rounds or turns.rounds)
    threads = options.threads or konv.config.get_num_threads()
    settings = Settings(pythons, threads, options.isa, turns)
    measure: dict[str, Callable[[], dict[str, Any]]] = {
        "layers": lambda: sections.layers(settings, layers, passes),
        "step": lambda: sections.step(settings),
        "epoch": lambda: sections.epoch(settings),
        "inference": lambda: sections.inference(settings, (1,) if options.quick else (1, 8)),
        "calls": lambda: sections.calls(settings),
    }
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "threads": threads,
        "isa": options.isa,
        "rounds": turns.rounds,
    }
    for section in chosen:
        report[section] = measure[section]()
    if options.json is not None:
        write_whole("--json", str(options.json), json.dumps(report, indent=1).encode() + b"\n")
        print(f"saved {options.json}")
    if options.plot is not None:
        plot.draw(report, options.plot)
        print(f"saved {options.plot}")


def _interpreters(options: argparse.Namespace, chosen: Sequence[str]) -> dict[str, str]:
    """Return the interpreter of each library that takes part."""
    pythons = peers.installed(dict(options.python))
    if options.peers is None:
        return pythons
    for name in options.peers:
        if name not in pythons:
            options.parser.error(
                f"argument --peers: {name} must be installed, or --python {name}=PYTHON name an "
                "interpreter that has it"
            )
        if not any(peers.peers_of(name, SECTIONS[section], options.isa) for section in chosen):
            held = "" if options.isa is None else f" held to {options.isa}"
            options.parser.error(f"argument --peers: {name}{held} has no part in {', '.join(chosen)}")
    return {name: python for name, python in pythons.items() if name in ("konv", *options.peers)}


def _section(text: str) -> str:
    """Type of an argument that names a section."""
    if text not in SECTIONS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(SECTIONS)}, received {text!r}")
    return text


def _file(text: str) -> Path:
    """Type of an option that takes a file to write, checked before the work."""
    path = Path(text)
    is_other = path.exists() and not path.is_file()  # a folder, a device
    if not text or is_other or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that is there, received {text!r}")
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be in a folder that can be written to, received {text!r}")
    return path


def _interpreter(text: str) -> tuple[str, str]:
    """Type of an option that names a library and a Python that has it."""
    library, _, python = text.partition("=")
    if library not in LIBRARIES or not python:
        raise argparse.ArgumentTypeError(f"must be LIBRARY=PYTHON, received {text!r}")
    return library, os.path.expanduser(python)  # which not every shell does behind a =
