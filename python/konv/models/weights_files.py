"""Weights as files: one array for each weight, named by its path `LAYER/WEIGHT`.

A name that was given to a layer automatically depends on how many layers the process had made before, so such
layers are found by their order where the names differ.

`.safetensors` files, or `.npz`: a zip archive of NumPy's .npy files, uncompressed. Nothing in a file is ever
run, and nothing is allocated on its word alone: an array is read after its shape was found to be the
weight's.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tokenize
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from konv._arguments import path_of, shown, snake_case
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
        places = {name: name for name in readers}
        if places.keys() != variables.keys():
            places = _by_order(model, list(variables), list(readers))
        missing = [name for name in variables if name not in places]
        unknown = sorted(readers.keys() - places.values())
        if missing or unknown:
            raise ValueError(
                f"{where}: {path} must hold the weights of {model.label}, "
                f"it lacks {shown(missing)} and has also {shown(unknown)}"
            )
        arrays = []
        for own_name, variable in variables.items():
            name = places[own_name]
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


def _by_order(model: GraphModel, own: list[str], given: list[str]) -> dict[str, str]:
    """Find weights of a model in a file that numbers the layers without names of their own differently.

    The first layer of a class in the model is the first one in the file, and so on, in each nested model by
    itself. Other layers go by their names.

    Parameters
    ----------
    model : GraphModel
    own, given : list of str
        Paths of its weights, and those in the file.

    Returns
    -------
    dict
        From paths in the model to paths in the file, of all weights that both have.
    """
    below = {name: _below(name, own) for name in dict.fromkeys(path.partition("/")[0] for path in own)}
    heads = dict.fromkeys(path.partition("/")[0] for path in given)
    found: dict[str, str] = {}
    for layer in model.layers:
        if layer.name not in below:
            continue
        automatic = re.compile(rf"{snake_case(type(layer).__name__)}(_[1-9][0-9]*)?")
        counterpart = layer.name
        if automatic.fullmatch(layer.name):
            mine, theirs = (_in_order_of_numbers(names, automatic) for names in (below, heads))
            if len(mine) == len(theirs):
                counterpart = theirs[mine.index(layer.name)]
        wanted, there = below[layer.name], _below(counterpart, given)
        pairs = (
            _by_order(layer, wanted, there)
            if isinstance(layer, GraphModel)
            else {rest: rest for rest in wanted if rest in there}
        )
        found |= {f"{layer.name}/{one}": f"{counterpart}/{other}" for one, other in pairs.items()}
    return found


def _below(name: str, paths: list[str]) -> list[str]:
    """Rest of each path that begins with a layer's name."""
    return [path.removeprefix(f"{name}/") for path in paths if path.startswith(f"{name}/")]


def _in_order_of_numbers(names: Iterable[str], automatic: re.Pattern[str]) -> list[str]:
    """Names that were given automatically, in the order in which their layers were made."""
    return sorted(filter(automatic.fullmatch, names), key=lambda name: (len(name), name))


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
