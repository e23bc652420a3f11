"""Downloading a file of a data set from the first mirror that has it, through `pooch`.

pooch writes to a temporary file in the same folder, compares its SHA-256 and only then renames it: the file
is there whole or not at all, also when several processes download it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

TIMEOUT = 30  # seconds to wait for a mirror to connect, and for its next bytes

_PIECE = 1 << 16  # bytes


@dataclass(frozen=True)
class Published:
    """A file as its data set's authors published it: name, size in bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


def download(file: Published, mirrors: Sequence[str], folder: Path) -> tuple[Path | None, list[str]]:
    """Download a file into a folder.

    Parameters
    ----------
    file : Published
        What to download.
    mirrors : sequence of str
        URLs that the name of the file is appended to, tried in turn.
    folder : path
        Where it goes; made where it doesn't exist.

    Returns
    -------
    path : path or None
        The file, None where no mirror gave it.
    failures : list of str
        What failed, each with its reason.

    Examples
    --------
    >>> file = Published("squares.gz", 4, "0" * 64)
    >>> path, failures = download(file, ["https://example.org/"], Path("/dev/null"))  # no folder
    >>> path, len(failures)
    (None, 1)
    """
    try:
        pooch = import_module("pooch")
        requests = import_module("requests")  # what pooch itself downloads with
    except ImportError as error:
        return None, [f"a download: needs pooch ({error})"]

    from tqdm import tqdm

    def fetch(url: str, path: str, _: object) -> None:
        with (
            requests.get(
                url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
            ) as response,
            open(path, "wb") as stream,
            tqdm(total=file.size, desc=file.name, unit="B", unit_scale=True, disable=None) as bar,
        ):
            response.raise_for_status()
            received = 0
            for piece in response.iter_content(_PIECE):
                received += len(piece)
                if received > file.size:  # it might never end
                    break
                stream.write(piece)
                bar.update(len(piece))
        if received != file.size:
            amount = f"{received:,}" if received < file.size else "more"
            raise ValueError(f"must have {file.size:,} bytes, received {amount}")

    failures = []
    for mirror in mirrors:
        try:
            pooch.retrieve(
                mirror + file.name, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=fetch
            )
        except (OSError, ValueError) as error:  # of the network, of the folder; of the size, of the hash
            failures.append(f"{mirror}{file.name}: {type(error).__name__}: {_first_cause(error)}")
        else:
            return folder / file.name, failures
    return None, failures


def _first_cause(error: BaseException) -> BaseException:
    """Return what an error began with: one line of the system's, not what three libraries wrap it in."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
