"""The IDX format of MNIST and Fashion-MNIST, and the four files that both data sets consist of.

An IDX file has, in big-endian 32-bit words, a magic number (0x0800 + number of axes, for unsigned bytes) and
the size of each axis, then the bytes in row-major order (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from konv.datasets.places import Origin, find
from konv.datasets.reading import Examples, fill, gzip_file, require_end, require_labels

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

_UNSIGNED_BYTES = 0x0800  # magic number of a file without axes
_DEFLATE_LIMIT = 1032  # bytes that one of deflate stands for, at most (https://zlib.net/zlib_tech.html)

# By the set's name, the first labels to train on.
_FIRST_LABELS = {
    "mnist": bytes([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
    "fashion-mnist": bytes([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]),
}


def read_idx(path: Path, shape: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Read a compressed IDX file of unsigned bytes that must have a shape; None is any size.

    Raises
    ------
    ValueError
        If the file isn't that: not gzip, not IDX, truncated, of another shape, with more behind it.

    Examples
    --------
    >>> import gzip, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.gz")
    ...     _ = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])))
    ...     read_idx(path, (None,))
    array([5, 0, 4], dtype=uint8)
    """
    with gzip_file(path) as stream:
        header = np.empty(1 + len(shape), ">u4")
        fill(path, stream, header, "an IDX header")
        magic, *sizes = header.tolist()
        if magic != _UNSIGNED_BYTES + len(shape):
            raise ValueError(
                f"{path}: magic number must be {_UNSIGNED_BYTES + len(shape)} (IDX, unsigned bytes, "
                f"{len(shape)} {'axes' if len(shape) > 1 else 'axis'}), received {magic}"
            )
        if any(wanted not in (None, size) for wanted, size in zip(shape, sizes, strict=True)):
            raise ValueError(f"{path}: shape must be {shape}, received {tuple(sizes)}")
        if math.prod(sizes) > _DEFLATE_LIMIT * path.stat().st_size:  # before it is allocated
            raise ValueError(f"{path}: must hold an array of shape {tuple(sizes)}, received a file too short")
        data = np.empty(sizes, np.uint8)
        fill(path, stream, data, "pixels" if len(shape) > 1 else "labels")
        require_end(path, stream)
    return data


def read_examples(images_path: Path, labels_path: Path, num_classes: int) -> Examples:
    """Read images of shape `(n, 28, 28)` and their n labels.

    Raises
    ------
    ValueError
        If a file isn't as `read_idx` requires, there are no labels, or they are out of range.
    """
    labels = read_idx(labels_path, (None,))
    require_labels(str(labels_path), labels, num_classes)
    return read_idx(images_path, (len(labels), 28, 28)), labels


def load_examples(where: str, origin: Origin, num_classes: int) -> tuple[Examples, Examples]:
    """Find the four files of a data set, and read them.

    The files of `origin` are the images and labels to train on, and the images and labels to test on.

    Raises
    ------
    FileNotFoundError
        If a file is in none of the places and can't be downloaded, see `konv.datasets.places`.
    ValueError
        If a file isn't what it must be, or is another data set's of the same name.
    """
    train_images, train_labels, test_images, test_labels = (
        find(where, origin, file) for file in origin.files
    )
    train = read_examples(train_images, train_labels, num_classes)
    begins = bytes(train[1][:10])
    for name, first_labels in _FIRST_LABELS.items():
        # In a folder of its own name a set is what its folder says; elsewhere a mistake is likely.
        if begins == first_labels and origin.name not in (name, train_labels.parent.name):
            raise ValueError(
                f"{train_labels}: must be of {origin.name}, received the labels of {name}, whose files have "
                f"the same names; each can have its own folder there, {origin.name} and {name}"
            )
    return train, read_examples(test_images, test_labels, num_classes)
