"""`import konv`: cheap, complete, and clear about what isn't there."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import subprocess
import sys
import types

import pytest

import konv


def loaded_by(statement: str) -> set[str]:
    """Modules that a new process has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_loads_the_kernels_and_nothing_that_can_wait():
    extra = loaded_by("import numpy, konv") - loaded_by("import numpy")
    packages = {name.partition(".")[0] for name in extra} - sys.stdlib_module_names
    assert {name for name in extra if name.partition(".")[0] in packages} == {
        "konv",
        "konv._core",
        "konv._version",
        "konv._wait_policy",
    }


@pytest.mark.parametrize("setting", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "passive"}])
def test_import_leaves_the_environment_as_it_was(setting):
    code = "import os; before = dict(os.environ); import konv; assert dict(os.environ) == before"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    subprocess.run([sys.executable, "-c", code], check=True, env=environment | setting)


@pytest.mark.parametrize("name", [name for name in konv.__all__ if name != "__version__"])
def test_every_public_name_is_there(name):
    code = f"import konv; assert konv.{name} is konv.{name}; from konv import {name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def public_modules(module):
    """The module and those among its public names, and so on."""
    named = [getattr(module, name) for name in module.__all__]
    below = [each for each in named if isinstance(each, types.ModuleType)]
    return [module, *itertools.chain.from_iterable(map(public_modules, below))]


@pytest.mark.parametrize("module", public_modules(konv), ids=lambda module: module.__name__)
def test_dir_lists_the_public_names_alone(module):
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_dir_lists_what_has_not_loaded_yet():
    code = "import konv; assert dir(konv) == sorted(konv.__all__)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"^module 'konv' has no attribute 'no_such_name'$"):
        _ = konv.no_such_name


def test_version_is_the_installed_one():
    assert konv.__version__ == importlib.metadata.version("konv")


def test_isa_that_the_cpu_lacks():
    environment = {**os.environ, "KONV_ISA": "no_such_isa"}
    done = subprocess.run(
        [sys.executable, "-c", "import konv"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last_line = done.stderr.splitlines()[-1]
    assert last_line.startswith("ImportError: ")
    assert "no_such_isa" in last_line
    assert "baseline" in last_line or "neon" in last_line
