"""Types of options that several commands take."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MOST = 2**63 - 1  # of what can be counted


def integer(low: int, high: int) -> Callable[[str], int]:
    """Type of an option that takes an integer from `low` to `high`."""
    wanted = f"an integer of at least {low}" if high == MOST else f"an integer from {low} to {high}"

    def parse(text: str) -> int:
        value: int | None
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {wanted}, received {text!r}")
        return value

    return parse
