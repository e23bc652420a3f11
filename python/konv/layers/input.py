"""Input: where a model begins."""

from __future__ import annotations

from typing import Any

from konv._arguments import Shape, at_least, shape_of
from konv.layers.arguments import checked_dtype, checked_name
from konv.layers.base import Layer
from konv.layers.tensor import Node, Tensor


class InputLayer(Layer):
    """The place of one input of a model: it has no weights and computes nothing; `output` is its tensor.

    Parameters
    ----------
    shape : tuple
        Of one input, without the batch; None where a size isn't known: `(28, 28, 1)`.
    batch_size : int, optional
        Samples in a batch, where that is known; it is noted and not enforced.
    dtype : {"float32", "float64"}
        What inputs are cast to.
    name : str, optional

    Examples
    --------
    >>> from konv.layers import InputLayer
    >>> InputLayer((28, 28, 1)).output.shape
    (None, 28, 28, 1)
    """

    def __init__(
        self,
        shape: tuple[int | None, ...] | None = None,
        batch_size: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        batch = None if batch_size is None else at_least(1, self.label, "batch_size", batch_size)
        self.batch_shape: Shape = (batch, *shape_of(self.label, "shape", shape))
        self.built = True
        self._open()

    def _open(self) -> None:
        self._first_node = Node(self, (), [self.batch_shape])

    def _new_seed(self) -> int:
        """Take none: the layers' weights are the same with an `Input` as with `input_shape=`."""
        return 0

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        raise TypeError(f"{self.label}: an input begins a model and can't be called, use its output")

    def get_config(self) -> dict[str, Any]:
        return {
            "shape": self.batch_shape[1:],
            "batch_size": self.batch_shape[0],
            "dtype": self.dtype.name,
            "name": self.name,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._open()


def Input(  # noqa: N802
    shape: tuple[int | None, ...] | None = None,
    batch_size: int | None = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Declare what goes into a model: return the tensor of a new `InputLayer`.

    Parameters
    ----------
    shape : tuple
        Of one input, without the batch; None where a size isn't known: `(28, 28, 1)`.
    batch_size : int, optional
        Samples in a batch, where that is known; it is noted and not enforced.
    dtype : {"float32", "float64"}
        What inputs are cast to.
    name : str, optional

    Returns
    -------
    Tensor
        Of shape `(batch_size, *shape)`; layers can be called on it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from konv import Input
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    where = "Input"
    layer = InputLayer(
        shape_of(where, "shape", shape),
        None if batch_size is None else at_least(1, where, "batch_size", batch_size),
        checked_dtype(where, dtype),
        None if name is None else checked_name(where, name),
    )
    tensor: Tensor = layer.output
    return tensor
