"""The machine that a benchmark runs on: what its results file says of it and is named for."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path


def describe() -> dict[str, str | int]:
    """CPU, the cores that this process may use, operating system, Python, and the time now (UTC)."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


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
