"""The memory that this process held at most, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path


def restart_peak() -> None:
    """Let the peak begin anew at what is held now."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def held_bytes() -> int:
    """Resident now; 0 where the system doesn't tell."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Resident at most since `restart_peak`; 0 where the system doesn't tell."""
    return _status("VmHWM")


def _status(field: str) -> int:
    status = Path("/proc/self/status")
    found = re.search(rf"^{field}:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return 1024 * int(found[1]) if found else 0
