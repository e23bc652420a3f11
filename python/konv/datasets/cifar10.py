"""CIFAR-10: 60,000 colour photos of 32x32 pixels.

By A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of
Toronto, 2009 (https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf). Its page
(https://www.cs.toronto.edu/~kriz/cifar.html) states no licence and asks to cite that report.

It is read from the binary archive, not from the one of pickles, which could run anything. Six of its members
have 10,000 records each, of a label and 3 x 32 x 32 pixels: the red plane, the green, the blue. Size and
SHA-256 of the archive are those of TensorFlow Datasets (`url_checksums/cifar10.txt`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from konv.datasets.download import Published
from konv.datasets.places import Origin, find
from konv.datasets.reading import Examples, require_labels
from konv.datasets.tar import read_members

__all__ = ["CLASS_NAMES", "MAX_PIXEL", "NUM_CLASSES", "load_data"]


def __dir__() -> list[str]:
    return __all__


NUM_CLASSES = 10
MAX_PIXEL = 255
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

ORIGIN = Origin(
    name="cifar10",
    files=(
        Published(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
)

# Members of the archive, in the order of their images; the last one has those to test on.
_MEMBERS = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


def load_data() -> tuple[Examples, Examples]:
    """Load CIFAR-10, split into 50,000 images to train on and 10,000 to test on.

    The archive `cifar-10-binary.tar.gz` is looked for in KONV_DATA and in the user's cache, else downloaded
    (`konv.datasets.places` has the details). Divide the pixels by 255 to get values in [0, 1].

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images `(n, 32, 32, 3)` (image, row, column, RGB), uint8, 0 to 255; labels `(n, 1)` as in Keras,
        uint8, 0 to 9, positions in `CLASS_NAMES`. New arrays on each call.

    Raises
    ------
    FileNotFoundError
        If the archive can't be had; says what was tried and how to provide it.
    ValueError
        If the archive is broken or another one; names it.

    Examples
    --------
    >>> from konv.datasets.cifar10 import CLASS_NAMES, load_data
    >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    >>> x_train.shape, x_test.shape  # doctest: +SKIP
    ((50000, 32, 32, 3), (10000, 32, 32, 3))
    >>> CLASS_NAMES[y_train[0, 0]]  # doctest: +SKIP
    'frog'
    """
    return read_archive(find("cifar10.load_data", ORIGIN, ORIGIN.files[0]))


def read_archive(path: Path, images_per_member: int = 10_000) -> tuple[Examples, Examples]:
    """Read the binary archive.

    Raises
    ------
    ValueError
        If it is truncated, lacks a member, or has anything but the right number of records in one.
    """
    record = 1 + 3 * 32 * 32
    images = np.empty((len(_MEMBERS), images_per_member, 32, 32, 3), np.uint8)
    labels = np.empty((len(_MEMBERS), images_per_member, 1), np.uint8)
    for name, data in read_members(path, dict.fromkeys(_MEMBERS, images_per_member * record)):
        member = _MEMBERS.index(name)
        records = data.reshape(images_per_member, record)
        labels[member] = records[:, :1]
        require_labels(f"{path}: {name}", labels[member], NUM_CLASSES)
        images[member] = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    x_train, y_train = images[:-1].reshape(-1, 32, 32, 3), labels[:-1].reshape(-1, 1)
    return (x_train, y_train), (images[-1], labels[-1])
