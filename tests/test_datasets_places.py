"""Where files of data sets are looked for, in which order, and what is said where they are nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from konv.datasets.download import Published
from konv.datasets.places import Origin, find

FILE = Published("squares.gz", 4, "0" * 64)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch) -> None:
    """A cache and a home folder for this test alone, and neither KONV_DATA nor pooch."""
    monkeypatch.delenv("KONV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "pooch", None)


@pytest.fixture
def origin(tmp_path) -> Origin:
    return Origin("squares", (FILE,), ("https://one.example/",), "dataset-squares", tmp_path / "debian")


def test_order(tmp_path, monkeypatch, origin):
    monkeypatch.setenv("KONV_DATA", str(tmp_path / "data"))
    places = [
        tmp_path / "data" / "squares",
        tmp_path / "data",
        tmp_path / "cache" / "konv" / "datasets" / "squares",
        tmp_path / "debian",
    ]
    for folder in reversed(places):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "squares.gz").touch()
        assert find("squares.load_data", origin, FILE) == folder / "squares.gz"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink(f"{path}.gone", path)])
def test_only_a_file_counts(tmp_path, origin, make: Callable[[Path], None]):
    (tmp_path / "cache/konv/datasets/squares").mkdir(parents=True)
    make(tmp_path / "cache/konv/datasets/squares/squares.gz")
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/squares.gz").touch()
    assert find("squares.load_data", origin, FILE) == tmp_path / "debian/squares.gz"


def failure(origin: Origin) -> str:
    with pytest.raises(FileNotFoundError) as raised:
        find("squares.load_data", origin, FILE)
    return str(raised.value)


def test_message_where_it_is_nowhere(tmp_path, origin):
    assert failure(origin) == (
        "squares.load_data: squares.gz must be in a known place or be downloaded; tried:\n"
        "  KONV_DATA: not set;\n"
        f"  {tmp_path}/cache/konv/datasets/squares/squares.gz: no such file;\n"
        f"  {tmp_path}/debian/squares.gz: no such file;\n"
        "  a download: needs pooch (import of pooch halted; None in sys.modules).\n"
        "Ways to provide it: set KONV_DATA to a folder that has it, in itself or in its folder squares; "
        "install Debian's package dataset-squares; or have it downloaded, which needs pooch "
        '(pip install "konv[data]").'
    )


def test_message_with_konv_data_and_without_debian(tmp_path, monkeypatch):
    monkeypatch.setenv("KONV_DATA", str(tmp_path / "data"))
    message = failure(Origin("squares", (FILE,), ()))
    assert "Debian" not in message
    assert "KONV_DATA: not set" not in message
    assert f"tried:\n  {tmp_path}/data/squares/squares.gz: no such file;\n" in message
    assert f"  {tmp_path}/data/squares.gz: no such file;\n" in message


@pytest.mark.parametrize("value", ["", "relative"])
def test_cache_without_a_usable_xdg_cache_home(tmp_path, monkeypatch, origin, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert f"\n  {tmp_path}/home/.cache/konv/datasets/squares/squares.gz: no such file" in failure(origin)


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("darwin", {}, "home/Library/Caches/konv/datasets"),
        ("win32", {}, "home/AppData/Local/konv/konv/Cache/datasets"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/konv/konv/Cache/datasets"),
    ],
)
def test_cache_of_other_systems(tmp_path, monkeypatch, origin, platform, variables, folder):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert f"\n  {tmp_path}/{folder}/squares/squares.gz: no such file" in failure(origin)


def test_cache_is_where_pooch_would_have_it(monkeypatch, origin):
    monkeypatch.delitem(sys.modules, "pooch")
    pooch = pytest.importorskip("pooch", reason="compares with pooch, which isn't installed")
    folder = Path(pooch.os_cache("konv"), "datasets/squares")
    folder.mkdir(parents=True)
    (folder / "squares.gz").touch()
    assert find("squares.load_data", origin, FILE) == folder / "squares.gz"


def test_no_home_folder(tmp_path, monkeypatch, origin):
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert (
        f"tried:\n  KONV_DATA: not set;\n  {tmp_path}/debian/squares.gz: no such file;\n"
        "  a download: no folder to keep it in, for this user has no home folder.\n"
    ) in failure(origin)
