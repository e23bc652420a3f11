"""The `konv` command.

Each command is a module with `add_parser(commands)`, whose parser has as defaults `run`, the function that
runs the command, and `parser`, itself. Exit status: 0, 1 (failed), 2 (bad arguments) or 130 (Ctrl-C). An
error is one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from konv._version import __version__
from konv.cli import bench, info, train

COMMANDS = (info, train, bench)

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `konv` command and return its exit status; `arguments` defaults to the process's own."""
    parser = Parser(prog="konv", description="Train and run convolutional networks on NumPy arrays.")
    parser.add_argument("--version", action="version", version=f"konv {__version__}")
    commands = parser.add_subparsers(title="commands", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    commands.metavar = f"{{{','.join(commands.choices)}}}"  # what is said to be missing
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        options.run(options)
        if sys.stdout is not None:  # it was closed before Python started
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell, nor to flush to at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"\n{options.parser.prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ImportError, MemoryError, OSError, ValueError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"{options.parser.prog}: {message}", file=sys.stderr)
        return 1
    return 0
