"""What a pass's results must be, in float64 and at some places: formulas with loops over taps, no kernels.

Each function yields (index, values): what `result[index]` must be. Places are drawn at random, the corners
always among them, where padding shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from konv.bench.layer import Array, Layer

Samples = Iterator[tuple[tuple[Any, ...], Any]]

PLACES = 24
CHANNELS = 4  # of batch normalisation, whose sums run over all pixels
EPSILON = 1e-3


def samples(layer: Layer, which: str, data: Mapping[str, Array]) -> list[list[tuple[tuple[Any, ...], Any]]]:
    """Compute samples of each result that a peer gives for a pass (`KonvLayer.arrays`)."""
    if layer.op == "batch_norm":
        return _batch_norm(layer, which, data)
    op = "conv" if layer.op == "dense" else layer.op
    return [list(globals()[f"_{op}_{which}"](layer, data))]


def error(layer: Layer, which: str, data: Mapping[str, Array], found: list[Array]) -> float:
    """Return the largest error of a pass's results at the samples, over the largest of the exact values.

    It is infinite where a result is NaN, and where its shape is wrong.
    """
    largest = 0.0
    if [result.shape for result in found] != list(layer.result_shapes(which)):
        return np.inf
    for result, places in zip(found, samples(layer, which, data), strict=True):
        size = max(float(np.abs(values).max()) for _, values in places) or 1.0
        for index, values in places:
            gap = float(np.abs(result[index] - values).max())
            largest = max(largest, gap / size) if np.isfinite(gap) else np.inf
    return largest


def _places(*sizes: int) -> Iterator[tuple[int, ...]]:
    """Yield the first, the last and random places of an array."""
    random = np.random.default_rng(1)
    yield tuple(0 for _ in sizes)
    yield tuple(size - 1 for size in sizes)
    for _ in range(PLACES - 2):
        yield tuple(int(i) for i in random.integers(0, sizes))


def _windows(layer: Layer, h: int, w: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (p, q, r, s) for the outputs whose window reads a pixel of the input, with its place in them."""
    P, Q = layer.output_size
    for r, s in product(range(layer.R), range(layer.S)):
        p, beyond_p = divmod(h + layer.padding - r, layer.stride)
        q, beyond_q = divmod(w + layer.padding - s, layer.stride)
        if not (beyond_p or beyond_q) and 0 <= p < P and 0 <= q < Q:
            yield p, q, r, s


