"""Names of arguments: what was given under a name that isn't there gets an error that says which are, and
which of them may have been meant."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def argument_names(function: Callable[..., Any]) -> list[str]:
    """Return the names under which a function, method or class takes arguments."""
    parameters = signature(function).parameters
    return [name for name, parameter in parameters.items() if parameter.kind in _NAMED and name != "self"]


def unknown_arguments(where: str, known: Sequence[str], unknown: Sequence[str]) -> TypeError:
    """Return the error of a function or class, `where`, that was given arguments of other names."""
    from difflib import get_close_matches

    close = get_close_matches(unknown[0], known, 1) or _with_initials(unknown[0], known)
    meant = f"; did you mean {close[0]}?" if close else ""
    return TypeError(
        f"{where}: arguments must be {', '.join(known) or 'none'}, received {', '.join(unknown)}{meant}"
    )


def _with_initials(initials: str, names: Collection[str]) -> list[str]:
    """Return names of several words that begin with some letters: lr is learning_rate."""
    return [name for name in names if "".join(word[:1] for word in name.split("_")) == initials]


def knowing_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function or method say so of arguments that it doesn't take."""
    if any(one.kind is Parameter.VAR_KEYWORD for one in signature(function).parameters.values()):
        return function
    known = argument_names(function)
    names = frozenset(known)

    @functools.wraps(function)
    def called(*arguments: P.args, **options: P.kwargs) -> R:
        if not names.issuperset(options):
            name = function.__name__
            where = type(arguments[0]).__name__ if name == "__init__" else name
            raise unknown_arguments(where, known, [each for each in options if each not in names])
        return function(*arguments, **options)

    return called


class KnowingArguments:
    """Base of classes whose constructors say so."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            setattr(cls, "__init__", knowing_arguments(cls.__dict__["__init__"]))  # noqa: B010 (mypy)
