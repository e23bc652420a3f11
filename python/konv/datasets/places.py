"""Where the files of a data set are looked for, in this order.

1. The folder that the environment variable KONV_DATA names, in its folder of the data set's name
   (`fashion-mnist`) and then in itself.
2. The user's cache: `konv/datasets/NAME` in $XDG_CACHE_HOME or ~/.cache (macOS: ~/Library/Caches, Windows:
   %LOCALAPPDATA%\\konv\\konv\\Cache instead of konv).
3. The folder of a Debian package, where there is one.
4. The mirrors in turn, from which `konv.datasets.download` brings a file into the cache.

A download must have the SHA-256 that was published. A file that was found is only checked by what reads it:
its format, sizes, range of labels and checksum of gzip. So it may have been compressed anew, as Debian's are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from konv.datasets.download import Published, download


@dataclass(frozen=True)
class Origin:
    """A data set's name, its files, mirrors (URLs of folders, which end in a slash) and Debian package."""

    name: str
    files: tuple[Published, ...]
    mirrors: tuple[str, ...]
    debian_package: str | None = None
    debian_folder: Path | None = None


def find(where: str, origin: Origin, file: Published) -> Path:
    """Find a file of a data set, or download it.

    Raises
    ------
    FileNotFoundError
        If it is in none of the places and can't be downloaded: says what was tried and how to provide it.

    Examples
    --------
    >>> import tempfile
    >>> from unittest import mock
    >>> file = Published("squares.gz", 4, "0" * 64)
    >>> origin = Origin("squares", (file,), mirrors=())
    >>> with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, KONV_DATA=folder):
    ...     path = Path(folder, "squares.gz")
    ...     path.touch()
    ...     find("squares.load_data", origin, file) == path
    True
    """
    tried = []
    for path in _paths(origin, file.name):
        if os.path.isfile(path):  # False where it may not be looked at, too
            return path
        tried.append(f"{path}: no such file")
    if not os.environ.get("KONV_DATA"):
        tried.insert(0, "KONV_DATA: not set")
    cache = _cache()
    if cache is None:
        tried.append("a download: no folder to keep it in, for this user has no home folder")
    else:
        downloaded, failures = download(file, origin.mirrors, cache / origin.name)
        if downloaded:
            return downloaded
        tried += failures
    package = f"; install Debian's package {origin.debian_package}" if origin.debian_package else ""
    raise FileNotFoundError(
        f"{where}: {file.name} must be in a known place or be downloaded; tried:\n  "
        + ";\n  ".join(tried)
        + ".\nWays to provide it: set KONV_DATA to a folder that has it, in itself or in its folder "
        + f'{origin.name}{package}; or have it downloaded, which needs pooch (pip install "konv[data]").'
    )


def _paths(origin: Origin, name: str) -> Iterator[Path]:
    """Go through the places where a file may be."""
    if folder := os.environ.get("KONV_DATA"):
        yield Path(folder, origin.name, name)
        yield Path(folder, name)
    if cache := _cache():
        yield cache / origin.name / name
    if origin.debian_folder is not None:
        yield origin.debian_folder / name


def _cache() -> Path | None:
    """Return the folder of this user's data sets, as `pooch.os_cache("konv") / "datasets"` would be."""
    try:
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData/Local") / "konv/konv/Cache/datasets"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/konv/datasets"
        cache = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification has relative paths ignored.
        return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "konv/datasets"
    except RuntimeError:  # there is no home folder
        return None
