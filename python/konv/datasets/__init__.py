"""Data sets, each a module with a `load_data()` as in Keras."""

from konv.datasets import cifar10, digits, fashion_mnist, mnist

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist"]


def __dir__() -> list[str]:
    return __all__
