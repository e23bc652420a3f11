"""The files of a fixture: NAME.json describes the cases, NAME.npz has the arrays, each as "case/array" (none,
no file)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


class Fixture:
    """Cases with their arrays."""

    def __init__(self) -> None:
        self._cases: list[dict[str, Any]] = []
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}

    def add(self, description: dict[str, Any], **arrays: Any) -> None:
        """Add a case; its description has a `name` of its own."""
        assert all(case["name"] != description["name"] for case in self._cases), description["name"]
        self._cases.append(description)
        for name, array in arrays.items():
            self._arrays[f"{description['name']}/{name}"] = np.asarray(array)

    def save(self, name: str) -> None:
        """Write both files; the same cases give the same bytes."""
        lines = ",\n".join(json.dumps(case) for case in self._cases)
        (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")
        if self._arrays:
            np.savez_compressed(FOLDER / f"{name}.npz", **self._arrays)
