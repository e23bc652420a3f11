"""Backends: where arrays live and which kernels run on them.

`konv.ops` asks `route` for the backend of each array it is given and calls that backend's kernels; layers and
models use the backend's `array_module` for elementwise arithmetic and allocation. One backend holds NumPy
arrays and the C++ kernels of `konv._core`. Another is one more `Backend` and, for a new type of array, one
more row of `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from konv import _core

Array: TypeAlias = Any
"""A NumPy array, or any object with `__dlpack__` whose data is on the CPU. Results are NumPy arrays."""

NDArray: TypeAlias = np.ndarray[Any, Any]
"""A NumPy array of any shape and dtype, where no other will do."""


@dataclass(frozen=True)
class Backend:
    """An array library and the kernels that run on its arrays.

    Attributes
    ----------
    name : str
        What error messages call it.
    array_module : module
        `numpy`, or a module with its interface. Allocation is this module's (`array_module.empty`).
    kernels : module or object
        The functions of `konv._core`, taking and returning arrays of `array_module`. Results come from the
        kernels' own buffer pool where they have one. On a device with streams the kernels themselves ask
        `array_module` for its current stream and run there, so neither ops nor layers see one.
    dtypes : tuple of dtype
        What the kernels compute in, native byte order.
    contiguous : callable
        Gives the array itself where kernels can read it (C order, aligned), else a copy that they can read.
        Its second argument is the op that a MemoryError names.
    """

    name: str
    array_module: ModuleType
    kernels: Any
    dtypes: tuple[np.dtype[Any], ...]
    contiguous: Callable[[Array, str], Array]


def _numpy_contiguous(array: NDArray, op: str) -> NDArray:
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    _core.require_memory(op, array.nbytes)  # a broadcast view may hold far more elements than its memory
    return np.array(array, order="C")


NUMPY = Backend(
    name="NumPy",
    array_module=np,
    kernels=_core,
    dtypes=(np.dtype(np.float32), np.dtype(np.float64)),
    contiguous=_numpy_contiguous,
)

BACKENDS: dict[type, Backend] = {np.ndarray: NUMPY}
"""The backend of each type of array, by exact type."""

# Devices of the DLPack standard whose memory the CPU reads in place: kDLCPU, kDLCUDAHost (pinned).
_HOST_DEVICES = (1, 3)


def route(array: Array, where: str) -> tuple[Backend, Array]:
    """Find the backend of an array.

    Parameters
    ----------
    array : array
        Anything. A subclass of `numpy.ndarray` is taken as the plain array it holds, an object with
        `__dlpack__` without a copy.
    where : str
        The op and argument to name in an error, as in ``"conv2d: x"``.

    Returns
    -------
    backend : Backend
    array : array
        An array of the backend's own type.

    Raises
    ------
    TypeError
        If `array` is no array, is masked, can't be exported, or lives where this build has no kernels.

    Examples
    --------
    >>> import numpy as np
    >>> backend, array = route(np.zeros(3), "conv2d: bias")
    >>> backend.name, array.shape
    ('NumPy', (3,))
    """
    backend = BACKENDS.get(type(array))
    if backend is not None:
        return backend, array
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{where} must not be masked, received a numpy.ma.MaskedArray (fill its gaps first)")
    if isinstance(array, np.ndarray):
        return BACKENDS[np.ndarray], array.view(np.ndarray)
    if not hasattr(array, "__dlpack__"):
        raise TypeError(
            f"{where} must be an array (NumPy, or any with __dlpack__), received {_type_name(array)}"
        )
    return BACKENDS[np.ndarray], _from_dlpack(array, where)


def _from_dlpack(array: Array, where: str) -> NDArray:
    try:
        device = int(array.__dlpack_device__()[0])
        if device in _HOST_DEVICES:
            return np.from_dlpack(array)
    except Exception as error:  # the exporter is foreign code and may raise anything
        raise TypeError(
            f"{where} can't be read through DLPack, received {_type_name(array)}: {error}"
        ) from error
    raise TypeError(
        f"{where} must be on the CPU, for this build has no CUDA kernels; "
        f"received {_type_name(array)} on DLPack device {device}"
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
