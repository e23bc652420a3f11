"""Something to measure, prepared in the process of one peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# So many inputs of 4 KiB take twice a cache of 32 MiB. Copies of less take longer to make, and more memory,
# than they are worth: a call takes longer than to read them.
MOST_COPIES = 1 << 14


@dataclass
class Prepared:
    """A call on each of several copies of its inputs.

    Parameters
    ----------
    call : function
        Computes a result from one copy of the inputs.
    inputs : sequence
        The copies. They take turns, so that no call finds them in a cache because the call before read
        them. Results are dropped at once: each library takes their memory again as its allocator likes.
    arrays : function
        A result as NumPy arrays, images NHWC and kernels HWIO, for the check.
    """

    call: Callable[[Any], Any]
    inputs: Sequence[Any]
    arrays: Callable[[Any], list[Array]]
    _turn: Any = field(init=False)

    def __post_init__(self) -> None:
        self._turn = cycle(self.inputs)

    def result(self) -> list[Array]:
        """Compute once, for the check."""
        return self.arrays(self.call(self.inputs[0]))

    def warm_up(self) -> None:
        """Compute on each copy, so that memory is there and whatever compiles has compiled."""
        for inputs in self.inputs:
            self.call(inputs)

    def seconds_per_call(self, seconds: float) -> float:
        """Mean time of a call, calling for `seconds` after one call to wake threads and caches up."""
        call, turn = self.call, self._turn
        call(next(turn))
        calls, start, passed = 0, perf_counter(), 0.0
        while passed < seconds:
            call(next(turn))
            calls, passed = calls + 1, perf_counter() - start
        return passed / calls


def prepare_layer(own: Any, which: str, cache_bytes: int) -> Prepared:
    """Prepare a pass of a peer's own layer (`KonvLayer` and the like).

    There are so many copies that they take twice the last cache, up to MOST_COPIES, or one where it may be
    cached.
    """
    layer, data = own.layer, own.layer.data()
    copies = 1 if layer.cached else min(MOST_COPIES, -(-2 * cache_bytes // layer.input_bytes(which)))
    return Prepared(
        getattr(own, f"{layer.op}_{which}"),
        [own.place(data) for _ in range(copies)],
        lambda result: own.arrays(which, result),
    )
