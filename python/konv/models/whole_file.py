"""Files that are whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_LONGEST_NAME = 255  # bytes of a file's name, on Linux as on macOS


def check_regular(where: str, filepath: str) -> None:
    """Raise unless there is a file that can be opened.

    Raises
    ------
    OSError
        If there is none, or it can't be read.
    ValueError
        If it is something else, such as a folder or a device.
    """
    try:
        _permissions(where, filepath)
    except FileNotFoundError:
        raise _not_there(f"{where}: filepath must be that of a file that exists", filepath) from None
    with open(filepath, "rb"):
        pass


def write_whole(where: str, filepath: str, content: bytes) -> None:
    """Write a file: a reader sees the old one or the new one.

    The temporary name is always the same, so that saves that were killed leave one such file, not many, and
    the next save replaces it. So only one save at a time may go to one path: of several, those that are
    overtaken fail. A file that is replaced passes its permissions on.
    """
    target = os.path.realpath(filepath)
    folder, name = os.path.split(target)
    stem = os.fsdecode(os.fsencode(name)[: _LONGEST_NAME - len("..tmp")])
    temporary = os.path.join(folder, f".{stem}.tmp")
    try:
        mode = _permissions(where, target)
    except FileNotFoundError:
        mode = None
    at_first = 0o666 if mode is None else mode  # of which the umask may take some away
    try:
        os.stat(folder)
    except FileNotFoundError:
        raise _not_there(f"{where}: the file's folder must exist", folder) from None
    _discard(temporary)
    file = open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, at_first))  # noqa: SIM115
    ours = os.fstat(file.fileno())
    try:
        with file:
            if mode is not None:
                os.chmod(temporary, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if not _is_at(temporary, ours):
                raise OSError(
                    f"{where}: {filepath} must be saved by one at a time, received another save of it"
                )
        os.replace(temporary, target)
    except BaseException as error:
        if _is_at(temporary, ours):
            _discard(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = filepath  # where the disk is full, for one
        raise
    if os.name == "posix":  # only there can a folder be opened, to sync its entry
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _not_there(expected: str, received: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, f"{expected}, received one that does not", received)


def _permissions(where: str, filepath: str) -> int:
    """Return the permissions of a file; ValueError for what is something else."""
    mode = os.stat(filepath).st_mode
    if not stat.S_ISREG(mode):
        raise ValueError(f"{where}: {filepath} must be a file, received something else (a folder, a device)")
    return stat.S_IMODE(mode)


def _is_at(filepath: str, ours: os.stat_result) -> bool:
    """Whether a path still leads to the file that this save has made, not to that of another one."""
    try:
        return os.path.samestat(os.stat(filepath), ours)
    except FileNotFoundError:
        return False


def _discard(filepath: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(filepath)
