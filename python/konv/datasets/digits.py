"""The digits data set: 1,797 real handwritten digits of 8x8 pixels, shipped with Konv.

It is the test part of the UCI set "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak
(https://doi.org/10.24432/C50P49, CC BY 4.0; see LICENSE-digits.txt beside this file), the same images in the
same order as scikit-learn's `digits.csv.gz`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from konv.datasets.reading import Examples

__all__ = ["MAX_PIXEL", "NUM_CLASSES", "load_data"]


def __dir__() -> list[str]:
    return __all__


NUM_CLASSES = 10
MAX_PIXEL = 16


def load_data() -> tuple[Examples, Examples]:
    """Load the digits, split into 1,438 images to train on and 359 to test on.

    A pixel is the number of dark dots, 0 to 16, in a 4x4 block of the 32x32 scan. Divide by 16 to get values
    in [0, 1], and add an axis of channels with `x[..., None]`.

    The split is fixed and stratified: of each class the images number 2, 7, 12, ... (counted from 0 in the
    order of the file) are for testing, which is a fifth of each class, rounded to the nearest integer.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images `(n, 8, 8)` (image, row, column), uint8, 0 (paper) to 16 (ink); labels `(n,)`, uint8, 0 to 9.
        New arrays on each call.

    Examples
    --------
    >>> from konv.datasets.digits import load_data
    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape
    ((1438, 8, 8), (359, 8, 8))
    >>> y_test[:5]
    array([0, 1, 2, 3, 4], dtype=uint8)
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    position = np.zeros(len(labels), dtype=np.int64)  # of each image within its class
    for digit in range(NUM_CLASSES):
        members = labels == digit
        position[members] = np.arange(np.count_nonzero(members))
    test = position % 5 == 2
    return (images[~test], labels[~test]), (images[test], labels[test])
