"""PyTorch as a peer: what can be measured of it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from konv.bench.layer import Layer
from konv.bench.libraries import torch_network, torch_step
from konv.bench.libraries.torch_layers import TorchLayer
from konv.bench.network import NETWORKS
from konv.bench.prepared import Prepared, prepare_layer

poisoned = nullcontext  # PyTorch's memory is its own


def start(threads: int) -> dict[str, str]:
    """Set the number of threads; returns what results should tell."""
    torch.set_num_threads(threads)
    return {"torch": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability()}


def _layout(peer: str) -> torch.memory_format:
    return torch.channels_last if "nhwc" in peer else torch.contiguous_format


def _layer(peer: str, layer: dict[str, Any], which: str, cache_bytes: int) -> Prepared:
    return prepare_layer(TorchLayer(Layer(**layer), _layout(peer)), which, cache_bytes)


def _step(peer: str, dropout: float, steps: int) -> Prepared:
    step = torch_step.step(dropout, _layout(peer), "compiled" in peer)
    return Prepared(lambda _: [step() for _ in range(steps)], [None], lambda losses: [np.array(losses)])


def _network(peer: str, name: str, batch: int) -> Prepared:
    network = NETWORKS[name]()
    run = torch_network.build(network, _layout(peer))
    images = torch.from_numpy(network.images(batch)).permute(0, 3, 1, 2)
    return Prepared(run, [images.clone(memory_format=_layout(peer))], lambda y: [y.numpy()])


SUBJECTS = {"layer": _layer, "step": _step, "network": _network}
