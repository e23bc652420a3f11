"""`konv.models`: models, and how they come back from files."""

from konv.models.model import Model
from konv.models.saving import load_model
from konv.models.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]


def __dir__() -> list[str]:
    return __all__
