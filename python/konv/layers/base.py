"""The base of all layers.

A layer owns weights and nothing else that changes: what its gradient needs is returned by `forward` and given
back to `backward`. So one layer can stand at several places of a model, and several threads can use it at
once.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from konv import _random, initializers, ops, regularizers
from konv._arguments import Shape, flag, shape_of, shown, snake_case, text
from konv.backend import Array
from konv.layers.context import Context
from konv.layers.variable import Variable
from konv.ops.arguments import numbers

_DTYPES = {
    spelling: dtype
    for dtype in (np.dtype(np.float32), np.dtype(np.float64))
    for spelling in (dtype, dtype.type, dtype.name)
}
_NAMED_METHODS = ("build", "compute_output_shape", "forward", "backward")
_LABELS = ("layer '", "model '")

_name_counts: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)


def _naming(method: Callable[..., Any]) -> Callable[..., Any]:
    """Put the layer's name in front of errors that don't carry one."""

    @functools.wraps(method)
    def named(self: Layer, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except (TypeError, ValueError, MemoryError) as error:
            message = str(error)
            if type(error) not in (TypeError, ValueError, MemoryError) or message.startswith(_LABELS):
                raise
            op, _, rest = message.partition(": ")
            if op in ops.__all__:  # which one a layer calls is its own affair
                message = rest
            raise type(error)(f"{self.label}: {message}").with_traceback(error.__traceback__) from None

    return named


def _building(build: Callable[..., Any]) -> Callable[..., Any]:
    """Check the input shape, also of a layer that is built, build at most once, and note that it is done."""
    build = _naming(build)

    @functools.wraps(build)
    def built(self: Layer, input_shape: Any) -> None:
        input_shape = self._checked_shape(input_shape)
        self.compute_output_shape(input_shape)
        if not self.built:
            build(self, input_shape)
            self.built = True

    return built


class Layer:
    """A function of arrays with weights and a gradient.

    A layer of one's own defines what it needs of `build` (which calls `add_weight`), `compute_output_shape`,
    `forward`, `backward` and `get_config`. TypeError, ValueError and MemoryError from the first four get the
    layer's name in front. A layer of several inputs sets `several_inputs`: it is given lists of arrays and of
    shapes, and its `backward` returns a list of gradients.

    Parameters
    ----------
    name : str, optional
        Default: the class's name in snake case, numbered from the second of the process: conv2d, conv2d_1,
        ...
    trainable : bool
        Whether gradients of its weights are computed.
    dtype : {"float32", "float64"}
        Of its weights; inputs must have it too.
    input_shape : tuple, optional
        Shape of one input without the batch, for the first layer of a `Sequential`.

    Examples
    --------
    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight("factor", (1,), "glorot_uniform")
    ...     def forward(self, inputs, context):
    ...         return inputs * self.factor.value, inputs
    ...     def backward(self, grad, saved, *, needs_input):
    ...         grad_factor = (grad * saved).sum().reshape(1)
    ...         grad_inputs = grad * self.factor.value if needs_input else None
    ...         return grad_inputs, [grad_factor] if self.trainable else []
    >>> layer = Scale(name="scale")
    >>> layer(np.ones((2, 3), np.float32)).shape
    (2, 3)
    """

    several_inputs: ClassVar[bool] = False
    """Whether the inputs are a list of arrays, and their shape a list of shapes, not one of each."""

    _noun: ClassVar[str] = "layer"

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for method in _NAMED_METHODS:
            if method in cls.__dict__:
                wrap = _building if method == "build" else _naming
                setattr(cls, method, wrap(cls.__dict__[method]))

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = "float32",
        input_shape: tuple[int | None, ...] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(
                f"{type(self).__name__}: further arguments must be name, trainable, dtype or input_shape, "
                f"received {', '.join(unknown)}"
            )
        self.name = (
            automatic_name(snake_case(type(self).__name__))
            if name is None
            else checked_name(type(self).__name__, name)
        )
        self.trainable = flag(self.label, "trainable", trainable)
        self.dtype = checked_dtype(self.label, dtype)
        self.declared_shape = (
            None if input_shape is None else shape_of(self.label, "input_shape", input_shape)
        )
        self.built = False
        self._variables: list[Variable] = []
        self._seed = _random.new_seed()

    # What a layer defines.

    @_building
    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of a shape, which starts with the batch: `(None, 28, 28, 1)`."""

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the outputs for inputs of a shape, both with the batch."""
        shape: Shape = input_shape
        return shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        """Return the outputs, and what `backward` needs of this pass."""
        raise NotImplementedError(f"{self.label}: forward is not defined")

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        """Return gradients.

        Parameters
        ----------
        grad : array
            Gradient of the outputs.
        saved : object
            What `forward` returned beside them.
        needs_input : bool
            Whether the gradient of the inputs is wanted.

        Returns
        -------
        grad_inputs : array or None
        grad_weights : list of array
            One for each of `trainable_variables`, in their order.
        """
        raise NotImplementedError(f"{self.label}: backward is not defined")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another layer like this one; `json` can write them."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}

    def multiply_adds(self, input_shape: Any) -> int | None:
        """Multiplications with an addition for one image, as `summary` shows them; None if sizes aren't
        known."""
        return 0

    @property
    def ends_in(self) -> str | None:
        """Name of the activation that the outputs went through last and that `forward` leaves out if
        `context.logits`: "softmax" (over the last axis), "sigmoid", or None."""
        return None

    # What every layer has.

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        if not isinstance(config, dict):
            raise TypeError(f"{cls.__name__}: config must be a dict, received {shown(config)}")
        return cls(**config)

    def add_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "glorot_uniform",
        *,
        trainable: bool = True,
        regularizer: Any = None,
    ) -> Variable:
        """Add a weight; `get_weights`, `backward` and files have weights in the order in which they were
        added.

        `regularizer` is a penalty on it, see `konv.regularizers`.
        """
        if any(variable.name == name for variable in self._variables):
            raise ValueError(
                f"{self.label}: there must be one weight of each name, received a second '{name}'"
            )
        key = _random.derive(self._seed, len(self._variables))
        initializer = initializers.get(initializer, self.label, f"initializer of '{name}'")
        regularizer = regularizers.get(regularizer, self.label, f"regularizer of '{name}'")
        variable = Variable(
            name, shape, self.dtype, initializer, key, trainable=trainable, regularizer=regularizer
        )
        self._variables.append(variable)
        return variable

    def __call__(self, inputs: Array | Sequence[Array], training: bool = False) -> Array:
        """Build the layer if it isn't yet, cast the inputs to its dtype, and return its outputs."""
        training = flag(self.label, "training", training)
        named = {"inputs": inputs}
        if self.several_inputs:
            if not isinstance(inputs, (list, tuple)) or not inputs:
                raise TypeError(f"{self.label}: inputs must be a list of arrays, received {shown(inputs)}")
            named = {f"inputs[{number}]": array for number, array in enumerate(inputs)}
        backend, arrays = numbers(self.label, named)
        if not self.built:
            shapes = [(None, *array.shape[1:]) for array in arrays]
            self.build(shapes if self.several_inputs else shapes[0])
        arrays = [array.astype(self.dtype, copy=False) for array in arrays]
        context = self._context(training=training, for_backward=False, backend=backend)
        return self.forward(arrays if self.several_inputs else arrays[0], context)[0]

    def _checked_shape(self, input_shape: Any) -> Any:
        """Take the shape of the inputs: one, or a list of them for a layer of several inputs."""
        if not self.several_inputs:
            return shape_of(self.label, "input_shape", input_shape)
        if not isinstance(input_shape, (list, tuple)) or not input_shape:
            raise TypeError(
                f"{self.label}: input_shape must be a list of shapes, received {shown(input_shape)}"
            )
        return [shape_of(self.label, "input_shape (each of the list)", shape) for shape in input_shape]

    def _context(self, **fields: Any) -> Context:
        return Context(seed=self._seed, **fields)

    @property
    def label(self) -> str:
        """What error messages call this layer."""
        return f"{self._noun} '{self.name}' ({type(self).__name__})"

    @property
    def variables(self) -> list[Variable]:
        """All weights."""
        return list(self._variables)

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that have gradients; none if the layer is not `trainable`."""
        return [variable for variable in self.variables if variable.trainable] if self.trainable else []

    def named_variables(self) -> list[tuple[str, Variable]]:
        """All weights with names that are unique in this layer."""
        return [(variable.name, variable) for variable in self._variables]

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Return copies of all weights."""
        return [np.array(variable.value) for variable in self.variables]

    @_naming
    def set_weights(self, weights: list[np.ndarray[Any, Any]]) -> None:
        """Set all weights to copies of arrays: all of them or, on an error, none."""
        variables = self.variables
        if not isinstance(weights, (list, tuple)):
            raise TypeError(f"{self.label}: weights must be a list of arrays, received {shown(weights)}")
        if len(weights) != len(variables):
            state = "" if self.built else " (it is not built yet)"
            raise ValueError(
                f"{self.label}: weights must be {len(variables)} arrays{state}, received {len(weights)}"
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.check(weight)
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)

    def count_params(self) -> int:
        """Return the number of elements of all weights."""
        if not self.built:
            raise ValueError(
                f"{self.label}: count_params needs a built {self._noun}, received one without input shape"
            )
        return sum(variable.size for variable in self.variables)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def automatic_name(base: str) -> str:
    """Number the names of this process: conv2d, conv2d_1, ..."""
    number = next(_name_counts[base])
    return f"{base}_{number}" if number else base


def checked_name(where: str, name: Any) -> str:
    """Take a name that can stand in the path of a weight."""
    if not text(where, "name", name) or "/" in name:
        raise ValueError(
            f"{where}: name must be a str that is not empty and has no '/', received {shown(name)}"
        )
    return str(name)


def checked_dtype(where: str, dtype: Any) -> np.dtype[Any]:
    """Take a dtype that kernels compute in."""
    message = f'{where}: dtype must be "float32" or "float64", received {shown(dtype)}'
    if not isinstance(dtype, (str, type, np.dtype)):
        raise TypeError(message)
    if dtype not in _DTYPES:
        raise ValueError(message)
    return _DTYPES[dtype]