def _pixels(layer: Layer, p: int, q: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (h, w, r, s) for the pixels of the input that an output's window reads."""
    for r, s in product(range(layer.R), range(layer.S)):
        h, w = p * layer.stride + r - layer.padding, q * layer.stride + s - layer.padding
        if 0 <= h < layer.H and 0 <= w < layer.W:
            yield h, w, r, s


def _by_group(layer: Layer, kernel: Array) -> Any:
    """Return a kernel as (R, S, C / groups, groups, K / groups) in float64."""
    return kernel.astype(np.float64).reshape(*kernel.shape[:3], layer.groups, -1)


def _conv_forward(layer: Layer, data: Mapping[str, Array]) -> Samples:
    kernel = _by_group(layer, data["kernel"])
    for n, p, q in _places(layer.N, *layer.output_size):
        y = np.zeros((layer.groups, layer.K // layer.groups))
        for h, w, r, s in _pixels(layer, p, q):
            y += np.einsum("gc,cgk->gk", data["x"][n, h, w].reshape(layer.groups, -1), kernel[r, s])
        yield (n, p, q), y.ravel()


def _conv_grad_x(layer: Layer, data: Mapping[str, Array]) -> Samples:
    kernel = _by_group(layer, data["kernel"])
    for n, h, w in _places(layer.N, layer.H, layer.W):
        grad_x = np.zeros((layer.groups, layer.C // layer.groups))
        for p, q, r, s in _windows(layer, h, w):
            grad_x += np.einsum("gk,cgk->gc", data["grad"][n, p, q].reshape(layer.groups, -1), kernel[r, s])
        yield (n, h, w), grad_x.ravel()


def _conv_grad_kernel(layer: Layer, data: Mapping[str, Array]) -> Samples:
    P, Q = layer.output_size
    pad = (layer.padding, layer.padding)
    x = np.pad(data["x"], ((0, 0), pad, pad, (0, 0)))
    filters = layer.K // layer.groups
    for r, s, channel in _places(layer.R, layer.S, layer.C):
        group, c = divmod(channel, layer.C // layer.groups)
        rows = slice(r, r + (P - 1) * layer.stride + 1, layer.stride)
        columns = slice(s, s + (Q - 1) * layer.stride + 1, layer.stride)
        these = slice(group * filters, (group + 1) * filters)
        grad = data["grad"][..., these].astype(np.float64)
        yield (r, s, c, these), np.tensordot(x[:, rows, columns, channel].astype(np.float64), grad, 3)


def _max_pool_forward(layer: Layer, data: Mapping[str, Array]) -> Samples:
    for n, p, q in _places(layer.N, *layer.output_size):
        yield (n, p, q), np.max([data["x"][n, h, w] for h, w, _, _ in _pixels(layer, p, q)], axis=0)


def _max_pool_grad_x(layer: Layer, data: Mapping[str, Array]) -> Samples:
    for n, h, w in _places(layer.N, layer.H, layer.W):
        grad_x = np.zeros(layer.C)
        for p, q, _, _ in _windows(layer, h, w):
            largest = np.max([data["x"][n, i, j] for i, j, _, _ in _pixels(layer, p, q)], axis=0)
            grad_x += np.where(data["x"][n, h, w] == largest, data["grad"][n, p, q], 0)
        yield (n, h, w), grad_x


def _avg_pool_forward(layer: Layer, data: Mapping[str, Array]) -> Samples:
    for n, p, q in _places(layer.N, *layer.output_size):
        pixels = [data["x"][n, h, w] for h, w, _, _ in _pixels(layer, p, q)]
        yield (n, p, q), np.mean(pixels, axis=0, dtype=np.float64)


def _avg_pool_grad_x(layer: Layer, data: Mapping[str, Array]) -> Samples:
    for n, h, w in _places(layer.N, layer.H, layer.W):
        grad_x = np.zeros(layer.C)
        for p, q, _, _ in _windows(layer, h, w):
            grad_x += data["grad"][n, p, q] / len(list(_pixels(layer, p, q)))
        yield (n, h, w), grad_x


def _relu_forward(layer: Layer, data: Mapping[str, Array]) -> Samples:
    yield (), np.maximum(data["x"], 0)


def _relu_grad_x(layer: Layer, data: Mapping[str, Array]) -> Samples:
    yield (), np.where(data["x"] > 0, data["grad"], 0)


def _batch_norm(
    layer: Layer, which: str, data: Mapping[str, Array]
) -> list[list[tuple[tuple[Any, ...], Any]]]:
    """S. Ioffe, C. Szegedy, arXiv:1502.03167, section 3."""
    channels = (..., slice(0, CHANNELS))
    x, grad, gamma, beta = (
        data[name][channels].astype(np.float64) for name in ("x", "grad", "gamma", "beta")
    )
    pixels = (0, 1, 2)
    deviation = np.sqrt(x.var(pixels) + EPSILON)
    normal = (x - x.mean(pixels)) / deviation
    grad_gamma, grad_beta = (grad * normal).sum(pixels), grad.sum(pixels)
    count = x.size // x.shape[-1]
    grad_x = gamma / deviation * (grad - grad_beta / count - normal * grad_gamma / count)
    forward, backward = [normal * gamma + beta], [grad_x, grad_gamma, grad_beta]
    results = {"forward": forward, "backward": backward, "both": forward + backward}[which]
    return [[(channels, values)] for values in results]
