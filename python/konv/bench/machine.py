"""The machine that a benchmark runs on."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

CACHE_BYTES = 32 << 20  # where the system doesn't tell


def describe() -> dict[str, str | int]:
    """CPU, the cores that this process may use, operating system, Python, and the time now (UTC)."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "last_cache_bytes": last_cache_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def last_cache_bytes() -> int:
    """Size of the last cache before memory."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    units = {"K": 10, "M": 20, "G": 30}
    found = [path.read_text().strip() for path in sizes]
    return max(
        (int(size[:-1]) << units[size[-1]] for size in found if size[-1:] in units), default=CACHE_BYTES
    )


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
