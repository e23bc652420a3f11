"""Making files in MNIST's format for tests."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from konv.datasets.idx import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from konv.datasets.reading import Examples


def header(*shape: int) -> bytes:
    return np.array([0x0800 + len(shape), *shape], ">u4").tobytes()


def write_set(folder: Path, first_train_labels: tuple[int, ...], first_test_labels: tuple[int, ...]) -> Path:
    """Write a whole set of black images but for the last pixel, with labels 0 after the first ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for images, labels, count, first in (
        (TRAIN_IMAGES, TRAIN_LABELS, 60_000, first_train_labels),
        (TEST_IMAGES, TEST_LABELS, 10_000, first_test_labels),
    ):
        pixels = bytes(count * 28 * 28 - 1) + b"\x07"
        (folder / images).write_bytes(gzip.compress(header(count, 28, 28) + pixels, 1))
        (folder / labels).write_bytes(gzip.compress(header(count) + bytes(first).ljust(count, b"\0"), 1))
    return folder


def equal(first: tuple[Examples, Examples], second: tuple[Examples, Examples]) -> bool:
    """Whether two results of load_data are the same."""
    return all(
        np.array_equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )
