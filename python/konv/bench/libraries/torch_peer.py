"""PyTorch as a peer: what can be measured of it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from konv.bench.layer import Layer
from konv.bench.libraries.torch_layers import TorchLayer
from konv.bench.prepared import Prepared, prepare_layer

poisoned = nullcontext  # PyTorch's memory is its own

LAYOUTS = {"torch_nchw": torch.contiguous_format, "torch_nhwc": torch.channels_last}


def start(threads: int) -> dict[str, str]:
    """Set the number of threads; returns what results should tell."""
    torch.set_num_threads(threads)
    return {"torch": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability()}


def _layer(peer: str, layer: dict[str, Any], which: str, cache_bytes: int) -> Prepared:
    """Prepare a pass of a layer."""
    return prepare_layer(TorchLayer(Layer(**layer), LAYOUTS[peer]), which, cache_bytes)


SUBJECTS = {"layer": _layer}
