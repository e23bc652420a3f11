"""CSVLogger: whole rows, and the same file from a run that was killed as from one that was not."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from konv.callbacks import CallbackList, CSVLogger


def log(logger, rows, first=0):
    with CallbackList([logger], None, {}) as tell:
        tell("on_train_begin")
        for epoch, logs in enumerate(rows, first):
            tell("on_epoch_begin", epoch)
            tell("on_epoch_end", epoch, logs=logs)
        tell("on_train_end")


def rows_of(count, first=0):
    return [{"loss": 1 / (epoch + 3), "val_loss": epoch / 7, "f1": 0.5} for epoch in range(first, count)]


def test_columns_are_sorted_and_values_whole(tmp_path):
    path = tmp_path / "log.csv"
    log(CSVLogger(path), [{"loss": 1 / 3, "accuracy": np.float32(0.5), "val_loss": 2e-9}, {"loss": math.nan}])
    assert path.read_bytes() == (
        b"epoch,accuracy,loss,val_loss\r\n"
        b"0,0.5,0.3333333333333333,2e-09\r\n"
        b"1,NA,nan,NA\r\n"
    )  # fmt: skip


def test_validation_may_come_later(tmp_path):
    path = tmp_path / "log.csv"
    log(CSVLogger(path), [{"loss": 1.0, "learning_rate": 0.1}, {"loss": 2.0, "val_loss": 3.0, "new": 1.0}])
    assert path.read_text().splitlines() == [
        "epoch,learning_rate,loss,val_loss",
        "0,0.1,1.0,NA",
        "1,NA,2.0,3.0",
    ]


def test_quoting(tmp_path):
    path = tmp_path / "log.csv"
    logs = {'a "b",c': 0.5, "two\nlines": 1.5, "list": [1, 2], "array": np.array([0.5, 1]), "text": "a;b"}
    log(CSVLogger(path, separator=";"), [logs, logs])
    with open(path, newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    read = dict(zip(header, rows[1], strict=True))
    assert read["epoch"] == "1"
    expected = {'a "b",c': "0.5", "two\nlines": "1.5", "list": "[1, 2]", "array": "[0.5, 1.0]", "text": "a;b"}
    assert {name: read[name] for name in logs} == expected
    log(CSVLogger(path, separator=";", append=True), [logs], first=1)
    with open(path, newline="") as file:
        assert list(csv.reader(file, delimiter=";")) == [header, *rows]


def test_each_row_is_there_when_its_epoch_ends(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path)
    with CallbackList([logger], None, {}) as tell:
        for epoch in range(3):
            tell("on_epoch_begin", epoch)
            tell("on_epoch_end", epoch, logs={"loss": 1.0})
            assert len(path.read_text().splitlines()) == epoch + 2
    assert logger._file is None  # closed, though there was no on_train_end


def test_a_file_is_replaced_unless_it_is_appended_to(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("something\nelse")
    logger = CSVLogger(path)
    log(logger, [])
    assert path.read_text() == "something\nelse"  # no epoch, nothing changed
    log(logger, rows_of(3))
    log(logger, rows_of(2))
    assert len(path.read_text().splitlines()) == 3


def epochs_in(path):
    return [line.split(",")[0] for line in path.read_text().splitlines()[1:]]


def test_a_run_killed_anywhere_ends_with_the_same_file(tmp_path):
    whole, path = tmp_path / "whole.csv", tmp_path / "log.csv"
    log(CSVLogger(whole, append=True), rows_of(3))
    expected = whole.read_bytes()
    for size in range(len(expected) + 1):
        rows = max(expected[:size].count(b"\n") - 1, 0)  # that were whole
        for first in range(min(rows, 1), rows + 1):  # the epoch of the last model that was saved
            path.write_bytes(expected[:size])
            log(CSVLogger(path, append=True), rows_of(3, first), first)
            assert path.read_bytes() == expected


def test_the_columns_are_those_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,val_loss,loss\n0,2.0,1.0\n")
    log(CSVLogger(path, append=True), [{"loss": 0.5, "accuracy": 0.25}], 1)
    assert path.read_text().splitlines() == ["epoch,val_loss,loss", "0,2.0,1.0", "1,NA,0.5"]


def test_rows_of_later_epochs_are_cut_off(tmp_path):
    path = tmp_path / "log.csv"
    log(CSVLogger(path), rows_of(5))
    log(CSVLogger(path, append=True), [])
    assert len(path.read_text().splitlines()) == 6  # no epoch, nothing cut off
    log(CSVLogger(path, append=True), rows_of(3, 2), 2)
    assert epochs_in(path) == ["0", "1", "2"]


def test_a_run_from_the_start_is_appended_to_an_earlier_one(tmp_path):
    path = tmp_path / "log.csv"
    log(CSVLogger(path), rows_of(3))
    log(CSVLogger(path, append=True), rows_of(2))
    assert epochs_in(path) == ["0", "1", "2", "0", "1"]
    log(CSVLogger(path, append=True), rows_of(3, 1), 1)  # goes on with the second
    assert epochs_in(path) == ["0", "1", "2", "0", "1", "2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,loss\n0,1\n", "its columns are"),
        (b"epoch,loss,loss\n0,1,2\n", "its columns are"),
        (b"epoch;loss\n0;1\n", "its columns are"),
        (b"\n0,1\n", "its columns are"),
        (b"epoch,loss\n0,1,2\n", "it has 2 columns and a row of 3"),
        (b"epoch,loss\n\n", "it has 2 columns and a row of 0"),
        (b"epoch,loss\nfirst,1\n", "invalid literal"),
        (b'epoch,"loss\n', "unexpected end of data"),
        (b"epoch,\xff\n", "codec can't decode"),
        (b"epoch,loss\n0,1\n" + b"9" * 9999 + b",1\n", ""),  # more digits than Python reads
    ],
)
def test_a_file_of_another_kind_is_left_alone(tmp_path, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=f"^CSVLogger: filename must be that of a file written by .*{message}"
    ):
        log(CSVLogger(path, append=True), rows_of(2, 1), 1)
    assert path.read_bytes() == content


def test_a_missing_folder_shows_before_the_first_epoch(tmp_path):
    logger = CSVLogger(tmp_path / "none" / "log.csv")
    with pytest.raises(FileNotFoundError):
        logger.on_epoch_begin(0)


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (TypeError, {"filename": 3}, "^CSVLogger: filename must be a str, bytes or os.PathLike, received 3"),
        (ValueError, {"filename": ""}, "^CSVLogger: filename must be the name of a file"),
        (TypeError, {"separator": 3}, "^CSVLogger: separator must be a str"),
        (ValueError, {"separator": ""}, "^CSVLogger: separator must be one character"),
        (ValueError, {"separator": ", "}, "^CSVLogger: separator must be one character"),
        (ValueError, {"separator": "\n"}, "^CSVLogger: separator must be one character"),
        (ValueError, {"separator": '"'}, "^CSVLogger: separator must be one character"),
        (TypeError, {"append": 1}, "^CSVLogger: append must be True or False"),
    ],
)
def test_arguments_are_checked(error, options, message):
    with pytest.raises(error, match=message):
        CSVLogger(**{"filename": "log.csv", **options})
