"""Reading known members of a compressed tar archive in memory: nothing is ever extracted to the disk.

A tar archive is blocks of 512 bytes: for each member a header (POSIX.1-1988 "ustar") and its bytes, then
zeros. Members that nobody asked for are skipped, a megabyte at most. So memory and time have a bound that
the archive has no say in; Python's `tarfile` has none, for it takes extended headers of any size into memory,
and some of its versions loop for ever over a negative size (CVE-2025-8194).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from konv.datasets.reading import fill, gzip_file

_BLOCK = 512
_SPARE = 1 << 20  # bytes of other members, headers and zeros that an archive may have

_NAME, _SIZE, _CHECKSUM, _TYPE, _PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(148, 156),
    slice(156, 157),
    slice(345, 500),
)
_REGULAR_FILE = (b"0", b"\0")
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")


def read_members(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Read the members of given names and sizes (bytes), in the order of the archive.

    A name is the last part of a member's path. The checks of what is behind the last member run when the
    iterator is exhausted.

    Raises
    ------
    ValueError
        If the archive isn't a gzip file of a tar archive that has each of these members once.

    Examples
    --------
    >>> import io, tarfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "archive.tar.gz")
    ...     with tarfile.open(path, "w:gz") as archive:
    ...         member = tarfile.TarInfo("folder/labels.bin")
    ...         member.size = 3
    ...         archive.addfile(member, io.BytesIO(bytes([5, 0, 4])))
    ...     dict(read_members(path, {"labels.bin": 3}))
    {'labels.bin': array([5, 0, 4], dtype=uint8)}
    """
    missing = dict(sizes)
    members = ", ".join(sizes)
    spare = _Spare(path, members)
    with gzip_file(path) as stream:
        while any(header := spare.read(stream, _BLOCK, "a tar header")):
            member, regular, size = _parsed(path, header)
            name = member.rpartition("/")[2]
            padding = -size % _BLOCK
            if not regular or name not in sizes:
                spare.read(stream, size + padding, member)
                continue
            if name not in missing:
                raise ValueError(f"{path}: must have one member {name}, received two")
            if size != missing.pop(name):
                raise ValueError(f"{path}: {member} must have {sizes[name]:,} bytes, received {size:,}")
            data = np.empty(size, np.uint8)
            fill(path, stream, data, member)
            spare.read(stream, padding, member)
            yield name, data
        if missing:
            raise ValueError(
                f"{path}: must have the members {members}, received none named {', '.join(missing)}"
            )
        while end := stream.read(_BLOCK):
            spare.take(len(end))
            if end.strip(b"\0"):
                raise ValueError(f"{path}: must end after its members, received more bytes")


class _Spare:
    """The bytes that an archive may have besides the members that are asked for."""

    def __init__(self, path: Path, members: str) -> None:
        self.path = path
        self.members = members
        self.left = _SPARE

    def take(self, size: int) -> None:
        """Count bytes, before they are read."""
        self.left -= size
        if self.left < 0:
            raise ValueError(
                f"{self.path}: must have at most {_SPARE:,} bytes besides {self.members}, received more"
            )

    def read(self, stream: BinaryIO, size: int, what: str) -> bytes:
        """Read bytes and count them."""
        self.take(size)
        data = np.empty(size, np.uint8)
        fill(self.path, stream, data, what)
        return data.tobytes()


def _parsed(path: Path, header: bytes) -> tuple[str, bool, int]:
    """Return a member's path, whether it is a regular file, and its size in bytes."""
    expected = sum(header) - sum(header[_CHECKSUM]) + sum(b" " * 8)  # the checksum counts as spaces
    if _number(path, header[_CHECKSUM]) != expected:
        raise ValueError(f"{path}: must hold a tar archive, received a header with a wrong checksum")
    name, prefix = (header[part].partition(b"\0")[0].decode("utf-8", "replace") for part in (_NAME, _PREFIX))
    return (
        (f"{prefix}/{name}" if prefix else name),
        header[_TYPE] in _REGULAR_FILE,
        _number(path, header[_SIZE]),
    )


def _number(path: Path, field: bytes) -> int:
    digits = _OCTAL.fullmatch(field)
    if digits is None:
        raise ValueError(f"{path}: must hold a tar archive, received a header with {field!r} as a number")
    return int(digits[1], 8)
