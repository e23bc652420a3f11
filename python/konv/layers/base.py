"""The base of all layers.

A layer owns weights and nothing else that changes: what its gradient needs is returned by `forward` and given
back to `backward`. So one layer can stand at several places of a model, and several threads can use it at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from konv import _prepared, _random, initializers, regularizers
from konv._argument_names import argument_names, unknown_arguments
from konv._arguments import Shape, flag, shape_of, shown, snake_case
from konv.backend import Array, Backend
from konv.layers.arguments import automatic_name, checked_dtype, checked_name
from konv.layers.context import Context
from konv.layers.named_errors import building, naming, shaping
from konv.layers.tensor import Node, Tensor
from konv.layers.variable import Variable
from konv.ops.arguments import numbers

if TYPE_CHECKING:
    from konv.layers.batch_normalization import BatchNormalization

Call = Callable[[Array, Array | None], Array]
"""See `Layer.bind`."""

_PASSES = frozenset({"forward", "backward", "run_forward", "run_backward"})
_CLAIMS = ("ends_in", "fuses", "fused_as", "ends_in_relu", "masks_gradient", "bind")
_WRAPPERS = {"build": building, "compute_output_shape": shaping, "forward": naming, "backward": naming}


class Layer:
    """A function of arrays with weights and a gradient.

    A layer of one's own defines what it needs of `build` (which calls `add_weight`), `compute_output_shape`,
    `forward`, `backward` and `get_config`. TypeError, ValueError and MemoryError from the first four get the
    layer's name in front. A layer of several inputs sets `several_inputs`: it is given lists of arrays and of
    shapes, and its `backward` returns a list of gradients. One of several outputs sets `several_outputs`: it
    returns lists of arrays and of shapes, and its `backward` is given a list of gradients, None for an output
    that nothing uses.

    Called on arrays, a layer returns arrays; called on what `konv.Input` returns or on another layer's
    tensors, it returns tensors, which `konv.Model` makes a model of.

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
    >>> import numpy as np
    >>> from konv.layers import Layer
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

    several_inputs: bool = False
    """Whether the inputs are a list of arrays, and their shape a list of shapes, not one of each."""

    several_outputs: bool = False
    """Whether the outputs are a list of arrays, and their shape a list of shapes, not one of each."""

    _noun: ClassVar[str] = "layer"

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for method, wrap in _WRAPPERS.items():
            if method in cls.__dict__:
                setattr(cls, method, wrap(cls.__dict__[method]))
        # What a class says of its passes is not true where others come before them, maybe of another base.
        order = cls.__mro__
        own = next(place for place, base in enumerate(order) if not _PASSES.isdisjoint(base.__dict__))
        for claim in _CLAIMS:
            if not any(claim in base.__dict__ for base in order[: own + 1]):
                setattr(cls, claim, getattr(Layer, claim))

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
            known = dict.fromkeys([*argument_names(type(self)), *argument_names(Layer)])
            raise unknown_arguments(type(self).__name__, list(known), list(unknown))
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
        self._first_node: Node | None = None
        self._seed = self._new_seed()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _prepared.changed()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _prepared.changed()

    # What a layer defines.

    @building
    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of a shape, which starts with the batch: `(None, 28, 28, 1)`."""

    @shaping
    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of a shape, both with the batch."""
        return input_shape

    def forward(self, inputs: Any, context: Context) -> tuple[Any, Any]:
        """Return the outputs, and what `backward` needs of this pass."""
        raise NotImplementedError(f"{self.label}: forward is not defined")

    def backward(self, grad: Any, saved: Any, *, needs_input: bool) -> tuple[Any, list[Array]]:
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

    def fuses(self, *, norm: bool, add: bool, relu: bool) -> bool:
        """Whether `forward` can do the work of layers that follow, as `context.norm`, `context.addend` and
        `context.relu` tell it to. It is asked for `norm` and `add` only where `backward` won't follow."""
        return False

    def bind(
        self, input_shape: tuple[int, ...], *, norm: BatchNormalization | None, relu: bool, backend: Backend
    ) -> Call | None:
        """Return what `forward` does where `backward` won't follow, with `norm` and `relu` of the `Context`,
        as a function of inputs of a shape, which says nothing about their number, and of an addend or None.
        None: `forward` is to be called.

        The function uses weights and attributes as they are now. Where it raises, `forward` is called in its
        place.
        """
        return None

    @property
    def fused_as(self) -> str | None:
        """What a layer before does in place of this one if it `fuses` so, "norm", "add" or "relu"; "max" if a
        ReLU before this layer may come after it; or None."""
        return None

    @property
    def ends_in_relu(self) -> bool:
        """Whether the outputs go through a ReLU of the layer's own last, whose gradient `backward` leaves out
        if `context.masked`."""
        return False

    @property
    def masks_gradient(self) -> bool:
        """Whether `backward` takes the gradient of a ReLU before the layer too, if `context.masks`."""
        return False

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
        name = checked_name(self.label, name)
        sizes = shape_of(self.label, f"shape of '{name}'", shape)
        if None in sizes:
            raise ValueError(
                f"{self.label}: every size of the shape of '{name}' must be known, received {shown(shape)}"
            )
        trainable = flag(self.label, "trainable", trainable)
        if any(variable.name == name for variable in self._variables):
            raise ValueError(
                f"{self.label}: there must be one weight of each name, received a second '{name}'"
            )
        key = _random.derive(self._seed, len(self._variables))
        initializer = initializers.get(initializer, self.label, f"initializer of '{name}'")
        regularizer = regularizers.get(regularizer, self.label, f"regularizer of '{name}'")
        variable = Variable(
            name, tuple(shape), self.dtype, initializer, key, trainable=trainable, regularizer=regularizer
        )
        self._variables.append(variable)
        return variable

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Build the layer if it isn't yet, and return its outputs for arrays, cast to its dtype, or tensors.

        Parameters
        ----------
        inputs : array or Tensor, or a list of one of them if `several_inputs`
        training : bool, optional
            Whether this is a training step, by default not. For tensors: what the layer is told in this
            place, by default what the model is told.
        """
        if training is not None:
            training = flag(self.label, "training", training)
        listed = self._listed(inputs)
        tensors = [each for each in listed if isinstance(each, Tensor)]
        if tensors:
            if len(tensors) < len(listed):
                raise TypeError(
                    f"{self.label}: inputs must be all arrays or all tensors, received {shown(inputs)}"
                )
            outputs = self.connect(tensors, training).outputs
            return list(outputs) if self.several_outputs else outputs[0]
        names = [f"inputs[{index}]" for index in range(len(listed))] if self.several_inputs else ["inputs"]
        backend, arrays = numbers(self.label, dict(zip(names, listed, strict=True)))
        shapes = [(None, *array.shape[1:]) for array in arrays]
        self.build(shapes if self.several_inputs else shapes[0])
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite
            arrays = [array.astype(self.dtype, copy=False) for array in arrays]
        context = self.new_context(training=bool(training), for_backward=False, backend=backend)
        return self.forward(arrays if self.several_inputs else arrays[0], context)[0]

    def connect(self, inputs: Sequence[Tensor], training: bool | None = None) -> Node:
        """Build the layer for tensors, and return the node of a call on them."""
        for tensor in inputs:
            if tensor.dtype != self.dtype:
                raise ValueError(
                    f"{self.label}: inputs must have dtype {self.dtype}, as the layer itself, "
                    f"received {tensor.dtype} from '{tensor.name}'"
                )
        shapes = [tensor.shape for tensor in inputs]
        input_shape = shapes if self.several_inputs else shapes[0]
        self.build(input_shape)
        output_shape = self.compute_output_shape(input_shape)
        node = Node(self, inputs, output_shape if self.several_outputs else [output_shape], training)
        if self._first_node is None:
            self._first_node = node
        return node

    def disconnect(self, node: Node) -> None:
        """Forget a node that `connect` returned: `input` and `output` are no longer its tensors."""
        if self._first_node is node:
            self._first_node = None

    def new_context(self, **fields: Any) -> Context:
        """Return the context of a pass that begins with this layer."""
        return Context(seed=self._seed, **fields)

    def run_forward(
        self, inputs: list[Array], context: Context, logits: Sequence[bool]
    ) -> tuple[list[Array], Any]:
        """Run `forward` on a list of inputs, also of one, and return a list of outputs.

        `logits` says for each output whether to leave out the activation that it ends in.
        """
        if any(logits):
            context = replace(context, logits=True)
        outputs, saved = self.forward(inputs if self.several_inputs else inputs[0], context)
        return (list(outputs) if self.several_outputs else [outputs]), saved

    def run_backward(
        self, grads: list[Array | None], saved: Any, *, needs_input: bool | Sequence[bool]
    ) -> tuple[list[Array | None], list[Array]]:
        """Run `backward` on the gradients of a list of outputs, and return those of a list of inputs.

        `needs_input` may say it for each input. Where none is needed the list may be empty.
        """
        needed = needs_input if isinstance(needs_input, bool) else any(needs_input)
        grad = grads if self.several_outputs else grads[0]
        grad_inputs, grad_weights = self.backward(grad, saved, needs_input=needed)
        if not needed:
            return [], grad_weights
        return (list(grad_inputs) if self.several_inputs else [grad_inputs]), grad_weights

    @property
    def layer_calls(self) -> int:
        """Layers that one call runs, those of models inside counted."""
        return 1

    @property
    def output_activations(self) -> list[str | None]:
        """For each output the activation that `run_forward` can leave out, see `ends_in`."""
        return [self.ends_in]

    @property
    def input(self) -> Any:
        """Tensor, or list of them, that the layer was called on first."""
        node = self._called("input")
        return node.inputs[0] if len(node.inputs) == 1 else list(node.inputs)

    @property
    def output(self) -> Any:
        """Tensor, or list of them, that the first call on tensors returned."""
        node = self._called("output")
        return list(node.outputs) if self.several_outputs else node.outputs[0]

    def _called(self, wanted: str) -> Node:
        if self._first_node is None:
            raise AttributeError(  # so that hasattr is false
                f"{self.label}: {wanted} needs a layer that was called on a tensor or added to a model whose "
                "input shape is known, received one that was not"
            )
        return self._first_node

    def _listed(self, inputs: Any) -> list[Any]:
        """Return the inputs of a call as a list, of one if the layer takes one."""
        if self.several_inputs:
            if not isinstance(inputs, (list, tuple)) or not inputs:
                raise TypeError(
                    f"{self.label}: inputs must be a list of arrays or tensors, received {shown(inputs)}"
                )
            return list(inputs)
        if isinstance(inputs, (list, tuple)) and any(isinstance(each, Tensor) for each in inputs):
            raise TypeError(f"{self.label}: inputs must be one tensor, received {shown(inputs)}")
        return [inputs]

    def _checked_shape(self, input_shape: Any, low: int = 1) -> Any:
        """Take the shape of the inputs: one, or a list of them for a layer of several inputs; sizes are at
        least `low`."""
        if not self.several_inputs:
            return self._with_batch("input_shape", input_shape, low)
        if not isinstance(input_shape, (list, tuple)) or not input_shape:
            raise TypeError(
                f"{self.label}: input_shape must be a list of shapes, received {shown(input_shape)}"
            )
        return [self._with_batch("input_shape (each of the list)", shape, low) for shape in input_shape]

    def _with_batch(self, name: str, shape: Any, low: int) -> Shape:
        sizes = shape_of(self.label, name, shape, low)
        if not sizes:
            raise ValueError(f"{self.label}: {name} must have a batch axis, received {shown(shape)}")
        return sizes

    def _new_seed(self) -> int:
        return _random.new_seed()

    @property
    def label(self) -> str:
        """What error messages call this layer."""
        return f"{self._noun} '{self.name}' ({type(self).__name__})"

    @property
    def weights(self) -> list[Variable]:
        """All weights, as `variables`."""
        return self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that have gradients, as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights without gradients."""
        trained = set(self.trainable_variables)
        return [variable for variable in self.variables if variable not in trained]

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

    @naming
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

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the node: it leads to every layer before, which a copy or a pickle would follow."""
        return self.__dict__ | {"_first_node": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _prepared.changed()
