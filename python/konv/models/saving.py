"""Models as files: weights, architecture, optimizer, random and callbacks' state in one safetensors file.

The metadata has one entry, `konv`, with JSON: `format_version`, `model` (class and config), `callbacks` (for
each the class's name and the names of its arrays) and, if the model is compiled, `compiled` (its
`get_compile_config`) and `slots`, the paths of the variables that the optimizer keeps arrays for. The tensors
are `weights/LAYER/WEIGHT`, `random/seed` (uint64), `random/step` (int64), `training/epoch` (int64),
`callbacks/NUMBER/NAME` and, if it is compiled, `optimizer/iterations` (int64) and
`optimizer/SLOT/LAYER/WEIGHT`. Nothing in a file is ever run.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from konv import optimizers
from konv._arguments import class_and_config, path_of, shown
from konv.backend import NDArray
from konv.callbacks.state import State
from konv.layers.base import Layer
from konv.layers.variable import Variable
from konv.models.compiled import CompiledModel
from konv.models.registry import layer_from_config
from konv.models.whole_file import check_regular, write_whole

if TYPE_CHECKING:
    from konv.models.model import Model

FORMAT_VERSION = 2

Path = str | os.PathLike[str]

_SEED = ("random/seed", np.dtype(np.uint64))
_STEP = ("random/step", np.dtype(np.int64))
_EPOCH = ("training/epoch", np.dtype(np.int64))
_ITERATIONS = ("optimizer/iterations", np.dtype(np.int64))
_MOST_STEPS = 2**62  # so that those to come can be counted too

# Endings of other programs' formats, which readers would take a file for.
_FOREIGN_ENDINGS = (".keras", ".h5", ".hdf5", ".npz", ".pt", ".pth", ".onnx")

# Names that safetensors has for the dtypes that such files hold.
_DTYPE_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint64": "U64"}


def save_model(model: CompiledModel, filepath: Path) -> None:
    """Save a model, see `Model.save`."""
    path = path_of("save", filepath)
    if path.lower().endswith(_FOREIGN_ENDINGS):
        raise ValueError(f"save: filepath must end in .safetensors, received {path!r}")
    if not model.built:
        raise ValueError(f"save: {model.label} must have been built, received one without input shape")
    from safetensors.numpy import save

    seed, step = model.random_state
    variables = model.named_variables()
    tensors = {f"weights/{name}": np.asarray(variable.value) for name, variable in variables}
    for (name, dtype), number in ((_SEED, seed), (_STEP, step), (_EPOCH, model.epoch)):
        tensors[name] = np.array(number, dtype)
    states = model.callback_states()
    for number, (_, arrays) in enumerate(states):
        tensors |= {f"callbacks/{number}/{name}": np.asarray(array) for name, array in arrays.items()}
    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": class_and_config(model),
        "callbacks": [[class_name, list(arrays)] for class_name, arrays in states],
    }
    if model.compiled:
        optimizer = model.optimizer
        slotted = [(name, variable) for name, variable in variables if optimizer.has_slots(variable)]
        header |= {"compiled": model.get_compile_config(), "slots": [name for name, _ in slotted]}
        tensors[_ITERATIONS[0]] = np.array(optimizer.iterations, _ITERATIONS[1])
        for name, variable in slotted:
            for slot, array in zip(optimizer.slot_names, optimizer.slots(variable), strict=True):
                tensors[f"optimizer/{slot}/{name}"] = array
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    write_whole("save", path, save(tensors, {"konv": json.dumps(header, allow_nan=False)}))


def load_model(
    filepath: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None
) -> Model:
    """Load what `Model.save` wrote; training goes on to the same bits as if it had never stopped.

    Parameters
    ----------
    filepath : str or path
    custom_objects : dict, optional
        Classes of layers that aren't Konv's, by name.

    Returns
    -------
    Model
        Or the `Sequential` that was saved; compiled if that was.

    Raises
    ------
    OSError
        If there is no such file, or it can't be read.
    ValueError
        If it is not a whole file that this version of Konv can read.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import konv
    >>> from konv.layers import Dense
    >>> model = konv.Sequential([konv.Input((4,)), Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     model.save(path)
    ...     loaded = konv.load_model(path)
    >>> bool((loaded.layers[0].kernel.value == model.layers[0].kernel.value).all())
    True
    """
    from safetensors import SafetensorError, safe_open

    if custom_objects is not None and not isinstance(custom_objects, dict):
        raise TypeError(
            f"load_model: custom_objects must be a dict of classes, received {shown(custom_objects)}"
        )
    path = path_of("load_model", filepath)
    check_regular("load_model", path)
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

    def model(self, custom_objects: dict[str, type[Layer]] | None) -> Model:
        from konv.models.model import Model

        header = self._header()
        try:
            model = layer_from_config(header["model"], custom_objects)
        except MemoryError as error:  # nothing was allocated yet: the sizes make no sense
            raise ValueError(str(error)) from None
        if not isinstance(model, Model) or not model.built:
            raise ValueError(f"its model must be a built model, received {shown(header['model'])}")
        variables = dict(model.named_variables())
        for path, variable in variables.items():
            variable.assign(self._tensor(f"weights/{path}", variable))
        seed, step = self._number(*_SEED), self._number(*_STEP)
        epoch = self._number(*_EPOCH)
        states = self._callback_states(header["callbacks"])
        if "compiled" in header:
            if not isinstance(header["compiled"], dict):
                raise ValueError(f"its compiled must be a dict, received {shown(header['compiled'])}")
            model.compile_from_config(header["compiled"])
            model.optimizer.iterations = self._number(*_ITERATIONS)
            self._read_slots(model.optimizer, variables, header["slots"])
        if self._unread:
            raise ValueError(
                f"it must hold the tensors of its model alone, received also {shown(sorted(self._unread))}"
            )
        model.reset_random_state(seed, step)
        model.restore_training(epoch, states)
        return model

    def _header(self) -> dict[str, Any]:
        text = (self._file.metadata() or {}).get("konv")
        if text is None:
            raise ValueError('it must be written by Konv, received a file without "konv" in its metadata')
        header: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant)
        version = header.get("format_version") if isinstance(header, dict) else None
        if type(version) is not int or version != FORMAT_VERSION:
            raise ValueError(f"its format_version must be {FORMAT_VERSION}, received {shown(version)}")
        compiled = {"compiled", "slots"}
        expected = {"format_version", "model", "callbacks"} | (compiled if compiled & set(header) else set())
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

    def _callback_states(self, described: Any) -> list[State]:
        states = []
        for number, each in enumerate(described if isinstance(described, list) else [described]):
            if not (isinstance(each, list) and len(each) == 2 and isinstance(each[1], list)) or not all(
                isinstance(name, str) for name in (each[0], *each[1])
            ):
                raise ValueError(
                    f"its callbacks must each be a class's name and a list of names, received {shown(each)}"
                )
            class_name, names = each
            states.append(
                (class_name, {name: self._get(self._take(f"callbacks/{number}/{name}")) for name in names})
            )
        return states

    def _tensor(self, name: str, like: Variable) -> NDArray:
        return self._array(name, like.shape, like.dtype)

    def _number(self, name: str, dtype: np.dtype[Any]) -> int:
        number = int(self._array(name, (), dtype))
        most = _MOST_STEPS if dtype.kind == "i" else 2**64 - 1
        if not 0 <= number <= most:
            raise ValueError(f"tensor '{name}' must be from 0 to {most}, received {number}")
        return number

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray:
        entry = self._file.get_slice(self._take(name))
        found = (tuple(entry.get_shape()), entry.get_dtype())
        if found != (shape, _DTYPE_NAMES[dtype.name]):
            raise ValueError(
                f"tensor '{name}' must have shape {shape} and dtype {_DTYPE_NAMES[dtype.name]}, "
                f"received {found[0]} and {found[1]}"
            )
        return self._get(name)

    def _take(self, name: str) -> str:
        if name not in self._unread:
            raise ValueError(f"it must have one tensor '{name}', received none or another use of it")
        self._unread.remove(name)
        return name

    def _get(self, name: str) -> NDArray:
        array: NDArray = self._file.get_tensor(name)
        return array


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"its numbers must be finite, received {constant}")
