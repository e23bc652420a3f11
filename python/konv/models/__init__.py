"""`konv.models`: models, and how they come back from files."""

from konv.models.saving import load_model
from konv.models.sequential import Sequential

__all__ = ["Sequential", "load_model"]
