"""Konv as a peer: what can be measured of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import konv
from konv import _core, ops
from konv.bench.course_network import BATCH, DROPOUT, images_and_labels
from konv.bench.layer import Layer
from konv.bench.libraries import konv_network
from konv.bench.libraries.keras_model import course_model, prepare_step
from konv.bench.libraries.konv_layers import KonvLayer
from konv.bench.network import NETWORKS
from konv.bench.prepared import Prepared, prepare_layer


def start(threads: int) -> dict[str, str]:
    """Set the number of threads; returns what results should tell."""
    konv.config.set_num_threads(threads)
    return {"konv": konv.__version__, "isa": _core.isa(), "compiler": _core.build_info()["compiler"]}


@contextmanager
def poisoned() -> Iterator[None]:
    """Fill results with NaN before a kernel gets them, and see that none is written past its end."""
    _core.clear_cache()
    _core.set_poison(True)
    before = _core.pool_info()["guard_violations"]
    try:
        yield
    finally:
        _core.set_poison(False)
        _core.clear_cache()
    written = _core.pool_info()["guard_violations"] - before
    if written:
        raise ValueError(f"{written} buffers were written past their end")


def flops(seconds: float) -> float:
    """Measure the operations a second that the machine can do."""
    measured: float = _core.measure_flops(seconds)
    return measured


def bandwidth(read: int, written: int, cache_bytes: int, seconds: float) -> float:
    """Measure the bytes a second that the machine moves, beyond its caches, where it reads and writes in this
    ratio."""
    scale = max(8 * cache_bytes, 1 << 28) / (read + written)
    measured: float = _core.measure_bandwidth(round(scale * read) + 1, round(scale * written) + 1, seconds)
    _core.clear_cache()
    return measured


def _layer(peer: str, layer: dict[str, Any], which: str, cache_bytes: int) -> Prepared:
    return prepare_layer(KonvLayer(Layer(**layer)), which, cache_bytes)


def _step(peer: str, dropout: float, steps: int) -> Prepared:
    return prepare_step(konv, lambda array: array, dropout, steps)


def _epoch(peer: str, images: int, through_fit: bool) -> Prepared:
    """Prepare an epoch of so many images: by `fit`, or step by step on the same batches."""
    model = course_model(konv, DROPOUT, metrics=["accuracy"])
    x, y = images_and_labels(images)

    def fit(_: None) -> float:
        history = model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0, shuffle=True)
        return float(history.history["loss"][0])

    def steps(_: None) -> float:
        batches = [slice(first, first + BATCH) for first in range(0, images, BATCH)]
        losses = [model.train_on_batch(x[batch], y[batch])[0] for batch in batches]
        return float(np.mean(losses))

    return Prepared(fit if through_fit else steps, [None], lambda loss: [np.array(loss)])


def _network(peer: str, name: str, batch: int) -> Prepared:
    network = NETWORKS[name]()
    model = konv_network.build(network)
    return Prepared(model.predict_on_batch, [network.images(batch)], lambda y: [y])


def _call(peer: str, bare: bool) -> Prepared:
    """Prepare the smallest convolution: through `konv.ops`, or the kernel module's function alone."""
    x, kernel = np.ones((1, 8, 8, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)
    own = ((1, 1), "valid", (1, 1), 1, False, "auto")
    calls: dict[bool, Callable[[None], Any]] = {
        True: lambda _: _core.conv2d(x, kernel, None, *own),
        False: lambda _: ops.conv2d(x, kernel),
    }
    return Prepared(calls[bare], [None], lambda y: [y])


SUBJECTS = {"layer": _layer, "step": _step, "epoch": _epoch, "network": _network, "call": _call}
