"""Weights of models, compared."""

from __future__ import annotations

import numpy as np

from konv import Model


def same_weights(model: Model, other: Model) -> bool:
    """Whether two models have the same weights, to the bit but for the sign of zeros and the kind of NaN."""
    return all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
