"""Every docstring's examples run and print what they say; those of public names do as they are copied."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import types

import pytest

import konv

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(konv.__path__, "konv.")
    if module.name not in ("konv.__main__", "konv._core")
    and not module.name.startswith("konv.bench.libraries.")  # import what they measure
)


def public_names(module: types.ModuleType) -> set[str]:
    """Full names of the public functions and classes, by the modules that define them."""
    names = set()
    for value in (getattr(module, name) for name in module.__all__):
        if isinstance(value, types.ModuleType):
            names |= public_names(value)
        elif isinstance(value, (type, types.FunctionType)):
            names.add(f"{value.__module__}.{value.__qualname__}")
    return names


PUBLIC = public_names(konv)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        if any(test.name == public or test.name.startswith(f"{public}.") for public in PUBLIC):
            test.globs = {}  # as in a new session: the example brings its imports
        assert doctest.DocTestRunner().run(test).failed == 0, test.name


def test_examples_of_public_names_are_found() -> None:
    assert {"konv.layers.convolution.Conv2D", "konv.ops.conv.conv2d"} <= PUBLIC
