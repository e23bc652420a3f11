"""The README's example prints what the README says it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
NUMBER = re.compile(r"\d+\.\d+")


def blocks(language: str) -> list[str]:
    """Return the README's fenced blocks of a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_example_prints_its_output():
    (example,), (output,) = blocks("python"), blocks("text")
    done = subprocess.run([sys.executable, "-c", example], check=True, capture_output=True, text=True)
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", output)
    printed, promised = ([float(number) for number in NUMBER.findall(text)] for text in (done.stdout, output))
    assert printed == pytest.approx(
        promised, abs=0.02
    )  # instruction sets differ in the last bits of a training


def test_example_is_ten_lines():
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line]) <= 10


def test_commands_are_two():
    assert len(blocks("sh")) == 2
