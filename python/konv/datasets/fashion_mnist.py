"""Fashion-MNIST: 70,000 photos of clothes of 28x28 pixels.

By H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", 2017 (https://arxiv.org/abs/1708.07747). Copyright Zalando SE; licence: MIT.

Sizes and SHA-256 of the files are those of TensorFlow Datasets (`url_checksums/fashion_mnist.txt`).
"""

from __future__ import annotations

from pathlib import Path

from konv.datasets import idx
from konv.datasets.download import Published
from konv.datasets.places import Origin
from konv.datasets.reading import Examples

__all__ = ["CLASS_NAMES", "MAX_PIXEL", "NUM_CLASSES", "load_data"]


def __dir__() -> list[str]:
    return __all__


NUM_CLASSES = 10
MAX_PIXEL = 255
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

ORIGIN = Origin(
    name="fashion-mnist",
    files=(
        Published(
            idx.TRAIN_IMAGES, 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        Published(
            idx.TRAIN_LABELS, 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        Published(
            idx.TEST_IMAGES, 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        Published(idx.TEST_LABELS, 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    debian_package="dataset-fashion-mnist",
    debian_folder=Path("/usr/share/datasets/fashion-mnist"),
)


def load_data() -> tuple[Examples, Examples]:
    """Load Fashion-MNIST, split into 60,000 images to train on and 10,000 to test on.

    The files are looked for in KONV_DATA, in the user's cache and in the folder of Debian's package
    `dataset-fashion-mnist`, else downloaded (`konv.datasets.places` has the details). Divide the pixels by
    255 to get values in [0, 1], and add an axis of channels with `x[..., None]`.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images `(n, 28, 28)` (image, row, column), uint8, 0 (background) to 255; labels `(n,)`, uint8, 0 to 9,
        positions in `CLASS_NAMES`. New arrays on each call.

    Raises
    ------
    FileNotFoundError
        If a file can't be had; says what was tried and how to provide it.
    ValueError
        If a file is broken or another data set's; names it.

    Examples
    --------
    >>> from konv.datasets.fashion_mnist import CLASS_NAMES, load_data
    >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    >>> x_train.shape, x_test.shape  # doctest: +SKIP
    ((60000, 28, 28), (10000, 28, 28))
    >>> CLASS_NAMES[y_train[0]]  # doctest: +SKIP
    'Ankle boot'
    """
    return idx.load_examples("fashion_mnist.load_data", ORIGIN, NUM_CLASSES)
