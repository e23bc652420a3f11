"""Downloads, from a server on loopback: mirrors that fail in every way, and nothing half done left behind."""

from __future__ import annotations

import hashlib
import http.server
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from konv.datasets import download as module
from konv.datasets.download import Published, download
from konv.datasets.places import Origin, find

pytest.importorskip("pooch", reason="the download needs pooch, which isn't installed")

CONTENT = bytes(range(256)) * 1024
FILE = Published("squares.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(http.server.ThreadingHTTPServer):
    """Answers `/NAME/squares.gz` with the behaviour of that name, and counts the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.requests: list[str] = []
        self.half_sent = threading.Event()
        self.go_on = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet about clients that hang up."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        _, name, file = self.path.split("/")
        assert file == FILE.name
        BEHAVIOURS[name](self)

    def answer(self, content: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(CONTENT)


def silent(handler: Handler) -> None:
    handler.server.go_on.wait(10)


def paused(handler: Handler) -> None:
    """Send a half, and the other when told to."""
    handler.answer(CONTENT[: len(CONTENT) // 2], len(CONTENT))
    handler.wfile.flush()
    handler.server.half_sent.set()
    handler.server.go_on.wait(10)
    handler.wfile.write(CONTENT[len(CONTENT) // 2 :])


def slow(handler: Handler) -> None:
    handler.answer(b"", len(CONTENT))
    for start in range(0, len(CONTENT), 1 << 14):
        handler.wfile.write(CONTENT[start : start + (1 << 14)])
        time.sleep(0.02)


BEHAVIOURS: dict[str, Callable[[Handler], None]] = {
    "good": lambda handler: handler.answer(CONTENT, len(CONTENT)),
    "missing": lambda handler: handler.send_error(404),
    "changed": lambda handler: handler.answer(CONTENT[:-1] + b"?", len(CONTENT)),
    "cut": lambda handler: handler.answer(CONTENT[:1000], len(CONTENT)),
    "short": lambda handler: handler.answer(CONTENT[:1000], 1000),
    "long": lambda handler: handler.answer(CONTENT + b"?", len(CONTENT) + 1),
    "endless": endless,
    "silent": silent,
    "paused": paused,
    "slow": slow,
}


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.go_on.set()
        running.shutdown()
        thread.join()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_first_mirror(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    assert download(FILE, [server.url + "good/", server.url + "missing/"], folder) == (folder / FILE.name, [])
    assert (folder / FILE.name).read_bytes() == CONTENT
    assert left_in(folder) == [FILE.name]
    assert server.requests == ["/good/squares.gz"]


FAILURES = [
    ("missing", r"HTTPError: 404 Client Error"),
    (
        "changed",
        rf"ValueError: SHA256 hash .* does not match the known hash: expected (sha256:)?{FILE.sha256}",
    ),
    ("cut", r"ChunkedEncodingError: .*1000 bytes read, 261144 more expected"),
    ("short", r"ValueError: must have 262,144 bytes, received 1,000$"),
    ("long", r"ValueError: must have 262,144 bytes, received more$"),
    ("endless", r"ValueError: must have 262,144 bytes, received more$"),
    ("silent", r"(ReadTimeout|ConnectionError): timed out$"),
    ("paused", r"ConnectionError: timed out$"),
]


@pytest.mark.parametrize(("behaviour", "message"), FAILURES)
def test_mirror_that_fails(server, tmp_path, monkeypatch, behaviour, message):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    path, (failure,) = download(FILE, [f"{server.url}{behaviour}/"], tmp_path)
    assert path is None
    assert re.match(re.escape(f"{server.url}{behaviour}/squares.gz: ") + message, failure), failure
    assert left_in(tmp_path) == []
    assert server.requests == [f"/{behaviour}/squares.gz"]

    path, failures = download(FILE, [f"{server.url}{behaviour}/", server.url + "good/"], tmp_path)
    assert path == tmp_path / FILE.name
    assert len(failures) == 1
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
    assert left_in(tmp_path) == [FILE.name]


def test_nobody_listens(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url = "http://127.0.0.1:1/"  # a port that only the system may open
    path, (failure,) = download(FILE, [url], tmp_path)
    assert path is None
    assert re.match(
        re.escape(url) + r"squares.gz: ConnectionError: \[Errno \d+\] Connection refused$", failure
    )


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    path, (failure,) = download(FILE, [server.url + "good/"], tmp_path / "file" / "folder")
    assert path is None
    assert "NotADirectoryError" in failure
    assert str(tmp_path / "file") in failure
    assert server.requests == []


def test_found_in_the_cache_after_the_download(server, tmp_path, monkeypatch):
    monkeypatch.delenv("KONV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    origin = Origin("squares", (FILE,), (server.url + "missing/", server.url + "good/"))
    path = tmp_path / "konv" / "datasets" / "squares" / FILE.name
    for _ in range(2):
        assert find("squares.load_data", origin, FILE) == path
        assert path.read_bytes() == CONTENT
    assert server.requests == ["/missing/squares.gz", "/good/squares.gz"]


def test_all_mirrors_fail(server, tmp_path, monkeypatch):
    monkeypatch.delenv("KONV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    origin = Origin("squares", (FILE,), (server.url + "missing/", server.url + "short/"))
    with pytest.raises(FileNotFoundError) as raised:
        find("squares.load_data", origin, FILE)
    *_, missing, short, ways = str(raised.value).splitlines()
    assert missing.startswith(f"  {server.url}missing/squares.gz: HTTPError: 404 ")
    assert missing.endswith(";")
    assert short == f"  {server.url}short/squares.gz: ValueError: must have 262,144 bytes, received 1,000."
    assert ways.startswith("Ways to provide it: set KONV_DATA")


def downloading(server: Server, behaviour: str, folder: Path) -> subprocess.Popen[str]:
    code = (
        "import sys\nfrom pathlib import Path\nfrom konv.datasets.download import Published, download\n"
        f"path, _ = download({FILE!r}, [{server.url + behaviour + '/'!r}], Path({str(folder)!r}))\n"
        "sys.exit(path is None)"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once(server, tmp_path):
    with downloading(server, "slow", tmp_path) as one, downloading(server, "slow", tmp_path) as other:
        assert one.wait(60) == other.wait(60) == 0
    assert left_in(tmp_path) == [FILE.name]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
    assert server.requests == ["/slow/squares.gz"] * 2


@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_download(server, tmp_path, killer):
    with downloading(server, "paused", tmp_path) as process:
        assert server.half_sent.wait(60)
        process.send_signal(killer)
        assert process.wait(60) == -killer
    assert not (tmp_path / FILE.name).exists()
    if killer == signal.SIGINT:
        assert left_in(tmp_path) == []
    assert download(FILE, [server.url + "good/"], tmp_path) == (tmp_path / FILE.name, [])
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
