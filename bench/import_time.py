"""What `import konv` costs over `import numpy`: the median over new processes.

    python bench/import_time.py [--limit MILLISECONDS] [--out results/import_time.json]

Each process imports NumPy, then Konv, and times the second; one process before those warms the file cache.
With --limit the exit status is 1 where the median is above it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from konv.bench import machine

PROCESSES = 15
MEASURE = """
from time import perf_counter
start = perf_counter()
import numpy
middle = perf_counter()
import konv
print(1e3 * (middle - start), 1e3 * (perf_counter() - middle))
"""


def measure() -> tuple[float, float]:
    """Milliseconds that NumPy's import took in a new process, and Konv's after it."""
    done = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True)
    numpy_ms, konv_ms = map(float, done.stdout.split())
    return numpy_ms, konv_ms


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Time of `import konv` over `import numpy`.")
    parser.add_argument("--limit", type=float, help="fail above this many milliseconds")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    measure()
    times = [measure() for _ in range(PROCESSES)]
    numpy_ms, konv_ms = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"import numpy {numpy_ms:.1f} ms, import konv {konv_ms:.1f} ms more (median of {PROCESSES} processes)"
    )
    if options.out is not None:
        result = {"machine": machine.describe(), "numpy_ms": round(numpy_ms, 2), "konv_ms": round(konv_ms, 2)}
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    if options.limit is not None and konv_ms > options.limit:
        print(f"import konv: takes {konv_ms:.1f} ms, at most {options.limit:g} ms expected", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
