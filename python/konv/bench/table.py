"""What `konv bench` prints: a line for each result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

HEADER = f"{'layer':<24}{'pass':<12}{'ms':>9} {'GFLOP/s':>8} {'peak':>5} {'GB/s':>7} {'copy':>5} {'mix':>5}"


def layer_line(name: str, which: str, result: Mapping[str, Any]) -> str:
    """Show a pass: Konv's time, rates, shares of what the machine can do, and the best peer."""
    flops = f"{result['gflops']:8.1f} {result['of_peak']:5.0%}" if "gflops" in result else " " * 14
    line = f"{name:<24}{which:<12}{result['ms']['konv']:9.3f} {flops} {result['gbps']:7.1f} "
    return f"{line}{result['of_copy']:5.0%} {result['of_mix']:5.0%}{peer_cell(result)}"


def peer_cell(result: Mapping[str, Any]) -> str:
    """Show the best peer's time and how many times faster Konv is; nothing where it ran alone."""
    if "ratio" not in result:
        return ""
    best = result["best_peer"]
    return f"  {result['ratio']:6.2f}x {best} ({result['ms'][best]:.3f} ms)"


def mean_lines(means: Iterable[Mapping[str, Any]]) -> list[str]:
    """Show geometric means of how many times faster Konv is than the best peer."""
    return [
        f"{mean['list']:<14}{mean['kind']:<12}{mean['pass']:<12}{mean['ratio']:6.2f}x, the mean of "
        f"{mean['members']}, at least {mean['smallest']:.2f}x ({mean['smallest_member']})"
        for mean in means
    ]


def total_lines(totals: Iterable[Mapping[str, Any]]) -> list[str]:
    """Show the times of whole lists."""
    return [
        f"{total['list']:<14}{'all layers':<12}{total['pass']:<12}"
        + ", ".join(f"{peer} {time:.1f} ms" for peer, time in total["ms"].items())
        for total in totals
    ]
