"""Models as files: weights, architecture, optimizer and random state in one safetensors file.

The metadata has one entry, `konv`, with JSON: `format_version`, `model` (class and config) and, if it is
compiled, `optimizer`, `loss`, `metrics`, and `slots`, the paths of the variables that the optimizer keeps
arrays for. The tensors are `weights/LAYER/WEIGHT`, `random/seed` (uint64), `random/step` (int64) and, if it
is compiled, `optimizer/iterations` (int64) and `optimizer/SLOT/LAYER/WEIGHT`. Nothing in a file is ever run.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from konv import losses, metrics, optimizers
from konv._arguments import class_and_config, path_of, shown
from konv.layers.base import Layer
from konv.layers.variable import Variable
from konv.models.registry import layer_from_config

if TYPE_CHECKING:
    from konv.models.training import TrainableModel

FORMAT_VERSION = 1

NDArray = np.ndarray[Any, Any]
Path = str | os.PathLike[str]

_SEED = ("random/seed", np.dtype(np.uint64))
_STEP = ("random/step", np.dtype(np.int64))
_ITERATIONS = ("optimizer/iterations", np.dtype(np.int64))

# Endings of other programs' formats, which readers would take a file for.
_FOREIGN_ENDINGS = (".keras", ".h5", ".hdf5", ".npz", ".pt", ".pth", ".onnx")

_LONGEST_NAME = 255  # bytes of a file's name, on Linux as on macOS

# Names that safetensors has for the dtypes that such files hold.
_DTYPE_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint64": "U64"}


def save_model(model: TrainableModel, filepath: Path) -> None:
    """Save a model, see `TrainableModel.save`."""
    path = path_of("save", filepath)
    if path.lower().endswith(_FOREIGN_ENDINGS):
        raise ValueError(f"save: filepath must end in .safetensors, received {path!r}")
    if not model.built:
        raise ValueError(f"save: {model.label} must have been built, received one without input shape")
    seed, step = model.random_state
    variables = model.named_variables()
    tensors = {f"weights/{name}": variable.value for name, variable in variables}
    tensors |= {_SEED[0]: np.array(seed, _SEED[1]), _STEP[0]: np.array(step, _STEP[1])}
    header: dict[str, Any] = {"format_version": FORMAT_VERSION, "model": class_and_config(model)}
    if model.compiled:
        optimizer = model.optimizer
        slotted = [(name, variable) for name, variable in variables if optimizer.has_slots(variable)]
        header |= {
            "optimizer": class_and_config(optimizer),
            "loss": class_and_config(model.loss),
            "metrics": [each if isinstance(each, str) else class_and_config(each) for each in model.metrics],
            "slots": [name for name, _ in slotted],
        }
        tensors[_ITERATIONS[0]] = np.array(optimizer.iterations, _ITERATIONS[1])
        for name, variable in slotted:
            for slot, array in zip(optimizer.slot_names, optimizer.slots(variable), strict=True):
                tensors[f"optimizer/{slot}/{name}"] = array
    _write_whole(path, tensors, {"konv": json.dumps(header)})


def load_model(
    filepath: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None
) -> TrainableModel:
    """Load what `TrainableModel.save` wrote; training goes on to the same bits as if it had never stopped.

    Parameters
    ----------
    filepath : str or path
    custom_objects : dict, optional
        Classes of layers that aren't Konv's, by name.

    Raises
    ------
    OSError
        If there is no such file, or it can't be read.
    ValueError
        If it is not a whole file that this version of Konv can read.
    """
    from safetensors import SafetensorError, safe_open

    if custom_objects is not None and not isinstance(custom_objects, dict):
        raise TypeError(
            f"load_model: custom_objects must be a dict of classes, received {shown(custom_objects)}"
        )
    path = path_of("load_model", filepath)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"load_model: {path} must be a file, received something else (a folder, a device)")
    with open(path, "rb"):
        pass  # what can't be opened is an OSError
    try:
        with safe_open(path, framework="np") as file:
            return _Reader(file).model(custom_objects)
    except SafetensorError as error:
        raise ValueError(f"load_model: {path} is not a whole safetensors file: {error}") from None
    except RecursionError:
        raise ValueError(
            f"load_model: {path} must describe a model, received JSON nested too deeply"
        ) from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"load_model: {path}: {error}") from error


class _Reader:
    """Makes a model of an open file, checking everything before it is used."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._unread = set(file.keys())

    def model(self, custom_objects: dict[str, type[Layer]] | None) -> TrainableModel:
        from konv.models.training import TrainableModel

        header = self._header()
        try:
            model = layer_from_config(header["model"], custom_objects)
        except MemoryError as error:  # nothing was allocated yet: the sizes make no sense
            raise ValueError(str(error)) from None
        if not isinstance(model, TrainableModel) or not model.built:
            raise ValueError(f"its model must be a built model, received {shown(header['model'])}")
        variables = dict(model.named_variables())
        for path, variable in variables.items():
            variable.assign(self._tensor(f"weights/{path}", variable))
        seed, step = self._number(*_SEED), self._number(*_STEP)
        if "optimizer" in header:
            model.compile(
                optimizers.get(header["optimizer"]), losses.get(header["loss"]), _metrics(header["metrics"])
            )
            model.optimizer.iterations = self._number(*_ITERATIONS)
            self._read_slots(model.optimizer, variables, header["slots"])
        if self._unread:
            raise ValueError(
                f"it must hold the tensors of its model alone, received also {shown(sorted(self._unread))}"
            )
        model.reset_random_state(seed, step)
        return model

    def _header(self) -> dict[str, Any]:
        text = (self._file.metadata() or {}).get("konv")
        if text is None:
            raise ValueError('it must be written by Konv, received a file without "konv" in its metadata')
        header: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant)
        version = header.get("format_version") if isinstance(header, dict) else None
        if type(version) is not int or version != FORMAT_VERSION:
            raise ValueError(f"its format_version must be {FORMAT_VERSION}, received {shown(version)}")
        compiled = {"optimizer", "loss", "metrics", "slots"}
        expected = {"format_version", "model"} | (compiled if compiled & set(header) else set())
        if set(header) != expected:
            raise ValueError(f"its description must have {sorted(expected)}, received {sorted(header)}")
        return header

    def _read_slots(
        self, optimizer: optimizers.Optimizer, variables: dict[str, Variable], paths: Any
    ) -> None:
        if not isinstance(paths, list) or not all(
            isinstance(path, str) and path in variables for path in paths
        ):
            raise ValueError(f"its slots must be paths of its weights, received {shown(paths)}")
        for path in paths:
            variable = variables[path]
            arrays = [self._tensor(f"optimizer/{slot}/{path}", variable) for slot in optimizer.slot_names]
            for slot, array in zip(optimizer.slots(variable), arrays, strict=True):
                slot[...] = array

    def _tensor(self, name: str, like: Variable) -> NDArray:
        return self._array(name, like.shape, like.dtype)

    def _number(self, name: str, dtype: np.dtype[Any]) -> int:
        number = int(self._array(name, (), dtype))
        if number < 0:
            raise ValueError(f"tensor '{name}' must be at least 0, received {number}")
        return number

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray:
        if name not in self._unread:
            raise ValueError(f"it must have one tensor '{name}', received none or another use of it")
        self._unread.remove(name)
        entry = self._file.get_slice(name)
        found = (tuple(entry.get_shape()), entry.get_dtype())
        if found != (shape, _DTYPE_NAMES[dtype.name]):
            raise ValueError(
                f"tensor '{name}' must have shape {shape} and dtype {_DTYPE_NAMES[dtype.name]}, "
                f"received {found[0]} and {found[1]}"
            )
        array: NDArray = self._file.get_tensor(name)
        return array


