"""`konv info`: versions, build, instruction sets, threads, memory, GPU."""

from __future__ import annotations

import argparse

from konv._show_config import show_config


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `info` to the commands."""
    about = "Show versions, compiler, instruction sets, threads, buffer pool and GPU."
    parser = commands.add_parser("info", help=about, description=about)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> None:
    """Print what `konv.show_config()` prints."""
    show_config()
