"""The base of cross-entropies."""

from __future__ import annotations

import copy
from typing import Any

from konv._arguments import flag
from konv.losses.base import Loss


class Crossentropy(Loss):
    """Base of cross-entropies, from probabilities or from logits: what goes into softmax or sigmoid.

    A model that ends in that activation is trained from its logits in either case: exact where a probability
    is 0 or 1.

    Parameters
    ----------
    from_logits : bool
    name : str, optional

    Examples
    --------
    >>> from konv.losses import BinaryCrossentropy
    >>> BinaryCrossentropy().on_logits().from_logits
    True
    """

    def __init__(self, from_logits: bool = False, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)

    def on_logits(self) -> Crossentropy:
        """Return this loss for logits."""
        twin = copy.copy(self)
        twin.from_logits = True
        return twin

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}
