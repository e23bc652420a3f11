"""One call of a layer in a graph."""

from __future__ import annotations

from dataclasses import dataclass

from konv.layers.base import Layer
from konv.layers.batch_normalization import BatchNormalization


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer.

    Attributes
    ----------
    layer : Layer
    position : int
        Of the layer, among the graph's.
    call : int
        How often the layer was called before, in the graph's order.
    inputs, outputs : tuple of int
        Slots.
    training : bool or None
        What the layer is told in this place; None: what the model is told.
    norm, relu
        What the layer is to do after its own work, see `Context`.
    addend : int or None
        Slot of what it is to add, likewise.
    masks, masked
        Which layer takes the gradient of a ReLU, likewise.
    """

    layer: Layer
    position: int
    call: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    training: bool | None = None
    norm: BatchNormalization | None = None
    relu: bool = False
    addend: int | None = None
    masks: bool = False
    masked: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        """All slots that it reads."""
        return self.inputs if self.addend is None else (*self.inputs, self.addend)
