"""Konv as a peer: what can be measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import konv
from konv import _core
from konv.bench.layer import Layer
from konv.bench.libraries.konv_layers import KonvLayer
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
    yield
    _core.set_poison(False)
    _core.clear_cache()
    written = _core.pool_info()["guard_violations"] - before
    if written:
        raise ValueError(f"{written} buffers were written past their end")


def _layer(peer: str, layer: dict[str, Any], which: str, cache_bytes: int) -> Prepared:
    """Prepare a pass of a layer."""
    return prepare_layer(KonvLayer(Layer(**layer)), which, cache_bytes)


def limits(cache_bytes: int, seconds: float) -> dict[str, float]:
    """Measure what the machine can do: operations, and bytes copied, a second."""
    beyond = max(4 * cache_bytes, 1 << 27)
    measured = {"flops": _core.measure_flops(seconds), "bandwidth": _core.measure_bandwidth(beyond, seconds)}
    _core.clear_cache()
    return measured


SUBJECTS = {"layer": _layer}
