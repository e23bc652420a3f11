"""Wrappers of a layer's methods: errors that name the layer, and layers that are built once."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from konv import ops
from konv.ops import addition, prepared

if TYPE_CHECKING:
    from konv.layers.base import Layer

_OPS = frozenset({*ops.__all__, *prepared.__all__, *addition.__all__})
_LABELS = ("layer '", "model '")

_BUILDING = threading.RLock()  # of the one thread that builds layers
if hasattr(os, "register_at_fork"):  # so that a forked child does not find it held by a thread it lacks
    os.register_at_fork(
        before=_BUILDING.acquire, after_in_parent=_BUILDING.release, after_in_child=_BUILDING.release
    )


def naming(method: Callable[..., Any]) -> Callable[..., Any]:
    """Put the layer's name in front of errors that don't carry one."""

    @functools.wraps(method)
    def named(self: Layer, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except (TypeError, ValueError, MemoryError) as error:
            message = str(error)
            kind = MemoryError if isinstance(error, MemoryError) else type(error)  # NumPy has one of its own
            if kind not in (TypeError, ValueError, MemoryError) or message.startswith(_LABELS):
                raise
            op, _, rest = message.partition(": ")
            if op in _OPS:  # which one a layer calls is its own affair
                message = rest
            raise kind(f"{self.label}: {message}").with_traceback(error.__traceback__) from None

    return named


def shaping(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Check the input shape of `compute_output_shape`, of which a size of an array may be 0, and name the
    layer in errors."""
    compute = naming(compute)

    @functools.wraps(compute)
    def shaped(self: Layer, input_shape: Any) -> Any:
        return compute(self, self._checked_shape(input_shape, 0))

    return shaped


def building(build: Callable[..., Any]) -> Callable[..., Any]:
    """Check the input shape, also of a layer that is built, build at most once, whichever threads ask, and
    note that it is done. A build that fails leaves no weights behind."""
    build = naming(build)

    @functools.wraps(build)
    def built(self: Layer, input_shape: Any) -> None:
        input_shape = self._checked_shape(input_shape)
        self.compute_output_shape(input_shape)
        if self.built:
            return
        with _BUILDING:
            if self.built:
                return
            count = len(self._variables)
            try:
                build(self, input_shape)
            except BaseException:
                del self._variables[count:]
                self.built = False  # though the `build` of a base class may have been done
                raise
            self.built = True

    return built
