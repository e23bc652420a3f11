"""What `predict` returns: the outputs of all batches, joined."""

from __future__ import annotations

from konv._arguments import require_memory
from konv.backend import Array, route


class Predictions:
    """Outputs of batches, joined: written into one array where the number of samples is known.

    Parameters
    ----------
    where : str
        The function to name in an error.
    samples : int or None
        Of all batches.
    """

    def __init__(self, where: str, samples: int | None) -> None:
        self._where = where
        self._samples = samples
        self._whole: list[Array] = []
        self._parts: list[list[Array]] = []
        self._filled = 0

    def add(self, outputs: list[Array]) -> None:
        """Take in the outputs for a batch."""
        count = len(outputs[0])
        if self._samples is None or count == self._samples:
            self._parts.append(outputs)
            return
        if not self._whole:
            self._whole = [self._empty(array) for array in outputs]
        for whole, array in zip(self._whole, outputs, strict=True):
            whole[self._filled : self._filled + count] = array
        self._filled += count

    def joined(self) -> list[Array]:
        """Return an array for each output."""
        if not self._parts:
            return self._whole
        if len(self._parts) == 1:
            return self._parts[0]
        backend, _ = route(self._parts[0][0], self._where)
        return [backend.array_module.concatenate(arrays) for arrays in zip(*self._parts, strict=True)]

    def _empty(self, like: Array) -> Array:
        backend, _ = route(like, self._where)
        shape = (self._samples, *like.shape[1:])
        require_memory(f"{self._where}: the result", shape, like.dtype)
        return backend.array_module.empty(shape, like.dtype)
