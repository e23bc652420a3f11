"""The harness: results are checked before they are timed, and the peers take turns.

Each round goes through the peers in the opposite order of the one before. A turn is one call to wake up, then
calls for some time, of which the mean counts; a time is the median over the rounds.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from konv.bench.layer import Array
from konv.bench.peers import Peer

# Over the largest value. The largest error measured, Winograd's, is 2.4e-5; a wrong tap's is above 1e-2.
TOLERANCE = 1e-4


class WrongResultError(ValueError):
    """A peer's result isn't right, so its time means nothing."""


class Turns(NamedTuple):
    """How long to measure: so many turns for each peer, of so many seconds."""

    rounds: int
    seconds: float


def results(peers: Sequence[Peer]) -> dict[str, list[Array]]:
    """Compute what is prepared once with each peer."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for peer in peers:
            path = Path(folder) / f"{peer.name}.npz"
            peer.save_result(path)
            with np.load(path) as file:
                found[peer.name] = [file[name] for name in file.files]
            path.unlink()
    return found


def difference(found: Sequence[Array], wanted: Sequence[Array]) -> float:
    """Return the largest difference over the largest value, infinite where a result is NaN or misshaped."""
    largest = 0.0
    if len(found) != len(wanted):
        return np.inf
    for one, other in zip(found, wanted, strict=True):
        if one.shape != other.shape:
            return np.inf
        gap = float(np.abs(one - other).max()) / (float(np.abs(other).max()) or 1.0)
        largest = max(largest, gap) if np.isfinite(gap) else np.inf
    return largest


def require_right(what: str, error: float, tolerance: float = TOLERANCE) -> float:
    """Return an error that is small enough."""
    if not error <= tolerance:
        raise WrongResultError(
            f"{what}: wrong by {error:.1e} of the largest value, at most {tolerance:g} expected"
        )
    return error


def seconds_in_turns(peers: Sequence[Peer], turns: Turns) -> dict[str, float]:
    """Time what is prepared: the median over the rounds for each peer."""
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(turns.rounds):
        for peer in peers if turn % 2 == 0 else reversed(peers):
            seconds[peer.name].append(peer.seconds_per_call(turns.seconds))
    return {name: statistics.median(times) for name, times in seconds.items()}


def ratio_to_best_peer(seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return who is the best peer and how many times faster Konv is; nothing where it ran alone."""
    others = {name: time for name, time in seconds.items() if name != "konv"}
    if not others:
        return {}
    best = min(others, key=others.__getitem__)
    return {"best_peer": best, "ratio": round(others[best] / seconds["konv"], 3)}


def milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    """Round times for a file."""
    return {name: round(1e3 * time, 4) for name, time in seconds.items()}