def _metrics(described: Any) -> list[metrics.Metric | str]:
    if not isinstance(described, list):
        raise ValueError(f"its metrics must be a list, received {shown(described)}")
    return [metrics.template(each, "metrics") for each in described]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"its numbers must be finite, received {constant}")


def _write_whole(filepath: str, tensors: dict[str, NDArray], metadata: dict[str, str]) -> None:
    """Write a file under a temporary name, sync it, and rename it: a reader sees the old file or the new
    one.

    The temporary name is always the same, so that saves that were killed leave one such file, not many, and
    the next save replaces it. So only one save at a time may go to one path. A file that is replaced passes
    its permissions on.
    """
    from safetensors.numpy import save

    target = os.path.realpath(filepath)
    folder, name = os.path.split(target)
    stem = os.fsdecode(os.fsencode(name)[: _LONGEST_NAME - len("..tmp")])
    temporary = os.path.join(folder, f".{stem}.tmp")
    mode = _permissions(target)
    at_first = 0o666 if mode is None else mode  # of which the umask may take some away
    os.stat(folder)  # where it isn't there, the error names it, not the temporary file
    _discard(temporary)
    try:
        with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, at_first)) as file:
            if mode is not None:
                os.chmod(temporary, mode)
            file.write(save(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        _discard(temporary)
    if os.name == "posix":  # only there can a folder be opened, to sync its entry
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _permissions(filepath: str) -> int | None:
    """Return those of a file that is to be replaced, None where there is none yet."""
    try:
        mode = os.stat(filepath).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise ValueError(f"save: {filepath} must be a file, received something else (a folder, a device)")
    return stat.S_IMODE(mode)


def _discard(filepath: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(filepath)
