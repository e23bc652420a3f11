"""`konv.initializers`: what weights start from, with Keras's names, arguments and distributions.

An initializer is called with a shape and a key of `konv._random` and returns a float32 array, the same for
the same key.
"""

from __future__ import annotations

from typing import Any

from konv._arguments import instance
from konv.initializers.base import Initializer
from konv.initializers.constant import Constant, Ones, Zeros
from konv.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from konv.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]


def __dir__() -> list[str]:
    return __all__


_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls
    for cls in (
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Ones,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    )
}
_KERAS_1_NAMES: dict[str, type[Initializer]] = {"normal": RandomNormal, "uniform": RandomUniform}


def get(identifier: Any, where: str = "initializers.get", name: str = "identifier") -> Initializer:
    """Return the initializer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    "normal" and "uniform" are short for "random_normal" and "random_uniform".

    Examples
    --------
    >>> from konv.initializers import get
    >>> get("glorot_uniform").get_config()
    {'seed': None}
    """
    return instance(where, name, identifier, Initializer, {**_CLASSES, **_KERAS_1_NAMES})
