"""Every docstring's examples run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import konv

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(konv.__path__, "konv.")
    if module.name not in ("konv.__main__", "konv._core")
    and not module.name.startswith("konv.bench.libraries.")  # import what they measure
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
