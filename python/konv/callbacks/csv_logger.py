"""The logs of each epoch as rows of a CSV file (RFC 4180, as Python's `csv` writes it).

Rows are whole: each goes out in one piece. A run that was killed may leave half a row, or the row of an epoch
that no saved model knows of; both are cut off when the run goes on, so that the file ends up as if the run
had never stopped.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from konv._arguments import flag, path_of, shown, text
from konv.callbacks.base import Callback, Logs

_EPOCH = "epoch"
_MISSING = "NA"


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file as it ends.

    The columns are `epoch`, counted from 0, and the names in the logs of the first epoch, sorted; where these
    have none of validation, columns for them come too. What an epoch's logs don't have is "NA"; names that
    have no column are left out.

    Parameters
    ----------
    filename : str or path
        UTF-8.
    separator : str
        One character.
    append : bool
        Whether to go on with a file that is there, in its columns. Half a row at its end is cut off, and
        where a run goes on (`initial_epoch` above 0) so are the rows at its end of epochs that are run again.
        Otherwise the file is replaced when the first epoch begins.

    Raises
    ------
    ValueError
        When the first epoch begins, if `append` meets a file that no CSVLogger wrote.

    Examples
    --------
    >>> from konv.callbacks import CSVLogger
    >>> import pathlib, tempfile
    >>> filename = pathlib.Path(tempfile.mkdtemp()) / "history.csv"
    >>> logger = CSVLogger(filename)
    >>> logger.on_epoch_begin(0)
    >>> logger.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
    >>> logger.on_train_end()
    >>> print(filename.read_text())
    epoch,accuracy,loss,val_accuracy,val_loss
    0,0.75,0.5,NA,NA
    <BLANKLINE>
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        where = "CSVLogger"
        self.filename = path_of(where, filename, "filename")
        self.separator = text(where, "separator", separator)
        if len(separator) != 1 or separator in '"\r\n\0':
            raise ValueError(
                f"{where}: separator must be one character, no quote, end of line or NUL, "
                f"received {shown(separator)}"
            )
        self.append = flag(where, "append", append)
        self._file: Any = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._on_exit()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._file is None:
            self._open(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        rows: list[list[Any]] = []
        if not self._columns:
            self._columns = _columns(logs)
            rows.append(self._columns)
        values = [_cell(logs.get(name, _MISSING)) for name in self._columns[1:]]
        rows.append([epoch, *values])
        lines = io.StringIO(newline="")
        csv.writer(lines, delimiter=self.separator).writerows(rows)
        self._file.write(lines.getvalue().encode())
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._on_exit()

    def _on_exit(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, epoch: int) -> None:
        self._columns = []
        if self.append and os.path.exists(self.filename):
            with open(self.filename, "rb") as file:
                self._columns, size = self._kept(file.read(), epoch)
            self._file = open(self.filename, "r+b")  # noqa: SIM115
            self._file.truncate(size)
            self._file.seek(size)
        else:
            self._file = open(self.filename, "wb")  # noqa: SIM115

    def _kept(self, data: bytes, first_epoch: int) -> tuple[list[str], int]:
        """Return the columns of a file, [] if it has none yet, and how many of its bytes are kept."""
        data = data[: data.rfind(b"\n") + 1]  # without half a row
        columns: list[str] = []
        size = 0
        try:
            for row, end in _rows(data.decode(), self.separator):
                if not columns:
                    columns = row
                    if columns[:1] != [_EPOCH] or len(set(columns)) < len(columns):
                        raise ValueError(f"its columns are {shown(columns)}")
                elif len(row) != len(columns):
                    raise ValueError(f"it has {len(columns)} columns and a row of {len(row)}")
                elif int(row[0]) >= first_epoch > 0:
                    continue
                size = end
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"CSVLogger: filename must be that of a file written by CSVLogger with "
                f"separator {self.separator!r}, received {self.filename!r}: {error}"
            ) from None
        return columns, size


def _rows(content: str, separator: str) -> Iterator[tuple[list[str], int]]:
    """Go through the rows of a file; with each, at which byte it ends."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in io.StringIO(content, newline=""):
            end += len(line.encode())
            yield line

    for row in csv.reader(lines(), delimiter=separator, strict=True):
        yield row, end


def _columns(logs: Logs) -> list[str]:
    names = sorted(logs)
    if not any(name.startswith("val_") for name in names):
        names += [f"val_{name}" for name in names if name != "learning_rate"]
    return [_EPOCH, *(name for name in names if name != _EPOCH)]


def _cell(value: Any) -> Any:
    """Show a value in one cell: a list or an array of one axis as [a, b]."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"[{', '.join(map(str, value))}]"
    return value
