"""Data sets, each a module with a `load_data()` as in Keras."""

from konv.datasets import digits

__all__ = ["digits"]
