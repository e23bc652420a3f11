"""Brings the arguments of `konv.ops` into the one form that kernels take: arrays, and what only ops take.

Each function returns its argument normalised or raises with a message that says what was expected and what
was received. Sizes (ranks, channels, outputs, overflow) are checked once, in C++; what C++ can't see is
checked here and in `konv._arguments`: types, spellings, and ints that don't fit in 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from konv._arguments import int64, shown
from konv.backend import BACKENDS, Array, Backend, route

ALL_GRADIENTS = ("x", "kernel", "bias")
"""Names of the gradients that `needs` may ask for."""

_SHAPE = "a tuple of 4 ints"


def array(op: str, name: str, value: Array) -> tuple[Backend, Array]:
    """Take the only array of an op."""
    backend = BACKENDS.get(type(value))
    if backend is None:
        backend, value = route(value, f"{op}: {name}")
    if value.dtype not in backend.dtypes:
        raise _other_dtype(op, name, value.dtype, backend)
    return backend, backend.contiguous(value, op)


def arrays(
    op: str, named: dict[str, Array | None], optional: tuple[str, ...] = ()
) -> tuple[Backend, list[Array]]:
    """Take several arrays of one backend and one dtype; those named in `optional` may be None and stay so."""
    backend: Backend | None = None
    taken: list[Array] = []
    for name, value in named.items():
        own_backend = BACKENDS.get(type(value))
        own: Array = value
        if own_backend is None:
            if value is None and name in optional:
                taken.append(None)
                continue
            own_backend, own = route(value, f"{op}: {name}")
        dtype = own.dtype
        if backend is None:
            backend, first_name, first_dtype = own_backend, name, dtype
            if dtype not in backend.dtypes:
                raise _other_dtype(op, name, dtype, backend)
        elif own_backend is not backend:
            raise _mixed_backends(op, name, own_backend, first_name, backend)
        elif dtype is not first_dtype and dtype != first_dtype:
            raise TypeError(
                f"{op}: all arrays must have one dtype, received {name} of {_dtype_text(dtype)} "
                f"and {first_name} of {_dtype_text(first_dtype)}"
            )
        taken.append(backend.contiguous(own, op))
    assert backend is not None, "no op has only optional arrays"
    return backend, taken


def numbers(where: str, named: dict[str, Array]) -> tuple[Backend, list[Array]]:
    """Take arrays of one backend, of real numbers of any dtype, each with a batch axis."""
    for name, value in named.items():
        if isinstance(value, (list, tuple)):
            received = f"received {type(value).__name__}; use numpy.asarray"
            raise TypeError(f"{where}: {name} must be an array, {received}")
    routed = {name: route(value, f"{where}: {name}") for name, value in named.items()}
    first_name = next(iter(routed))
    backend = routed[first_name][0]
    for name, (own_backend, array) in routed.items():
        if own_backend is not backend:
            raise _mixed_backends(where, name, own_backend, first_name, backend)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{where}: {name} must hold real numbers, received dtype {array.dtype}")
        if array.ndim == 0:
            raise ValueError(f"{where}: {name} must have a batch axis, received shape ()")
    return backend, [array for _, array in routed.values()]


def argmax_array(op: str, argmax: Array, backend: Backend) -> Array:
    """Take the positions that `max_pool2d_with_argmax` gave; kernels check their dtype."""
    own_backend, argmax = route(argmax, f"{op}: argmax")
    if own_backend is not backend:
        raise _mixed_backends(op, "argmax", own_backend, "grad", backend)
    return backend.contiguous(argmax, op)


def shape4(op: str, name: str, value: Any) -> tuple[int, int, int, int]:
    """Take the shape of an image batch or of a kernel."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{op}: {name} must be {_SHAPE}, received {shown(value)}")
    if len(value) != 4:
        raise ValueError(f"{op}: {name} must be {_SHAPE}, received {shown(value)}")
    a, b, c, d = (int64(op, name, size, _SHAPE, value) for size in value)
    return a, b, c, d


def is_relu(op: str, activation: Any, name: str = "activation") -> bool:
    """Take the name of an activation that kernels apply to their result."""
    if activation is None:
        return False
    if not isinstance(activation, str):
        raise TypeError(f'{op}: {name} must be None or "relu", received {shown(activation)}')
    if activation != "relu":
        raise ValueError(f'{op}: {name} must be None or "relu", received {shown(activation)}')
    return True


def needed(op: str, needs: Iterable[str]) -> tuple[bool, bool, bool]:
    """Take the names of the gradients asked for, as one bool each for x, kernel and bias."""
    if not isinstance(needs, (tuple, list, set, frozenset)):
        raise TypeError(f"{op}: needs must be a tuple, list or set of names, received {shown(needs)}")
    for name in needs:
        if not isinstance(name, str):
            raise TypeError(f"{op}: needs must hold names, received {shown(needs)}")
        if name not in ALL_GRADIENTS:
            raise ValueError(f'{op}: needs may name "x", "kernel" and "bias", received {shown(needs)}')
    return "x" in needs, "kernel" in needs, "bias" in needs


def _other_dtype(op: str, name: str, dtype: np.dtype[Any], backend: Backend) -> TypeError:
    expected = " or ".join(known.name for known in backend.dtypes)
    return TypeError(f"{op}: {name} must have dtype {expected}, received {_dtype_text(dtype)}")


def _dtype_text(dtype: np.dtype[Any]) -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} of foreign byte order"


def _mixed_backends(op: str, name: str, backend: Backend, first_name: str, first: Backend) -> TypeError:
    return TypeError(
        f"{op}: all arrays must be of one kind, received {name} of {backend.name} "
        f"and {first_name} of {first.name}"
    )
