"""Count the instructions of a fixed set of calls, and compare with the record: `python bench/instructions`.

Time on a shared machine is noise, instructions are not. Callgrind counts them, only those in Konv's
extension `_core`: not Python's, NumPy's or the C library's. Valgrind knows no AVX-512, so `_core` runs its
AVX2 kernels, on one thread.

The exit status is 1 if a call takes over 10% more than record.json says. A change that means to, or that
saves as much, changes the record along: `python bench/instructions --record`. Another compiler generates
other code: then nothing is compared, and a line says so. Needs Valgrind and a C compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from konv import _core

HERE = Path(__file__).resolve().parent
RECORD = HERE / "record.json"
ISA = "avx2"
LIMIT = 0.1  # of the recorded count
RECORD_AGAIN = "`python bench/instructions --record`"


def count() -> dict[str, int]:
    """Instructions of each call, by its name."""
    with tempfile.TemporaryDirectory(prefix="konv-instructions-") as folder:
        requests = Path(folder) / "client_requests.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", requests, HERE / "client_requests.c"], check=True)
        done = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out"),
                *("--dump-line=no", "--compress-strings=no", "--compress-pos=no"),
                *(sys.executable, HERE / "calls.py", requests),
            ],
            env={**os.environ, "KONV_ISA": ISA, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"valgrind failed:\n{done.stdout}")
        dumps = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        counts = dict(read_dump(dump.read_text()) for dump in dumps)
        del counts["warm-up"]
        return counts


def read_dump(text: str) -> tuple[str, int]:
    """The name of a dump and its instructions inside `_core`.

    See "Callgrind Format Specification" in Valgrind's manual: costs belong to the object and function named
    last; those of the line after "calls=" are the callee's, and counted there.
    """
    name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
    if name is None:
        raise RuntimeError(f"a dump of Callgrind's has no name:\n{text[:500]}")
    total, inside, callee = 0, False, False
    for line in text.splitlines():
        if line.startswith("ob="):
            inside = Path(line[3:]).name.startswith("_core.")
        elif line.startswith("calls="):
            callee = True
        elif line[:1].isdigit():
            if inside and not callee:
                total += int(line.split()[1])
            callee = False
    return name[1], total


def compare(counted: dict[str, int], recorded: dict[str, int]) -> bool:
    """Print each call's count beside its record; return whether none has grown beyond the limit."""
    grown, shrunk = [], []
    for name, instructions in counted.items():
        change = instructions / recorded[name] - 1
        print(f"{name:60} {instructions:>11,} {change:>+8.1%}")
        if change > LIMIT:
            grown.append(name)
        elif change < -LIMIT:
            shrunk.append(name)
    if shrunk:
        print(f"\nFewer than recorded; {RECORD_AGAIN} keeps it so:")
        print(*shrunk, sep="\n")
    if grown:
        print(f"\nMore than {LIMIT:.0%} above the record; where that is meant, {RECORD_AGAIN}:")
        print(*grown, sep="\n")
    return not grown


def main() -> int:
    """Count, then record or compare."""
    parser = argparse.ArgumentParser(description="Instructions of a fixed set of calls, inside _core only.")
    parser.add_argument("--record", action="store_true", help="write them to record.json")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("please install Valgrind first, which counts the instructions")
    record = json.loads(RECORD.read_text())
    compiler = _core.build_info()["compiler"]
    if ISA not in _core.available_isas():
        print(f"SKIPPED: this CPU has no {ISA}, whose instructions the record counts")
        return 0
    if not options.record and compiler != record["compiler"]:
        print(f"SKIPPED: the record is of {record['compiler']}, this build of {compiler}")
        return 0
    counted = count()
    if options.record:
        RECORD.write_text(json.dumps({"compiler": compiler, "instructions": counted}, indent=2) + "\n")
        return 0
    if counted.keys() != record["instructions"].keys():
        print(f"The calls are not those of the record: {RECORD_AGAIN}", file=sys.stderr)
        return 1
    return 0 if compare(counted, record["instructions"]) else 1


if __name__ == "__main__":
    sys.exit(main())
