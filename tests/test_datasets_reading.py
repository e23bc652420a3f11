"""Files of data sets that are broken, foreign or hostile: what errors say, and that memory stays small."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idx_files import header
from konv.datasets import cifar10
from konv.datasets.idx import read_examples, read_idx
from konv.datasets.reading import require_labels
from konv.datasets.tar import read_members

SHAPE = (2, 3, 4)
GOOD = header(*SHAPE) + bytes(range(24))
MEBIBYTE = 1 << 20
BOMB = 64 * MEBIBYTE  # bytes that a small file decompresses to


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.gz"


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Fail a test that holds more than 8 MiB at once: a few pieces, but no bomb."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MEBIBYTE


def test_good_idx_file(path):
    path.write_bytes(gzip.compress(GOOD))
    data = read_idx(path, SHAPE)
    assert data.dtype == np.uint8
    np.testing.assert_array_equal(data, np.arange(24).reshape(SHAPE))
    data[0] = 9  # it is nobody else's memory


def test_idx_file_of_several_gzip_members(path):
    path.write_bytes(gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]))
    np.testing.assert_array_equal(read_idx(path, SHAPE), np.arange(24).reshape(SHAPE))


def flipped(data: bytes, position: int) -> bytes:
    broken = bytearray(data)
    broken[position] ^= 1
    return bytes(broken)


NOT_WHOLE = "must be a whole gzip file: "

BROKEN_IDX = [
    (b"", r"must hold 16 bytes of an IDX header, received 0$"),
    (b"<html>404</html>", NOT_WHOLE + r"Not a gzipped file"),
    (GOOD, NOT_WHOLE + r"Not a gzipped file"),
    (gzip.compress(GOOD)[:-9], NOT_WHOLE + r"Compressed file ended before"),
    (gzip.compress(GOOD)[:-1], NOT_WHOLE + r"Compressed file ended before"),
    (flipped(gzip.compress(GOOD), 10), NOT_WHOLE + r"Error -3 while decompressing"),
    (flipped(gzip.compress(GOOD), -5), NOT_WHOLE + r"CRC check failed"),
    (gzip.compress(GOOD) + b"more", NOT_WHOLE + r"Not a gzipped file"),
    (gzip.compress(GOOD + b"1"), r"must end after its data, received more bytes$"),
    (gzip.compress(GOOD) + gzip.compress(b"1"), r"must end after its data, received more bytes$"),
    (gzip.compress(GOOD[:-1]), r"must hold 24 bytes of pixels, received 23$"),
    (gzip.compress(GOOD[:15]), r"must hold 16 bytes of an IDX header, received 15$"),
    (
        gzip.compress(header(24) + GOOD[16:]),
        r"magic number must be 2051 \(IDX, unsigned bytes, 3 axes\), received 2049$",
    ),
    (gzip.compress(header(2, 4, 3) + GOOD[16:]), r"shape must be \(2, 3, 4\), received \(2, 4, 3\)$"),
    (
        gzip.compress(header(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)),
        r"shape must be \(2, 3, 4\), received \(4294967295, 4294967295, 4294967295\)$",
    ),
]


@pytest.mark.parametrize(("content", "message"), BROKEN_IDX)
def test_broken_idx_file(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ") + message):
        read_idx(path, SHAPE)


@given(position=st.integers(0, len(gzip.compress(GOOD)) - 1), value=st.integers(0, 255))
def test_idx_file_with_any_byte_changed(tmp_path, position, value):
    content = bytearray(gzip.compress(GOOD))
    content[position] = value
    path = tmp_path / "some.gz"
    path.write_bytes(content)
    try:
        received = read_idx(path, SHAPE).tolist()
    except ValueError as error:
        received = str(error).partition(": ")[0]
    # Gzip's header has bytes that say nothing about the data, such as its time.
    assert received in (np.arange(24).reshape(SHAPE).tolist(), str(path))


def test_magic_number_of_labels(path):
    path.write_bytes(gzip.compress(GOOD))
    with pytest.raises(ValueError, match=r"must be 2049 \(IDX, unsigned bytes, 1 axis\), received 2051$"):
        read_idx(path, (24,))


def test_decompression_bomb_as_idx_file(path, little_memory):
    with gzip.open(path, "wb", 1) as stream:
        stream.write(GOOD)
        for _ in range(BOMB // MEBIBYTE):
            stream.write(bytes(MEBIBYTE))
    with pytest.raises(ValueError, match=r"must end after its data, received more bytes$"):
        read_idx(path, SHAPE)


def test_images_and_labels(path, tmp_path):
    labels_path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(header(2, 28, 28) + bytes(2 * 784 - 1) + b"\x05"))
    labels_path.write_bytes(gzip.compress(header(2) + bytes([7, 2])))
    images, labels = read_examples(path, labels_path, num_classes=10)
    assert (images.shape, images.sum(), images[-1, -1, -1]) == ((2, 28, 28), 5, 5)
    np.testing.assert_array_equal(labels, [7, 2])
    assert labels.dtype == np.uint8
    with pytest.raises(
        ValueError, match="^" + re.escape(f"{labels_path}: labels must be 0 to 6, received 7") + "$"
    ):
        read_examples(path, labels_path, num_classes=7)
    labels_path.write_bytes(gzip.compress(header(3) + bytes([7, 2, 1])))
    with pytest.raises(
        ValueError,
        match="^" + re.escape(f"{path}: shape must be (3, 28, 28), received (2, 28, 28)") + "$",
    ):
        read_examples(path, labels_path, num_classes=10)


def test_sizes_that_the_file_is_too_short_for(path, little_memory):
    path.write_bytes(gzip.compress(header(2**31) + bytes(5)))
    with pytest.raises(ValueError, match=r"array of shape \(2147483648,\), received a file too short$"):
        read_idx(path, (None,))


def test_there_must_be_labels():
    with pytest.raises(ValueError, match=r"^some.gz: must hold a label at least, received none$"):
        require_labels("some.gz", np.empty(0, np.uint8), 10)


def archive(
    path: Path, *members: tuple[str | tarfile.TarInfo, bytes], tar_format: int = tarfile.USTAR_FORMAT
) -> None:
    with tarfile.open(path, "w:gz", format=tar_format) as file:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def members_of(path: Path, **sizes: int) -> list[tuple[str, bytes]]:
    return [(name, data.tobytes()) for name, data in read_members(path, sizes)]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_of_an_archive(path, tar_format):
    long_name = "x" * 150 + "é"  # which GNU's and the POSIX format put into a member of its own
    names = (
        ["deep/er/b", "other", "a"] if tar_format == tarfile.USTAR_FORMAT else ["deep/er/b", long_name, "a"]
    )
    archive(path, (names[0], b"123"), (names[1], b"4" * 600), (names[2], b""), tar_format=tar_format)
    assert members_of(path, a=0, b=3) == [("b", b"123"), ("a", b"")]


def test_ustar_prefix_of_a_long_path(path):
    archive(path, (f"{'folder/' * 20}a", b"1"))
    assert members_of(path, a=1) == [("a", b"1")]


def test_names_that_lead_elsewhere_are_only_names(path, tmp_path, monkeypatch):
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    archive(path, ("../../a", b"1"), ("/tmp/b", b"2"))
    assert members_of(path, a=1, b=1) == [("a", b"1"), ("b", b"2")]
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["here", "in", "some.gz"]


def linked(name: str) -> tarfile.TarInfo:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return link


BROKEN_ARCHIVES = [
    ((("a", b"1"),), r"must have the members a, b, received none named b$"),
    ((), r"must have the members a, b, received none named a, b$"),
    ((("a", b"1"), (linked("b"), b"")), r"must have the members a, b, received none named b$"),
    ((("a", b"1"), ("x/a", b"1"), ("b", b"1")), r"must have one member a, received two$"),
    ((("x/a", b"12"), ("b", b"1")), r"x/a must have 1 bytes, received 2$"),
    (
        (("a", b"1"), ("b", b"1"), ("c", bytes(MEBIBYTE))),
        r"must have at most 1,048,576 bytes besides a, b, received more$",
    ),
]


@pytest.mark.parametrize(("members", "message"), BROKEN_ARCHIVES)
def test_archive_of_other_members(path, members, message):
    archive(path, *members)
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ") + message):
        members_of(path, a=1, b=1)


def tar_header(name: str = "a", size: bytes = b"00000000001\0", kind: bytes = b"0") -> bytes:
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


END = bytes(1024)
A = tar_header() + b"1".ljust(512, b"\0")

BROKEN_TAR = [
    (b"<html>404</html>", r"must hold 512 bytes of a tar header, received 16$"),
    (b"<html>".ljust(512), r"must hold a tar archive, received a header with b' {8}' as a number$"),
    (flipped(A, 0) + END, r"must hold a tar archive, received a header with a wrong checksum$"),
    (tar_header(size=b"-0000000001\0") + END, r"received a header with b'-0000000001\\x00' as a number$"),
    (
        tar_header(size=b"\x80".ljust(12, b"\0")) + END,
        r"received a header with b'\\x80(\\x00){11}' as a number$",
    ),
    (tar_header(size=b"77777777777\0"), r"a must have 1 bytes, received 8,589,934,591$"),
    (tar_header("b", b"77777777777\0"), r"must have at most 1,048,576 bytes besides a, received more$"),
    (tar_header("b", b"00000001000\0"), r"must hold 512 bytes of b, received 0$"),
    (tar_header(), r"must hold 1 bytes of a, received 0$"),
    (tar_header() + b"1", r"must hold 511 bytes of a, received 0$"),
    (A, r"must hold 512 bytes of a tar header, received 0$"),
    (A + END + b"more", r"must end after its members, received more bytes$"),
    (A + END + A, r"must end after its members, received more bytes$"),
    (A + bytes(2 * MEBIBYTE), r"must have at most 1,048,576 bytes besides a, received more$"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN_TAR)
def test_broken_tar(path, content, message):
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ") + r".*" + message):
        members_of(path, a=1)


@given(position=st.integers(0, 511), value=st.integers(0, 255), mended=st.booleans())
def test_tar_header_with_any_byte_changed(tmp_path, position, value, mended):
    block = bytearray(tar_header())
    block[position] = value
    if mended:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "some.gz"
    path.write_bytes(gzip.compress(bytes(block) + b"1".ljust(512, b"\0") + END))
    try:
        received: object = members_of(path, a=1)
    except ValueError as error:
        received = str(error).partition(": ")[0]
    assert received in ([("a", b"1")], str(path))


def test_the_good_one_of_these_is_read(path):
    path.write_bytes(gzip.compress(A + END))
    assert members_of(path, a=1) == [("a", b"1")]


@pytest.mark.parametrize(
    "content", [lambda good: good[:-9], lambda good: flipped(good, -5), lambda good: A + END]
)
def test_archive_that_is_no_whole_gzip_file(path, content: Callable[[bytes], bytes]):
    path.write_bytes(content(gzip.compress(A + END)))
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: {NOT_WHOLE}")):
        members_of(path, a=1)


@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"K", b"g", b"S"])
def test_decompression_bomb_as_archive(path, little_memory, kind):
    with gzip.open(path, "wb", 1) as stream:
        stream.write(tar_header("b", b"%011o\0" % BOMB, kind))
        for _ in range(BOMB // MEBIBYTE):
            stream.write(bytes(MEBIBYTE))
    with pytest.raises(ValueError, match=r"at most 1,048,576 bytes besides a, received more$"):
        members_of(path, a=1)


def test_headers_without_end(path, little_memory):
    path.write_bytes(gzip.compress(tar_header("b", b"0" * 12) * 4096))
    with pytest.raises(ValueError, match=r"at most 1,048,576 bytes besides a, received more$"):
        members_of(path, a=1)


RECORD = 3073
CIFAR_MEMBERS = [
    *(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
    "cifar-10-batches-bin/test_batch.bin",
]


def record(label: int, value: int) -> bytes:
    """A record whose pixel in row 1, column 2 is (value, value + 1, value + 2), and black elsewhere."""
    planes = np.zeros((3, 32, 32), np.uint8)
    planes[:, 1, 2] = value + np.arange(3)
    return bytes([label]) + planes.tobytes()


def test_cifar10_archive_in_another_order(path):
    contents = {name: record(i, 10 * i) + record(9 - i, 10 * i + 5) for i, name in enumerate(CIFAR_MEMBERS)}
    extra = ("cifar-10-batches-bin/readme.html", b"<html>")
    archive(path, extra, *((name, contents[name]) for name in sorted(CIFAR_MEMBERS, reverse=True)))
    (x_train, y_train), (x_test, y_test) = cifar10.read_archive(path, images_per_member=2)
    assert [(array.shape, array.dtype.name) for array in (x_train, y_train, x_test, y_test)] == [
        ((10, 32, 32, 3), "uint8"),
        ((10, 1), "uint8"),
        ((2, 32, 32, 3), "uint8"),
        ((2, 1), "uint8"),
    ]
    np.testing.assert_array_equal(y_train[:, 0], [0, 9, 1, 8, 2, 7, 3, 6, 4, 5])
    np.testing.assert_array_equal(y_test[:, 0], [5, 4])
    expected = 5 * np.arange(12)[:, None] + np.arange(3)
    np.testing.assert_array_equal(x_train[:, 1, 2], expected[:10])
    np.testing.assert_array_equal(x_test[:, 1, 2], expected[10:])
    assert np.count_nonzero(x_train) == np.count_nonzero(expected[:10])
    assert all(array.flags.c_contiguous for array in (x_train, y_train, x_test, y_test))


def test_cifar10_archive_with_a_wrong_label(path):
    archive(path, *((name, record(10 if "3" in name else 0, 0)) for name in CIFAR_MEMBERS))
    with pytest.raises(
        ValueError,
        match="^" + re.escape(f"{path}: data_batch_3.bin: labels must be 0 to 9, received 10") + "$",
    ):
        cifar10.read_archive(path, images_per_member=1)


def test_cifar10_archive_with_a_short_member(path):
    archive(path, *((name, record(0, 0)) for name in CIFAR_MEMBERS))
    with pytest.raises(ValueError, match=r"data_batch_1\.bin must have 6,146 bytes, received 3,073$"):
        cifar10.read_archive(path, images_per_member=2)
