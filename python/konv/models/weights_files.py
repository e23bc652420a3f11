"""Weights as files: one array for each weight, named by its path `LAYER/WEIGHT`.

`.safetensors` files, or `.npz`: a zip archive of NumPy's .npy files, uncompressed. Nothing in a file is ever
run, and nothing is allocated on its word alone: an array is read after its shape was found to be the
weight's.
"""

from __future__ import annotations

import errno
import io
import os
import tokenize
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from konv._arguments import path_of, shown
from konv.backend import NDArray
from konv.models.graph_model import GraphModel
from konv.models.whole_file import check_regular, write_whole

if TYPE_CHECKING:
    import zipfile  # loaded where it is used: it would make `import konv.models` half as slow again


_ENDINGS = (".safetensors", ".npz")
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # of zip; so the same weights give the same file
_LONGEST_HEADER = 10_000  # characters, of a .npy file
_KINDS = "fiu"  # of dtypes that can become weights

Reader = tuple[tuple[int, ...], Callable[[], NDArray]]
"""Shape of an array, and a function that reads it."""


def save_weights(model: GraphModel, filepath: str | os.PathLike[str]) -> None:
    """Save a model's weights, see `Model.save_weights`."""
    where = "save_weights"
    path, ending = _taken(where, model, filepath)
    arrays = {name: np.asarray(variable.value) for name, variable in model.named_variables()}
    if ending == ".npz":
        content = _npz(arrays)
    else:
        from safetensors.numpy import save

        content = save(arrays)
    write_whole(where, path, content)


def load_weights(model: GraphModel, filepath: str | os.PathLike[str]) -> None:
    """Load a model's weights, see `Model.load_weights`."""
    where = "load_weights"
    path, ending = _taken(where, model, filepath)
    check_regular(where, path)
    variables = dict(model.named_variables())
    with _open_npz(where, path) if ending == ".npz" else _open_safetensors(where, path) as readers:
        missing = [name for name in variables if name not in readers]
        unknown = [name for name in readers if name not in variables]
        if missing or unknown:
            raise ValueError(
                f"{where}: {path} must hold the weights of {model.label}, "
                f"it lacks {shown(missing)} and has also {shown(unknown)}"
            )
        arrays = []
        for name, variable in variables.items():
            shape, read = readers[name]
            if shape != variable.shape:
                raise ValueError(
                    f"{where}: {path}: '{name}' must have shape {variable.shape}, received {shape}"
                )
            array = read()
            try:
                variable.check(array)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}: {path}: '{name}': {error}") from None
            arrays.append(array)
    for variable, array in zip(variables.values(), arrays, strict=True):
        variable.assign(array)


def _taken(where: str, model: GraphModel, filepath: Any) -> tuple[str, str]:
    """Take the path of a file of weights, with its ending, for a model that has weights."""
    path = path_of(where, filepath)
    ending = next((each for each in _ENDINGS if path.lower().endswith(each)), None)
    if ending is None:
        raise ValueError(f"{where}: filepath must end in {' or '.join(_ENDINGS)}, received {path!r}")
    if not model.built:
        raise ValueError(f"{where}: {model.label} must have been built, received one without input shape")
    return path, ending


@contextmanager
def _open_safetensors(where: str, path: str) -> Iterator[dict[str, Reader]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            prefix = ""
            if "konv" in (file.metadata() or {}):  # a whole model, which `save` wrote
                prefix = "weights/"
                names = [name for name in names if name.startswith(prefix)]
            yield {
                name.removeprefix(prefix): (
                    tuple(file.get_slice(name).get_shape()),
                    partial(file.get_tensor, name),
                )
                for name in names
            }
    except SafetensorError as error:
        raise ValueError(f"{where}: {path} is not a whole safetensors file: {error}") from None
    except TypeError as error:  # of a dtype that NumPy hasn't
        raise ValueError(f"{where}: {path}: {error}") from None


def _npz(arrays: dict[str, NDArray]) -> bytes:
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _FIRST_DATE), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
    return content.getvalue()


@contextmanager
def _open_npz(where: str, path: str) -> Iterator[dict[str, Reader]]:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            readers: dict[str, Reader] = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name in readers or name == info.filename:
                    raise ValueError(f"it must hold .npy files of different names, received {name!r}")
                shape, dtype = _npy_header(archive, info)
                readers[name] = shape, partial(_npy_array, archive, info, dtype)
            yield readers
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{where}: {path} is not a whole npz file: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(f"{where}: {path} is not a whole npz file: it points outside of itself") from None
    except ValueError as error:
        message = str(error)
        if message.startswith(where):
            raise
        raise ValueError(f"{where}: {path}: {message}") from None


def _npy_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(info) as member:
        version = npy.read_magic(member)
        if version != (1, 0):  # later ones are for headers too long to be those of a weight
            raise ValueError(f"{info.filename} must be of version 1.0 of .npy, received {version}")
        try:
            shape, _, dtype = npy.read_array_header_1_0(member, max_header_size=_LONGEST_HEADER)
        except (
            MemoryError,
            RecursionError,
            SyntaxError,
            TypeError,
            ValueError,
            tokenize.TokenError,
        ) as error:
            raise ValueError(f"{info.filename} must have a header of .npy, received {error}") from None
    if dtype.kind not in _KINDS:
        raise ValueError(f"{info.filename} must hold real numbers, received dtype {dtype}")
    return shape, dtype


def _npy_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: np.dtype[Any]) -> NDArray:
    with archive.open(info) as member:
        array: NDArray = npy.read_array(member, allow_pickle=False, max_header_size=_LONGEST_HEADER)
        if member.read(1):
            raise ValueError(f"{info.filename} must end with its array, received more")
    return array.astype(dtype.newbyteorder("="), copy=False)
