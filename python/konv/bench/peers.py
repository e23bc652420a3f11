"""The libraries that are measured, each in worker processes of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

WORKER = Path(__file__).parent / "worker.py"


class Library(NamedTuple):
    """The packages that its worker imports, and its peers by what is measured."""

    packages: tuple[str, ...]
    peers: Mapping[str, tuple[str, ...]]
    any_isa: bool = True  # it can be held to an instruction set


_KONV = ("konv",)
_LAYOUTS = ("torch_nchw", "torch_nhwc")
_COMPILED = ("torch_nchw_compiled", "torch_nhwc_compiled")
LIBRARIES = {
    "konv": Library(("konv",), dict.fromkeys(("layer", "step", "epoch", "network", "call"), _KONV)),
    "torch": Library(("torch",), {"layer": _LAYOUTS, "step": _LAYOUTS + _COMPILED, "network": _LAYOUTS}),
    "onnxruntime": Library(("onnxruntime", "onnx"), {"network": ("onnxruntime",)}, any_isa=False),
    "tensorflow": Library(("tensorflow", "keras"), {"step": ("tensorflow",)}),
    "jax": Library(("jax", "keras"), {"step": ("jax",)}),
}
# What each instruction set of Konv is called elsewhere.
ISAS = {
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX512",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    },
}
# The threads of another peer may spin before they sleep, libgomp's for some milliseconds.
SECONDS_TO_SLEEP = 0.01


class Peer:
    """A library in a worker process, which is asked one thing at a time, a line of JSON each way.

    Parameters
    ----------
    name : str
        One of those in LIBRARIES.
    python : str
        An interpreter that has the library and NumPy.
    threads : int
        What it may compute with.
    isa : str, optional
        The instruction set that it may use at most; the machine's best unless given.
    """

    def __init__(self, name: str, python: str, threads: int, isa: str | None = None) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(WORKER), name, str(threads)],
            env={**os.environ, **environment(threads, isa)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where some libraries talk; errors are answers
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._answers = self._process.stdin, self._process.stdout
        try:
            self.versions: dict[str, str] = self.ask("start")
        except BaseException:
            self.close()
            raise

    def prepare(self, subject: str, **what: Any) -> None:
        """Make something ready to be measured; what was ready before is dropped."""
        self.ask("prepare", subject=subject, **what)

    def save_result(self, path: Path) -> None:
        """Compute once and save the result as NumPy arrays: `.npz`."""
        self.ask("save_result", path=str(path))

    def seconds_per_call(self, seconds: float) -> float:
        """Mean time of a call, calling for `seconds`."""
        time.sleep(SECONDS_TO_SLEEP)
        answer: float = self.ask("seconds_per_call", seconds=seconds)
        return answer

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a command and wait for its answer.

        Raises
        ------
        ChildProcessError
            If the worker failed.
        """
        with suppress(BrokenPipeError):  # the answer, which isn't there either, says so
            self._commands.write(json.dumps([command, arguments]) + "\n")
            self._commands.flush()
        line = self._answers.readline()
        if not line:
            raise ChildProcessError(f"{self.name}: its process ended, exit status {self._process.wait()}")
        answer: Any = None
        with suppress(ValueError):
            answer = json.loads(line)
        if not isinstance(answer, dict) or not answer.keys() & {"answer", "error"}:
            raise ChildProcessError(
                f"{self.name}: its interpreter must run {WORKER}, but answers {line[:60]!r}"
            )
        if "error" in answer:
            raise ChildProcessError(f"{self.name}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._commands, self._answers):
            with suppress(BrokenPipeError):  # what was not sent yet
                pipe.close()


def peers_of(library: str, subject: str, isa: str | None) -> tuple[str, ...]:
    """Return the peers of a library for what is measured, held to an instruction set if there is one."""
    described = LIBRARIES[library]
    return described.peers.get(subject, ()) if isa is None or described.any_isa else ()


def environment(threads: int, isa: str | None) -> dict[str, str]:
    """Return the variables that hold every library to as many threads and to an instruction set."""
    names = ("KONV_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    pins = {} if isa is None else {"KONV_ISA": isa, **ISAS.get(isa, {})}
    return {**dict.fromkeys(names, str(threads)), **pins}


def installed(pythons: Mapping[str, str]) -> dict[str, str]:
    """Find libraries: the interpreter of each, from `pythons` or, where it has the library, this one."""
    found = {"konv": sys.executable}
    for library, described in LIBRARIES.items():
        if library in pythons:
            found[library] = pythons[library]
        elif all(map(importlib.util.find_spec, described.packages)):
            found[library] = sys.executable
    return found


@contextmanager
def started(subject: str, pythons: Mapping[str, str], threads: int, isa: str | None) -> Iterator[list[Peer]]:
    """Start the peers for something to measure, Konv first, and end them when done."""
    with ExitStack() as stack:
        peers = []
        for library, python in pythons.items():
            for name in peers_of(library, subject, isa):
                peers.append(Peer(name, python, threads, isa))
                stack.callback(peers[-1].close)
        yield peers
