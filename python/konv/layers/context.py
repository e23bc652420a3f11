"""What a layer's forward pass is told beside its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from konv import _random
from konv.backend import NUMPY, Array, Backend

if TYPE_CHECKING:
    from konv.layers.batch_normalization import BatchNormalization


@dataclass(frozen=True)
class Context:
    """One pass through one layer.

    Attributes
    ----------
    training : bool
        Whether this is a training step; layers such as dropout differ.
    for_backward : bool
        Whether `backward` will follow; if not, a layer need not keep anything for it.
    logits : bool
        Whether a layer that ends in softmax or sigmoid is to leave it out (see `Layer.ends_in`).
    norm : BatchNormalization or None
        Layer whose normalization by moving averages the layer is to do after its own work, where it `fuses`
        so.
    addend : array or None
        What the layer is to add to its outputs, of their shape, after that; likewise.
    relu : bool
        Whether the layer is to end in a ReLU, likewise.
    masks : bool
        Whether the inputs came out of a ReLU whose gradient `backward` is to take too, where the layer
        `masks_gradient`: that of the inputs is 0 where they are not positive.
    masked : bool
        Whether the layer that reads the outputs does so: the gradient of the ReLU that they went through last
        (by `relu` or `Layer.ends_in_relu`) is taken then. Taking it again would change nothing.
    backend : Backend
        Array library and kernels of the inputs.
    seed, step : int
        Of the model: its random seed, and how many training steps it has made.
    path : tuple of int
        Position in the model and number of the call of the layer, from the outermost model inwards.
    """

    training: bool = False
    for_backward: bool = True
    logits: bool = False
    norm: BatchNormalization | None = None
    addend: Array | None = None
    relu: bool = False
    masks: bool = False
    masked: bool = False
    backend: Backend = NUMPY
    seed: int = 0
    step: int = 0
    path: tuple[int, ...] = ()

    def within(
        self,
        position: int,
        *,
        call: int = 0,
        training: bool | None = None,
        norm: BatchNormalization | None = None,
        addend: Array | None = None,
        relu: bool = False,
        masks: bool = False,
        masked: bool = False,
    ) -> Context:
        """Return the context for a layer inside, not told to leave out its activation; `training`, if not
        None, is its own."""
        return Context(
            training=self.training if training is None else training,
            for_backward=self.for_backward,
            norm=norm,
            addend=addend,
            relu=relu,
            masks=masks,
            masked=masked,
            backend=self.backend,
            seed=self.seed,
            step=self.step,
            path=(*self.path, position, call),
        )

    @property
    def key(self) -> int:
        """Key for `konv._random`: its own for each seed, place in the model, call and step."""
        return _random.derive(self.seed, _random.LAYER, *self.path, self.step)
