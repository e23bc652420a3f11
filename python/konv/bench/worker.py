"""The process of one peer: reads a line of JSON for each command, writes one for each answer.

    python worker.py PEER THREADS

It is run by its path: a peer's Python need not have Konv, nor what Konv needs.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # this folder, whose names are not meant for others

import gc
import importlib
import json
import os
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np


class Worker:
    """What a peer can be asked."""

    def __init__(self, peer: str, threads: int) -> None:
        library = peer.partition("_")[0]
        self.peer, self.threads = peer, threads
        self.module: Any = importlib.import_module(f"konv.bench.libraries.{library}_peer")
        self.memory: Any = importlib.import_module("konv.bench.memory")
        self.versions: dict[str, str] = self.module.start(threads)
        self.held: int = self.memory.held_bytes()
        self.prepared: Any = None

    def start(self) -> dict[str, str]:
        """Say of what this process is a peer."""
        return self.versions

    def flops(self, **how: Any) -> float:
        """Measure the machine's operations a second; Konv's worker only."""
        flops: float = self.module.flops(**how)
        return flops

    def bandwidth(self, **how: Any) -> float:
        """Measure the machine's bytes a second; Konv's worker only."""
        bandwidth: float = self.module.bandwidth(**how)
        return bandwidth

    def prepare(self, subject: str, **what: Any) -> None:
        """Make something ready to be measured."""
        self.prepared = None
        gc.collect()
        self.memory.restart_peak()
        self.prepared = self.module.SUBJECTS[subject](self.peer, **what)

    def save_result(self, path: str) -> None:
        """Compute once and save the result's arrays; then compute on every copy."""
        with self.module.poisoned():
            np.savez(path, *self.prepared.result())
        self.prepared.warm_up()

    def seconds_per_call(self, seconds: float) -> float:
        """Mean time of a call."""
        time: float = self.prepared.seconds_per_call(seconds)
        return time

    def seconds_of_one_call(self) -> float:
        """Time of the very first call, for what takes long."""
        start = perf_counter()
        self.prepared.call(self.prepared.inputs[0])
        return perf_counter() - start

    def peak_bytes(self) -> int:
        """Memory held at most since the last `prepare`, beyond what the library itself takes."""
        peak: int = self.memory.peak_bytes()
        return max(0, peak - self.held)


def main(peer: str, threads: int) -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if not peer.startswith("konv"):
        package = ModuleType("konv")  # without what its __init__ imports
        package.__path__ = [str(Path(__file__).parents[1])]
        sys.modules["konv"] = package
    worker = None
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            worker = worker or Worker(peer, threads)
            answer = {"answer": getattr(worker, command)(**arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
