"""The harness: results are checked before they are timed, and the peers take turns.

Each round goes through the peers in the opposite order of the one before. A turn is one call to wake up, then
calls for some time, of which the mean counts; a time is the median over the rounds.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from konv.bench import exact
from konv.bench.layer import Array, Layer
from konv.bench.machine import last_cache_bytes
from konv.bench.peers import Peer

# Over the largest value. The largest error measured, Winograd's, is 2.4e-5; a wrong tap's is above 1e-2.
TOLERANCE = 1e-4


class WrongResult(ValueError):  # noqa: N818
    """A peer's result isn't right, so its time means nothing."""


class Turns(NamedTuple):
    """How long to measure: so many turns for each peer, of so many seconds."""

    rounds: int
    seconds: float


class Limits(NamedTuple):
    """What the machine can do, measured: operations and bytes of memory a second."""

    flops: float
    bandwidth: float


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
        raise WrongResult(
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


def measure_layer(
    layer: Layer, which: str, peers: Sequence[Peer], turns: Turns, limits: Limits
) -> dict[str, Any]:
    """Check and time a pass of a layer; the first peer is Konv.

    Konv is compared with float64 at some places, and every peer with Konv everywhere.
    """
    for peer in peers:
        peer.prepare("layer", layer=dataclasses.asdict(layer), which=which, cache_bytes=last_cache_bytes())
    found = results(peers)
    what = f"{layer.name} {which}"
    error = require_right(f"{what} of konv", exact.error(layer, which, layer.data(), found["konv"]))
    for name, result in found.items():
        require_right(f"{what} of konv and {name}", difference(result, found["konv"]))
    del found
    seconds = seconds_in_turns(peers, turns)
    flops, moved = layer.flops / seconds["konv"], layer.bytes_of(which) / seconds["konv"]
    return {
        "ms": milliseconds(seconds),
        **({"gflops": round(flops / 1e9, 2), "of_peak": round(flops / limits.flops, 4)} if flops else {}),
        "gbps": round(moved / 1e9, 2),
        "of_bandwidth": round(moved / limits.bandwidth, 4),
        **ratio_to_best_peer(seconds),
        "error": float(f"{error:.2g}"),
    }
