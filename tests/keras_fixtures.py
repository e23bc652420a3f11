"""Reads the fixtures that tests/data/keras/record.py recorded from Keras."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]

FOLDER = Path(__file__).parent / "data" / "keras"


class Case:
    """One case of a fixture: `case["..."]` is of its description, `case.array("...")` one of its arrays."""

    def __init__(self, fixture: str, description: dict[str, Any]) -> None:
        self._fixture = fixture
        self.description = description

    def __getitem__(self, key: str) -> Any:
        return self.description[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.description.get(key, default)

    def __contains__(self, array: str) -> bool:
        return f"{self['name']}/{array}" in _arrays(self._fixture)

    def array(self, name: str) -> Array:
        """Return an array."""
        return _arrays(self._fixture)[f"{self['name']}/{name}"]

    def arrays(self, prefix: str) -> list[Array]:
        """Return the arrays PREFIX_0, PREFIX_1, ... in order; there may be none."""
        found: list[Array] = []
        while f"{prefix}_{len(found)}" in self:
            found.append(self.array(f"{prefix}_{len(found)}"))
        return found


@functools.cache
def _arrays(fixture: str) -> dict[str, Array]:
    path = FOLDER / f"{fixture}.npz"
    if not path.exists():  # none of its cases has arrays
        return {}
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


@functools.cache
def cases(fixture: str) -> dict[str, Case]:
    """Return the cases of a fixture by name."""
    descriptions = json.loads((FOLDER / f"{fixture}.json").read_text(encoding="ascii"))
    return {each["name"]: Case(fixture, each) for each in descriptions}


def for_each_case(fixture: str, pattern: str = "", *, having: str = "name") -> pytest.MarkDecorator:
    """Parametrize `case` by the cases whose names start with a pattern and that have a key."""
    chosen = [
        case for case in cases(fixture).values() if re.match(pattern, case["name"]) and case.get(having)
    ]
    assert chosen, f"no case of {fixture} matches {pattern!r}"
    return pytest.mark.parametrize("case", chosen, ids=[case["name"] for case in chosen])


def rounding(dtype: Any, terms: int = 1) -> float:
    """Return the relative error of so many roundings of a dtype, each of half an epsilon at most."""
    return float(terms * np.finfo(dtype).eps / 2)
