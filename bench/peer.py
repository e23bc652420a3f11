"""A peer of a benchmark: a worker process that is asked one thing at a time, a line of JSON each way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any


class Peer:
    """A worker process.

    Parameters
    ----------
    name : str
        The worker's last argument but one, and what errors call it.
    command : sequence of str
        The worker's program, before its arguments `name` and `threads`.
    threads : int
        What it may compute with.
    """

    def __init__(self, name: str, command: Sequence[str], threads: int) -> None:
        self.name = name
        count = str(threads)
        self._process = subprocess.Popen(
            [*command, name, count],
            env={**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "KONV_NUM_THREADS": count},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended, exit status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
