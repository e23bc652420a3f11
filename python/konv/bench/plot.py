"""The picture of a run of `konv bench`: bars beside the peers, and a roofline."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from konv.bench.layer import Layer
from konv.models.whole_file import write_whole

COLORS = {
    "konv": "#c8102e",
    "torch_nchw": "#8d99ae",
    "torch_nhwc": "#4a5a75",
    "torch_nchw_compiled": "#b7c0cf",
    "torch_nhwc_compiled": "#6f7f99",
    "onnxruntime": "#3a7d44",
    "tensorflow": "#e09f3e",
    "jax": "#7b5ea7",
}


class Bars(NamedTuple):
    """Groups of bars, one of each peer: its values by label."""

    title: str
    unit: str
    values: Mapping[str, Mapping[str, float]]
    limit: float | None = None  # a line across


def draw(report: Mapping[str, Any], picture: Path) -> None:
    """Draw what `konv bench` found, as `--json` writes it; the PNG is written whole.

    Raises
    ------
    ImportError
        If matplotlib isn't installed.
    """
    from matplotlib.figure import Figure  # drawn without pyplot: no display, no state of the process

    rows = list(_bars(report))
    measured = report.get("layers", {}).get("layers", [])
    has_roofline = bool(_points(measured, konv=True))
    count = len(rows) + has_roofline
    heights = [1.0] * len(rows) + [1.8] * has_roofline
    figure = Figure(figsize=(11, 2.6 * sum(heights)), layout="constrained")
    axes = figure.subplots(count, 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, row in zip(axes, rows, strict=False):
        _draw_bars(axis, row)
    if has_roofline:
        _draw_roofline(axes[-1], report["layers"])
    handles: dict[str, Any] = {}
    for axis in axes[: len(rows)]:
        handles |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(f"{report['machine']['cpu']}, {report['threads']} threads")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_whole("--plot", str(picture), content.getvalue())


def _bars(report: Mapping[str, Any]) -> Iterator[Bars]:
    """Yield a row of bars for each list and pass, and for the other sections."""
    found = report.get("layers", {})
    groups: dict[tuple[str, str, bool], dict[str, dict[str, float]]] = {}
    for layer in found.get("layers", []):
        for which, result in layer["passes"].items():
            work = _layer(layer).flops or _layer(layer).bytes_of(which)
            rates = {peer: work / ms / 1e6 for peer, ms in result["ms"].items()}
            groups.setdefault((layer["list"], which, "gflops" in result), {})[layer["name"]] = rates
    for (name, which, computes), values in groups.items():
        limit = found["limits"]["gflops" if computes else "gbps"]
        yield Bars(f"{name}: {which}", "GFLOP/s" if computes else "GB/s", values, limit)
    if "step" in report:
        yield Bars("training step of the course's network", "ms", {"batch 128": report["step"]["ms"]})
    networks = report.get("inference", {}).get("networks", [])
    if networks:
        images = {f"{n['network']}, batch {n['batch']}": _images_a_second(n) for n in networks}
        yield Bars("inference", "images/s", images)


def _images_a_second(network: Mapping[str, Any]) -> dict[str, float]:
    return {peer: 1e3 * network["batch"] / ms for peer, ms in network["ms"].items()}


def _layer(described: Mapping[str, Any]) -> Layer:
    return Layer(**{name: described[name] for name in Layer.__dataclass_fields__})


def _draw_bars(axis: Any, row: Bars) -> None:
    labels = list(row.values)
    peers = list(dict.fromkeys(peer for values in row.values.values() for peer in values))
    width = 0.8 / len(peers)
    for number, peer in enumerate(peers):
        places = [i + (number - (len(peers) - 1) / 2) * width for i in range(len(labels))]
        heights = [row.values[label].get(peer, 0.0) for label in labels]
        axis.bar(places, heights, width, label=peer, color=COLORS[peer])
    if row.limit is not None:
        axis.axhline(row.limit, color="black", linewidth=0.8, linestyle="--", label="measured limit")
    axis.set_title(row.title, loc="left", fontsize=10)
    axis.set_ylabel(row.unit)
    axis.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=7)
    axis.set_xlim(-0.6, len(labels) - 0.4)


def _points(measured: Sequence[Mapping[str, Any]], konv: bool) -> list[tuple[float, float]]:
    """Return (operations a byte, GFLOP/s) of Konv, or of the best peer, for each pass that computes."""
    points = []
    for described in measured:
        layer = _layer(described)
        for which, result in described["passes"].items():
            peer = "konv" if konv else result.get("best_peer")
            if layer.flops and peer:
                intensity = layer.flops / layer.bytes_of(which)
                points.append((intensity, layer.flops / result["ms"][peer] / 1e6))
    return points


def _draw_roofline(axis: Any, found: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogFormatter

    peak, bandwidth = found["limits"]["gflops"], found["limits"]["gbps"]
    peers, konv = _points(found["layers"], konv=False), _points(found["layers"], konv=True)
    if peers:
        axis.scatter(*zip(*peers, strict=True), s=14, color=COLORS["torch_nhwc"], label="best peer")
    axis.scatter(*zip(*konv, strict=True), s=14, color=COLORS["konv"], label="konv")
    ends = [min(x for x, _ in konv) / 2, peak / bandwidth, max(x for x, _ in konv) * 2]
    ends.sort()
    axis.plot(
        ends, [min(peak, bandwidth * x) for x in ends], color="black", linewidth=0.8, label="measured roof"
    )
    axis.set(xscale="log", yscale="log", xlabel="operations of the direct algorithm a byte", ylabel="GFLOP/s")
    for one in (axis.xaxis, axis.yaxis):  # plain numbers, also between the powers of ten where few layers are
        one.set_major_formatter(LogFormatter())
        one.set_minor_formatter(LogFormatter())
    axis.set_title("roofline: above it, Winograd needs fewer operations", loc="left", fontsize=10)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=7, frameon=False)
