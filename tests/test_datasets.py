"""The data sets as their users load them: whole fake ones, and the real Fashion-MNIST if it is installed."""

from __future__ import annotations

import dataclasses
import doctest
import functools
import hashlib
import http.server
import io
import re
import struct
import tarfile
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from idx_files import equal, write_set
from konv.datasets import cifar10, fashion_mnist, idx, mnist

# How the sets begin, from their authors' pages and every framework's tutorials.
FIRST_LABELS = {
    mnist: ((5, 0, 4, 1, 9, 2, 1, 3, 1, 4), (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)),
    fashion_mnist: ((9, 0, 0, 3, 0, 2, 7, 2, 5, 5), (9, 2, 1, 1, 6, 1, 4, 6, 5, 7)),
}
DEBIAN = fashion_mnist.ORIGIN.debian_folder
# The modification times in the published files of Fashion-MNIST, which Debian left out of its own.
PUBLISHED_TIMES = (1504176606, 1504176606, 1504176627, 1504176627)

needs_fashion_mnist = pytest.mark.skipif(
    not (DEBIAN / idx.TRAIN_IMAGES).exists(), reason="Debian's package dataset-fashion-mnist isn't installed"
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch) -> None:
    """Neither KONV_DATA nor anything in the cache."""
    monkeypatch.delenv("KONV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_load_data_of_mnist_files(tmp_path, monkeypatch, module: ModuleType):
    write_set(tmp_path / "data" / module.ORIGIN.name, *FIRST_LABELS[module])
    monkeypatch.setenv("KONV_DATA", str(tmp_path / "data"))
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert [(array.shape, array.dtype.name) for array in (x_train, y_train, x_test, y_test)] == [
        ((60_000, 28, 28), "uint8"),
        ((60_000,), "uint8"),
        ((10_000, 28, 28), "uint8"),
        ((10_000,), "uint8"),
    ]
    assert tuple(y_train[:10]) == FIRST_LABELS[module][0]
    assert tuple(y_test[:10]) == FIRST_LABELS[module][1]
    assert x_train[-1, -1, -1] == x_test[-1, -1, -1] == 7
    assert np.count_nonzero(x_train) == np.count_nonzero(x_test) == 1
    x_train[0] = 1  # it can be written to


def test_files_of_the_other_set(tmp_path, monkeypatch):
    folder = write_set(tmp_path / "data", *FIRST_LABELS[fashion_mnist])
    monkeypatch.setenv("KONV_DATA", str(folder))
    fashion_mnist.load_data()
    with pytest.raises(
        ValueError,
        match="^"
        + re.escape(
            f"{folder / idx.TRAIN_LABELS}: must be of mnist, received the labels of fashion-mnist, whose "
            "files have the same names; each can have its own folder there, mnist and fashion-mnist"
        )
        + "$",
    ):
        mnist.load_data()


def test_load_data_of_cifar10(tmp_path, monkeypatch):
    monkeypatch.setenv("KONV_DATA", str(tmp_path))
    content = bytes(10_000 * 3073 - 1) + b"\x07"
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as archive:
        for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert [(array.shape, array.dtype.name) for array in (x_train, y_train, x_test, y_test)] == [
        ((50_000, 32, 32, 3), "uint8"),
        ((50_000, 1), "uint8"),
        ((10_000, 32, 32, 3), "uint8"),
        ((10_000, 1), "uint8"),
    ]
    np.testing.assert_array_equal(x_train[9_999::10_000, -1, -1], np.tile([0, 0, 7], (5, 1)))
    np.testing.assert_array_equal(x_test[-1, -1, -1], [0, 0, 7])
    assert np.count_nonzero(x_train) == 5


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_nowhere(monkeypatch, module: ModuleType):
    nowhere = dataclasses.replace(module.ORIGIN, mirrors=(), debian_folder=None)
    monkeypatch.setattr(module, "ORIGIN", nowhere)
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(
        FileNotFoundError, match=rf"^{name}\.load_data: {re.escape(nowhere.files[0].name)} must be"
    ):
        module.load_data()


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_constants(module: ModuleType):
    assert (module.NUM_CLASSES, module.MAX_PIXEL) == (10, 255)
    assert len(set(getattr(module, "CLASS_NAMES", range(10)))) == 10
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in module.ORIGIN.mirrors)
    assert len({mirror.split("/")[2] for mirror in module.ORIGIN.mirrors}) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in module.ORIGIN.files)
    assert len({file.sha256 for file in module.ORIGIN.files}) == len(module.ORIGIN.files)


@needs_fashion_mnist
def test_fashion_mnist():
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    np.testing.assert_array_equal(np.bincount(y_train), [6_000] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [1_000] * 10)
    # The mean and the standard deviation that PyTorch's users normalise with.
    assert f"{x_train.mean() / 255:.4f} {x_train.std() / 255:.4f}" == "0.2860 0.3530"
    # The first image, an ankle boot: rows 3 and 12 as the tutorials print it.
    np.testing.assert_array_equal(
        x_train[0, 3], [0] * 12 + [1, 0, 0, 13, 73, 0, 0, 1, 4, 0, 0, 0, 0, 1, 1, 0]
    )
    assert [int(image.sum()) for image in (x_train[0], x_train[-1], x_test[0], x_test[-1])] == [
        76_247,
        16_684,
        33_456,
        24_390,
    ]
    assert fashion_mnist.CLASS_NAMES[y_train[0]] == "Ankle boot"


@needs_fashion_mnist
def test_examples_in_the_docstring():
    examples = doctest.DocTestParser().get_doctest(
        re.sub(" *# doctest: .SKIP", "", fashion_mnist.load_data.__doc__ or ""),
        {},
        "",
        "",
        0,
    )
    assert doctest.DocTestRunner().run(examples) == (0, 4)


def published(file: Path, time: int) -> bytes:
    """A file as it was published: with its name and time in gzip's header, which Debian left out."""
    content = file.read_bytes()
    return struct.pack("<4sIBB", b"\x1f\x8b\x08\x08", time, 0, 3) + file.stem.encode() + b"\0" + content[10:]


@needs_fashion_mnist
def test_download_of_fashion_mnist_as_published(tmp_path, monkeypatch):
    pytest.importorskip("pooch", reason="the download needs pooch, which isn't installed")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    debian = fashion_mnist.load_data()
    (tmp_path / "mirror").mkdir()
    for file, time in zip(fashion_mnist.ORIGIN.files, PUBLISHED_TIMES, strict=True):
        content = published(DEBIAN / file.name, time)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
        (tmp_path / "mirror" / file.name).write_bytes(content)
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "mirror"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        origin = dataclasses.replace(
            fashion_mnist.ORIGIN, mirrors=(f"http://127.0.0.1:{server.server_port}/",), debian_folder=None
        )
        monkeypatch.setattr(fashion_mnist, "ORIGIN", origin)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        assert equal(fashion_mnist.load_data(), debian)
        server.shutdown()
        thread.join()
    assert equal(fashion_mnist.load_data(), debian)  # from the cache: nobody serves it any more


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
