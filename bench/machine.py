"""The machine that a benchmark runs on: what its results file says of it and is named for."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

import numpy as np

from konv import __version__ as konv_version


def describe() -> dict[str, str | int]:
    """CPU, the cores that this process may use, operating system, Python, and the time now (UTC)."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def versions(torch_python: str | None) -> dict[str, str]:
    """Of what a benchmark compares: this process's Konv and NumPy, and the PyTorch of another Python."""
    found = {"konv": konv_version, "numpy": np.__version__}
    if torch_python:
        code = "import torch; print(torch.__version__)"
        done = subprocess.run([torch_python, "-c", code], check=True, capture_output=True, text=True)
        found["torch"] = done.stdout.strip()
    return found


def results_file(benchmark: str) -> Path:
    """Where a benchmark's results on this machine go, such as results/conv-amd-epyc-9r14.json."""
    cpu = re.sub(r"[^a-z0-9]+", "-", _cpu_name().lower()).strip("-")
    return Path(__file__).parent / "results" / f"{benchmark}-{cpu}.json"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
