"""Break each kernel and driver on purpose, and see that a test fails: `python tests/mutants`.

Works on a copy of the sources in a temporary folder: builds it, checks that its tests pass, then for each
mutant replaces one piece of text, builds, and runs the tests that must notice. Prints a line per mutant; the
exit status is 1 if one survived. The files beside this one list the mutants. Runs outside CI, for it takes
about half an hour on 2 cores.

Needs what `pip install '.[test]'` installs, and cmake, ninja and pybind11.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import activations
import conv2d_drivers
import conv2d_kernels
import conv2d_winograd
import normalization
import optimizers
import pooling
import random_numbers
import runtime

MODULES = (
    conv2d_kernels,
    conv2d_drivers,
    conv2d_winograd,
    pooling,
    activations,
    normalization,
    optimizers,
    random_numbers,
    runtime,
)
ROOT = Path(__file__).resolve().parents[2]
COPIED = ("CMakeLists.txt", "pyproject.toml", "csrc", "python", "tests")
SECONDS = 600  # for the tests of one mutant: one that makes them hang is caught too
MEMORY = 16 << 30  # of a test process: a mutant may ask for any amount


class MutantsError(Exception):
    """The list of mutants, the sources or the machine need attention."""


@dataclass(frozen=True)
class Mutant:
    """One piece of a file, replaced, and the tests (files, or functions in them) that must notice."""

    file: str
    what: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.file.removesuffix('.cpp')}: {self.what}"

    def apply(self, root: Path) -> str:
        """Return the broken text of the file. What it replaces must be there exactly once, and its tests."""
        for test in self.tests:
            file, _, function = test.partition("::")
            if function and f"\ndef {function}(" not in (root / file).read_text(encoding="utf-8"):
                raise MutantsError(f"{self.name}: no test {test}")
        text = (root / "csrc" / self.file).read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise MutantsError(
                f"{self.name}: the text to replace occurs {count} times, expected 1:\n{self.old}"
            )
        return text.replace(self.old, self.new)


MUTANTS = [
    Mutant(file, what, old, new, tuple(f"tests/{test}" for test in tests.split()))
    for module in MODULES
    for file, rows in module.MUTANTS.items()
    for what, old, new, tests in rows
]


class Tree:
    """A copy of the sources that can be built and tested again and again."""

    def __init__(self, root: Path, jobs: int) -> None:
        self.root, self.build, self.jobs = root, root / "build", jobs
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, root / name, ignore=shutil.ignore_patterns(".*", "*.so", "__pycache__")
                )
            else:
                shutil.copy(ROOT / name, root / name)
        # Without optimisation a kernel compiles ten times faster, and the tests are on tiny images. A build
        # type of CMake's own would bring its optimisation along.
        self.call(
            *("cmake", "-S", str(root), "-B", str(self.build), "-G", "Ninja"),
            *("-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O0", f"-DPython_EXECUTABLE={sys.executable}"),
            f"-Dpybind11_DIR={self.call(sys.executable, '-m', 'pybind11', '--cmakedir').strip()}",
        )

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise MutantsError(f"{' '.join(command)} failed:\n{done.stdout}")
        return done.stdout

    def compile(self) -> None:
        """Build the extension and put it into the copied package."""
        self.call("cmake", "--build", str(self.build), "--parallel", str(self.jobs))
        for module in self.build.glob("_core.*.so"):
            shutil.copy(module, self.root / "python" / "konv")

    def test(self, tests: Sequence[str]) -> tuple[bool, str]:
        """Run tests up to the first failure; return whether all passed, and else what failed."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KONV_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests],
            cwd=self.root,
            env={**environment, "PYTHONPATH": str(self.root / "python")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return False, "timed out"
        if process.returncode < 0:
            return False, f"crashed: {signal.Signals(-process.returncode).name}"
        if process.returncode > 1:  # no test ran
            raise MutantsError(f"pytest {' '.join(tests)} failed:\n{output}")
        failed = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", output, re.MULTILINE)
        return process.returncode == 0, failed[1] if failed else ""

    def check_import(self) -> None:
        """An editable installation of Konv would win over PYTHONPATH, and its kernels would be tested."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / "python")}
        code = "import konv._core; print(konv._core.__file__)"
        found = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        if not Path(found).is_relative_to(self.root):
            raise MutantsError(f"konv must not be installed in editable mode, but it is: {found.strip()}")


def run(mutants: Sequence[Mutant], jobs: int) -> bool:
    """Print what becomes of each mutant; return whether all were caught."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="konv-mutants-") as folder:
        tree = Tree(Path(folder), jobs)
        broken = [mutant.apply(tree.root) for mutant in mutants]
        tree.compile()
        tree.check_import()
        passed, failed = tree.test(sorted({test for mutant in mutants for test in mutant.tests}))
        if not passed:
            raise MutantsError(f"the sources as they are must pass, but this test fails: {failed}")
        print(f"built, unbroken, tests pass [{time.monotonic() - start:.0f} s]", flush=True)
        caught = 0
        for mutant, text in zip(mutants, broken, strict=True):
            path = tree.root / "csrc" / mutant.file
            whole = path.read_text(encoding="utf-8")
            path.write_text(text, encoding="utf-8")
            try:
                tree.compile()
                survived, caught_by = tree.test(mutant.tests)
            except MutantsError as error:
                print(f"FAILED  {mutant.name}: {error}", flush=True)
            else:
                print(
                    f"SURVIVED  {mutant.name}" if survived else f"caught  {mutant.name}  ({caught_by})",
                    flush=True,
                )
                caught += not survived
            path.write_text(whole, encoding="utf-8")
    print(f"{caught} of {len(mutants)} mutants caught [{time.monotonic() - start:.0f} s]")
    return caught == len(mutants)


def require_programs(parser: argparse.ArgumentParser) -> None:
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    missing = [module for module in ("pytest", "hypothesis", "pybind11") if find_spec(module) is None]
    missing += [program for program in ("cmake", "ninja") if shutil.which(program) is None]
    if missing:
        parser.error(f"please install {', '.join(missing)} first: pip install {' '.join(missing)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", metavar="PATTERN", default="", help="only mutants whose name matches (a regex)"
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="compilers at a time"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the names, and check that texts and tests are there"
    )
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if re.search(arguments.only, mutant.name)]
    if not mutants:
        parser.error(f"--only must match the name of a mutant, received {arguments.only!r}")
    try:
        if arguments.list:
            for mutant in mutants:
                mutant.apply(ROOT)
                print(mutant.name)
            return
        require_programs(parser)
        if not run(mutants, arguments.jobs):
            sys.exit(1)
    except MutantsError as error:
        sys.exit(f"mutants: {error}")


if __name__ == "__main__":
    main()
