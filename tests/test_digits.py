"""The digits data set: its numbers, its split, its attribution."""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import pytest

from konv.datasets import digits

CHECKSUMS = {  # SHA-256 of each array's bytes
    "x_train": "bbd14810556ec9d2a3311a0a1d9d451707c7ce7bb651dd080e0f35522ec91e74",
    "y_train": "704dda749a60b2f59828343b681eb0bf300a9738520946943df3ddfd530c4e41",
    "x_test": "00517e14cea5a3607fe32f899724a5350b6be708636195876742e7353ccac1db",
    "y_test": "1becdccb6ef79354e94a2aa220bb39468dac9b9cb36da5ee42edff1263ee5ecf",
}

# The first image of the set, a zero, as scikit-learn's documentation prints it.
FIRST_IMAGE = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def test_shapes_and_dtypes(arrays):
    assert {name: (array.shape, array.dtype.name) for name, array in arrays.items()} == {
        "x_train": ((1438, 8, 8), "uint8"),
        "y_train": ((1438,), "uint8"),
        "x_test": ((359, 8, 8), "uint8"),
        "y_test": ((359,), "uint8"),
    }


@pytest.mark.parametrize("name", CHECKSUMS)
def test_values_never_change(arrays, name):
    assert hashlib.sha256(arrays[name].tobytes()).hexdigest() == CHECKSUMS[name]


def test_first_image(arrays):
    np.testing.assert_array_equal(arrays["x_train"][0], FIRST_IMAGE)
    assert arrays["y_train"][0] == 0


def test_pixels_span_the_documented_range(arrays):
    for name in ("x_train", "x_test"):
        assert arrays[name].min() == 0
        assert arrays[name].max() == digits.MAX_PIXEL


def test_split_is_stratified(arrays):
    train = np.bincount(arrays["y_train"], minlength=digits.NUM_CLASSES)
    test = np.bincount(arrays["y_test"], minlength=digits.NUM_CLASSES)
    np.testing.assert_array_equal(train, [142, 146, 142, 146, 145, 146, 145, 143, 139, 144])
    np.testing.assert_array_equal(test, [36, 36, 35, 37, 36, 36, 36, 36, 35, 36])
    np.testing.assert_array_equal(test, np.round((train + test) / 5))


def test_no_image_is_in_both_parts(arrays):
    train = {image.tobytes() for image in arrays["x_train"]}
    test = {image.tobytes() for image in arrays["x_test"]}
    assert len(train | test) == 1797


def test_each_call_gives_new_arrays():
    (first, _), _ = digits.load_data()
    first[:] = 0
    (second, _), _ = digits.load_data()
    assert second.any()


def test_attribution_comes_with_the_data():
    text = (resources.files("konv.datasets") / "LICENSE-digits.txt").read_text(encoding="utf-8")
    for part in ("Alpaydin", "Kaynak", "UCI Machine Learning Repository", "CC BY 4.0", "Changes made"):
        assert part in text
