"""MNIST: 70,000 handwritten digits of 28x28 pixels.

By Y. LeCun, C. Cortes and C. J. C. Burges, from scans of NIST; described in Y. LeCun, L. Bottou, Y. Bengio
and P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86 (11),
1998 (https://doi.org/10.1109/5.726791). Licence: CC BY-SA 3.0.

Sizes and SHA-256 of the files are those of TensorFlow Datasets (`url_checksums/mnist.txt`).
"""

from __future__ import annotations

from konv.datasets import idx
from konv.datasets.download import Published
from konv.datasets.places import Origin
from konv.datasets.reading import Examples

__all__ = ["MAX_PIXEL", "NUM_CLASSES", "load_data"]


def __dir__() -> list[str]:
    return __all__


NUM_CLASSES = 10
MAX_PIXEL = 255

ORIGIN = Origin(
    name="mnist",
    files=(
        Published(
            idx.TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        Published(
            idx.TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        Published(
            idx.TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        Published(idx.TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
)


def load_data() -> tuple[Examples, Examples]:
    """Load MNIST, split into 60,000 images to train on and 10,000 to test on.

    The files are looked for in KONV_DATA and in the user's cache, else downloaded (`konv.datasets.places` has
    the details). Divide the pixels by 255 to get values in [0, 1], and add an axis of channels with
    `x[..., None]`.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images `(n, 28, 28)` (image, row, column), uint8, 0 (paper) to 255 (ink); labels `(n,)`, uint8, 0 to
        9. New arrays on each call.

    Raises
    ------
    FileNotFoundError
        If a file can't be had; says what was tried and how to provide it.
    ValueError
        If a file is broken or another data set's; names it.

    Examples
    --------
    >>> from konv.datasets.mnist import load_data
    >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    >>> x_train.shape, x_test.shape  # doctest: +SKIP
    ((60000, 28, 28), (10000, 28, 28))
    >>> y_train[:5]  # doctest: +SKIP
    array([5, 0, 4, 1, 9], dtype=uint8)
    """
    return idx.load_examples("mnist.load_data", ORIGIN, NUM_CLASSES)
