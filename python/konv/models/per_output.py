"""What is given for each input or output of a model: one value, a list in their order, or a dict by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from konv._arguments import is_class_and_config, shown


def each(value: Any, take: Callable[[Any], Any]) -> Any:
    """Apply a function to each entry of a list or dict (also nested), or to one value.

    A `{"class_name": ..., "config": ...}` is a value.

    Examples
    --------
    >>> each({"a": 1, "b": [2, None]}, str)
    {'a': '1', 'b': ['2', 'None']}
    """
    if isinstance(value, (list, tuple)):
        return [each(entry, take) for entry in value]
    if isinstance(value, dict) and not is_class_and_config(value):
        return {name: each(entry, take) for name, entry in value.items()}
    return take(value)


def is_single(value: Any) -> bool:
    """Whether a value is neither a list nor a dict by name."""
    return not isinstance(value, (list, tuple, dict)) or is_class_and_config(value)


def listed(where: str, argument: str, value: Any, names: Sequence[str], kind: str = "outputs") -> list[Any]:
    """Bring a list or dict into the order of the names; what a dict leaves out is None.

    Parameters
    ----------
    where, argument : str
        Of the message of an error.
    value : list, tuple or dict
    names : sequence of str
    kind : str
        What the names are of.

    Raises
    ------
    ValueError
        If a list is of another length, or a dict has other names.

    Examples
    --------
    >>> listed("compile", "loss", {"b": "mse"}, ["a", "b"])
    [None, 'mse']
    """
    known = ", ".join(names)
    if isinstance(value, dict):
        unknown = [name for name in value if name not in names]
        if unknown or not value:
            raise ValueError(
                f"{where}: {argument} must have names of the model's {kind} ({known}), "
                f"received {shown(unknown or value)}"
            )
        return [value.get(name) for name in names]
    if len(value) != len(names):
        raise ValueError(
            f"{where}: {argument} must have an entry for each of the model's {len(names)} {kind} ({known}), "
            f"received {len(value)}"
        )
    return list(value)
