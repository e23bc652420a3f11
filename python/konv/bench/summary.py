"""What many results say together: geometric means of ratios, and the times of whole networks."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIRST_LAYER_CHANNELS = 3  # up to so many, a layer reads images, whose gradient nobody needs
WITHOUT_SUMS = ("max_pool", "avg_pool", "relu")


def geometric_means(layers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarize ratios by list, kind of layer and pass: the mean, how many, and the smallest.

    Gradients of x of first layers are left out of the mean. Pooling and ReLU have a mean together too.
    """
    ratios: dict[tuple[str, str, str], dict[str, float]] = {}
    for layer in layers:
        for which, result in layer["passes"].items():
            first = which == "grad_x" and layer["C"] <= FIRST_LAYER_CHANNELS
            if "ratio" not in result or first:
                continue
            groups = [((layer["list"], layer["kind"], which), layer["name"])]
            if layer["kind"] in WITHOUT_SUMS:
                groups.append(((layer["list"], "pool, relu", "all"), f"{layer['name']} {which}"))
            for key, member in groups:
                ratios.setdefault(key, {})[member] = result["ratio"]
    return [
        {
            **dict(zip(("list", "kind", "pass"), key, strict=True)),
            "ratio": round(statistics.geometric_mean(group.values()), 3),
            "members": len(group),
            "smallest": min(group.values()),
            "smallest_member": min(group, key=group.__getitem__),
        }
        for key, group in ratios.items()
    ]


def network_totals(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add up the milliseconds of each list's layers, as often as its network has them, by pass and peer."""
    totals: dict[tuple[str, str], dict[str, float]] = {}
    for layer in layers:
        for which, result in layer["passes"].items():
            total = totals.setdefault((layer["list"], which), {})
            for peer, time in result["ms"].items():
                total[peer] = total.get(peer, 0.0) + layer["count"] * time
    return [
        {"list": name, "pass": which, "ms": {peer: round(time, 3) for peer, time in total.items()}}
        for (name, which), total in totals.items()
    ]
