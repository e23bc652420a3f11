"""What `konv bench` measures: each function starts its peers, checks, times, prints and returns results."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from konv.bench import exact, machine, peers, summary, table
from konv.bench.course_network import BATCH, DROPOUT
from konv.bench.harness import (
    Turns,
    difference,
    milliseconds,
    ratio_to_best_peer,
    require_right,
    results,
    seconds_in_turns,
)
from konv.bench.layer import Layer
from konv.bench.network import NETWORKS
from konv.bench.peers import Peer

SECONDS_OF_LIMITS = 0.1  # of each, beside what it limits: clocks, and what others leave of memory, change
# Of the highest of the run: clocks vary less, and memory that is only written moves 0.57 of what a copy does.
# Below it something else took the cores, and the pass's share would be several times the true one.
UNDISTURBED = 0.4
TRIES = 5
COPY = (1, 1)  # bytes read for bytes written
LONGER = 10  # times as long are turns of a training step or a network
# Adam divides a gradient by its size, so that rounding in a gradient of almost 0 can turn a weight's first
# step of 0.001: the later losses may differ by some 1e-3, the first by rounding only.
LOSS_TOLERANCES = (1e-5, 5e-3, 5e-3)
NETWORK_TOLERANCE = 1e-3  # each of some fifty layers adds the rounding of one
EPOCH_IMAGES = 60_000  # of Fashion-MNIST


class Settings(NamedTuple):
    """Who is measured, and how."""

    pythons: Mapping[str, str]
    threads: int
    isa: str | None
    turns: Turns

    def started(self, subject: str) -> Any:
        """Start the peers for something to measure."""
        return peers.started(subject, self.pythons, self.threads, self.isa)


class Limits(NamedTuple):
    """What the machine can do, measured: operations a second, and bytes of memory where it copies, and where
    it reads and writes in the ratio of a pass."""

    flops: float
    copy: float
    mix: float


def _limits(konv: Peer, traffic: tuple[int, int], earlier: Sequence[Limits]) -> Limits:
    """Measure what the machine can do now; again where that is far below what it did earlier in the run."""
    cache = machine.last_cache_bytes()

    def flops() -> float:
        measured: float = konv.ask("flops", seconds=SECONDS_OF_LIMITS)
        return measured

    def bandwidth(read: int, written: int) -> float:
        how = {"read": read, "written": written, "cache_bytes": cache}
        measured: float = konv.ask("bandwidth", **how, seconds=SECONDS_OF_LIMITS)
        return measured

    return Limits(
        _undisturbed(flops, [limits.flops for limits in earlier]),
        _undisturbed(lambda: bandwidth(*COPY), [limits.copy for limits in earlier]),
        _undisturbed(lambda: bandwidth(*traffic), [limits.copy for limits in earlier]),
    )


def _undisturbed(measure: Callable[[], float], earlier: Sequence[float]) -> float:
    """Measure up to so many times, until it is near what was measured earlier; the highest counts."""
    found = 0.0
    for _ in range(TRIES):
        found = max(found, measure())
        if found >= UNDISTURBED * max(earlier, default=0.0):
            break
    return found


def layers(
    settings: Settings, lists: Mapping[str, Sequence[Layer]], passes: Collection[str]
) -> dict[str, Any]:
    """Measure passes of layers, and what the machine can do beside each."""
    with settings.started("layer") as running:
        print(table.HEADER)
        measured = []
        all_limits: list[Limits] = []
        for name, members in lists.items():
            for layer in members:
                found: dict[str, Any] = {}
                for which in layer.passes:
                    if which in passes:
                        limits = _limits(running[0], layer.traffic_of(which), all_limits)
                        all_limits.append(limits)
                        found[which] = _layer(layer, which, running, settings.turns, limits)
                        print(table.layer_line(layer.name, which, found[which]), flush=True)
                shape = dataclasses.asdict(layer)
                measured.append({"list": name, "kind": layer.kind, **shape, "passes": found})
        versions = {peer.name: peer.versions for peer in running}
    limits = Limits(*(statistics.median(values) for values in zip(*all_limits, strict=True)))
    print(f"peak {limits.flops / 1e9:.1f} GFLOP/s, memory {limits.copy / 1e9:.1f} GB/s (medians)")
    means, totals = summary.geometric_means(measured), summary.network_totals(measured)
    for line in (*table.total_lines(totals), *table.mean_lines(means)):
        print(line)
    return {
        "versions": versions,
        "limits": {"gflops": round(limits.flops / 1e9, 1), "gbps": round(limits.copy / 1e9, 1)},
        "geometric_means": means,
        "totals": totals,
        "layers": measured,
    }


def _layer(layer: Layer, which: str, running: Sequence[Peer], turns: Turns, limits: Limits) -> dict[str, Any]:
    """Check and time a pass: Konv against float64 at some places, every peer against Konv everywhere."""
    shape, cache = dataclasses.asdict(layer), machine.last_cache_bytes()
    for peer in running:
        peer.prepare("layer", layer=shape, which=which, cache_bytes=cache)
    found = results(running)
    what = f"{layer.name} {which}"
    error = require_right(f"{what} of konv", exact.error(layer, which, layer.data(), found["konv"]))
    for name, result in found.items():
        require_right(f"{what} of konv and {name}", difference(result, found["konv"]))
    del found
    seconds = seconds_in_turns(running, turns)
    flops, moved = layer.flops / seconds["konv"], layer.bytes_of(which) / seconds["konv"]
    return {
        "ms": milliseconds(seconds),
        **({"gflops": round(flops / 1e9, 2), "of_peak": round(flops / limits.flops, 4)} if flops else {}),
        "gbps": round(moved / 1e9, 2),
        "of_copy": round(moved / limits.copy, 4),
        "of_mix": round(moved / limits.mix, 4),
        **ratio_to_best_peer(seconds),
        "error": float(f"{error:.2g}"),
    }


def step(settings: Settings) -> dict[str, Any]:
    """Measure the training step of the course's network, and the memory that it takes."""
    with settings.started("step") as running:
        for peer in running:
            peer.prepare("step", dropout=0.0, steps=len(LOSS_TOLERANCES))
        losses = {name: found[0] for name, found in results(running).items()}
        for name, found in losses.items():
            gaps = abs(found - losses["konv"]) / abs(losses["konv"])
            for gap, tolerance in zip(gaps, LOSS_TOLERANCES, strict=True):
                require_right(f"losses of konv and {name}", float(gap), tolerance)
        for peer in running:
            peer.prepare("step", dropout=DROPOUT, steps=1)
        seconds = seconds_in_turns(running, _longer(settings.turns))
        memory = {peer.name: round(peer.ask("peak_bytes") / 2**20, 1) for peer in running}
        versions = {peer.name: peer.versions for peer in running}
    result = {"batch": BATCH, "ms": milliseconds(seconds), **ratio_to_best_peer(seconds)}
    for name, time in result["ms"].items():
        print(f"training step, {name:<24}{time:9.2f} ms, at most {memory[name]:7.1f} MiB")
    if "ratio" in result:
        print(f"training step, konv{table.peer_cell(result)}")
    return {"versions": versions, **result, "memory_mib": memory, "losses": losses["konv"].tolist()}


