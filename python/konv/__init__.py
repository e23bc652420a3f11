"""Konv: convolutional networks on NumPy arrays. Keras's API, a kernel library's speed, a small wheel.

Layers, models and training load when they are first used, so that `import konv` costs little more than NumPy.
The kernels load at once: where they can't run (`KONV_ISA` names what the CPU lacks), `import konv` says so.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from konv._version import __version__
from konv._wait_policy import short_waits

with short_waits():
    import_module("konv._core")

if TYPE_CHECKING:
    from konv import (
        activations,
        callbacks,
        config,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        regularizers,
        utils,
    )
    from konv._show_config import show_config
    from konv.config import clear_cache
    from konv.layers import Input
    from konv.models import Model, Sequential, load_model

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "clear_cache",
    "config",
    "datasets",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "show_config",
    "utils",
]

# Where each public name that is no module of its own is defined.
_HOMES = {
    "Input": "konv.layers",
    "Model": "konv.models",
    "Sequential": "konv.models",
    "clear_cache": "konv.config",
    "load_model": "konv.models",
    "show_config": "konv._show_config",
}

if (
    not TYPE_CHECKING
):  # type checkers read the imports above; a module __getattr__ would make them accept any name

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        elif name in __all__:
            value = import_module(f"konv.{name}")
        else:
            raise AttributeError(f"module 'konv' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
