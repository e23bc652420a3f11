"""The number of channels that a layer's weights fit."""

from __future__ import annotations

from konv._arguments import Shape


def known_channels(input_shape: Shape, built_for: int | None) -> int:
    """Return the channels of inputs of a shape: the size of its last axis.

    Parameters
    ----------
    input_shape : tuple
        With the batch.
    built_for : int or None
        Channels of the inputs that the layer was built for; None if it isn't built.

    Raises
    ------
    ValueError
        If the number isn't known, or isn't `built_for`.

    Examples
    --------
    >>> known_channels((None, 28, 28, 3), None)
    3
    """
    if len(input_shape) < 2 or input_shape[-1] is None:
        raise ValueError(
            f"inputs must have a batch axis and a last axis of known size, received shape {input_shape}"
        )
    channels = input_shape[-1]
    if built_for not in (None, channels):
        raise ValueError(
            f"inputs must have {built_for} channels, as those it was built for, received shape {input_shape}"
        )
    return channels
