"""Reading compressed files that may be truncated, foreign or hostile.

A reader asks for the bytes that the format must have, at most, and then requires the end of the file: so a
decompression bomb is never decompressed further than a good file would be, and the checksum that gzip puts
at the end has been compared. Every fault is a ValueError that opens with the name of the file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

Examples = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images and their labels."""

_PIECE = 1 << 20  # bytes to decompress at a time: what gzip holds besides the array that it fills


@contextmanager
def gzip_file(path: Path) -> Iterator[BinaryIO]:
    """Open a gzip file to read from; faults of the compression inside the `with` are ValueErrors.

    Raises
    ------
    ValueError
        If the file isn't gzip, is truncated, or fails its checksum.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "name.gz")
    ...     _ = path.write_bytes(gzip.compress(b"content"))
    ...     with gzip_file(path) as stream:
    ...         stream.read(3)
    b'con'
    """
    try:
        with gzip.open(path, "rb") as stream:
            yield cast(BinaryIO, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: must be a whole gzip file: {error}") from None


def fill(path: Path, stream: BinaryIO, array: NDArray[Any], what: str) -> None:
    """Read as many bytes as a C-contiguous array has into it; `what` they are goes into the message.

    Raises
    ------
    ValueError
        If the stream ends before.

    Examples
    --------
    >>> import io
    >>> array = np.empty(3, np.uint8)
    >>> fill(Path("name.gz"), io.BytesIO(b"abcd"), array, "the label")
    >>> array
    array([97, 98, 99], dtype=uint8)
    >>> fill(Path("name.gz"), io.BytesIO(b"ab"), array, "the label")
    Traceback (most recent call last):
    ValueError: name.gz: must hold 3 bytes of the label, received 2
    """
    view = array.reshape(-1).view(np.uint8).data
    received = 0
    while received < len(view):
        piece = stream.read(min(_PIECE, len(view) - received))
        if not piece:
            raise ValueError(f"{path}: must hold {len(view):,} bytes of {what}, received {received:,}")
        view[received : received + len(piece)] = piece
        received += len(piece)


def require_end(path: Path, stream: BinaryIO) -> None:
    """Require that a stream has ended, which makes gzip compare its checksum.

    Raises
    ------
    ValueError
        If there is more.

    Examples
    --------
    >>> import io
    >>> require_end(Path("name.gz"), io.BytesIO())
    >>> require_end(Path("name.gz"), io.BytesIO(b"more"))
    Traceback (most recent call last):
    ValueError: name.gz: must end after its data, received more bytes
    """
    if stream.read(1):
        raise ValueError(f"{path}: must end after its data, received more bytes")


def require_labels(where: str, labels: NDArray[np.uint8], num_classes: int) -> None:
    """Require labels, one at least, that are numbers of classes.

    Raises
    ------
    ValueError
        If there is none, or one is too large.

    Examples
    --------
    >>> require_labels("name.gz", np.array([0, 9], np.uint8), 10)
    >>> require_labels("name.gz", np.array([0, 10], np.uint8), 10)
    Traceback (most recent call last):
    ValueError: name.gz: labels must be 0 to 9, received 10
    """
    if not labels.size:
        raise ValueError(f"{where}: must hold a label at least, received none")
    if labels.max() >= num_classes:
        raise ValueError(f"{where}: labels must be 0 to {num_classes - 1}, received {labels.max()}")