def epoch(settings: Settings) -> dict[str, Any]:
    """Measure an epoch of so many images as Fashion-MNIST has, through `fit` and as the sum of its steps."""
    with settings.started("epoch") as (konv,):
        times: dict[bool, list[float]] = {True: [], False: []}
        for through_fit in (False, True, True, False):
            konv.prepare("epoch", images=EPOCH_IMAGES, through_fit=through_fit)
            times[through_fit].append(konv.ask("seconds_of_one_call"))
    fit, steps = (sum(times[through_fit]) / 2 for through_fit in (True, False))
    print(
        f"epoch of {EPOCH_IMAGES} images: fit {fit:.2f} s, its steps {steps:.2f} s, {fit / steps:.3f} of them"
    )
    return {
        "images": EPOCH_IMAGES,
        "fit_s": round(fit, 3),
        "steps_s": round(steps, 3),
        "ratio": round(fit / steps, 4),
    }


def inference(settings: Settings, batches: Sequence[int]) -> dict[str, Any]:
    """Measure whole networks with random weights."""
    measured = []
    with settings.started("network") as running:
        for name in NETWORKS:
            for batch in batches:
                for peer in running:
                    peer.prepare("network", name=name, batch=batch)
                found = results(running)
                for other, result in found.items():
                    error = difference(result, found["konv"])
                    require_right(f"{name} of konv and {other}", error, NETWORK_TOLERANCE)
                seconds = seconds_in_turns(running, _longer(settings.turns))
                times = {"ms": milliseconds(seconds), **ratio_to_best_peer(seconds)}
                measured.append({"network": name, "batch": batch, **times})
                line = f"inference, {name:<14} batch {batch}{times['ms']['konv']:10.2f} ms"
                print(f"{line}{table.peer_cell(times)}", flush=True)
        versions = {peer.name: peer.versions for peer in running}
    return {"versions": versions, "networks": measured}


def calls(settings: Settings) -> dict[str, Any]:
    """Measure what `konv.ops.conv2d` costs over the kernel module's function, on a tiny input."""
    times: dict[bool, list[float]] = {True: [], False: []}
    with settings.started("call") as (konv,):
        for _ in range(settings.turns.rounds):
            for bare in (True, False):
                konv.prepare("call", bare=bare)
                times[bare].append(konv.seconds_per_call(settings.turns.seconds))
    bare_us, ops_us = (1e6 * statistics.median(times[bare]) for bare in (True, False))
    print(f"smallest call: konv.ops.conv2d {ops_us:.2f} us, {ops_us - bare_us:.2f} us over the bare function")
    return {
        "ops_us": round(ops_us, 3),
        "bare_us": round(bare_us, 3),
        "overhead_us": round(ops_us - bare_us, 3),
    }


def _longer(turns: Turns) -> Turns:
    return turns._replace(seconds=LONGER * turns.seconds)
