"""The README's example prints what the README says it prints, and the names that it lists exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import konv

README = Path(__file__).parents[1] / "README.md"
ROW = re.compile(r"^\| `konv([\w.]*)` \| (.*) \|$", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")
SPEED = re.compile(r"[\d.]+ s, \d+ images/s")
NUMBER = re.compile(r"\d+\.\d+")


def block(language: str) -> str:
    """Return the README's only fenced block of a language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    (text,) = fence.findall(README.read_text(encoding="utf-8"))
    return text


def words_and_numbers(output: str) -> tuple[str, list[float]]:
    """Take output apart, leaving out what the clock decides."""
    output = SPEED.sub("", output)
    return NUMBER.sub("#", output), [float(number) for number in NUMBER.findall(output)]


def test_listed_names_exist():
    rows = ROW.findall(README.read_text(encoding="utf-8"))
    assert ".layers" in dict(rows)
    for path, names in rows:
        home = konv
        for part in path.split(".")[1:]:
            home = getattr(home, part)
        for name in NAME.findall(names):
            assert hasattr(home, name), f"konv{path}.{name}"


def test_example_prints_its_output():
    done = subprocess.run([sys.executable, "-c", block("python")], check=True, capture_output=True, text=True)
    printed, numbers = words_and_numbers(done.stdout)
    promised, promised_numbers = words_and_numbers(block("text"))
    assert printed == promised
    # Instruction sets differ in the last bits, so trainings on them end near each other.
    assert numbers == pytest.approx(promised_numbers, rel=0.05, abs=0.02)
