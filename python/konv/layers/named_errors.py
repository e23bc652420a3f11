"""Wrappers of a layer's methods: errors that name the layer, and layers that are built once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from konv import ops

if TYPE_CHECKING:
    from konv.layers.base import Layer

_LABELS = ("layer '", "model '")


def naming(method: Callable[..., Any]) -> Callable[..., Any]:
    """Put the layer's name in front of errors that don't carry one."""

    @functools.wraps(method)
    def named(self: Layer, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except (TypeError, ValueError, MemoryError) as error:
            message = str(error)
            if type(error) not in (TypeError, ValueError, MemoryError) or message.startswith(_LABELS):
                raise
            op, _, rest = message.partition(": ")
            if op in ops.__all__:  # which one a layer calls is its own affair
                message = rest
            raise type(error)(f"{self.label}: {message}").with_traceback(error.__traceback__) from None

    return named


def building(build: Callable[..., Any]) -> Callable[..., Any]:
    """Check the input shape, also of a layer that is built, build at most once, and note that it is done."""
    build = naming(build)

    @functools.wraps(build)
    def built(self: Layer, input_shape: Any) -> None:
        input_shape = self._checked_shape(input_shape)
        self.compute_output_shape(input_shape)
        if not self.built:
            build(self, input_shape)
            self.built = True

    return built
