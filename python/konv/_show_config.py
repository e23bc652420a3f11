"""What this Konv is, how it was built and what it runs on: `konv.show_config()` and `konv info`."""

from __future__ import annotations

import platform

import numpy as np

from konv import _core
from konv._version import __version__


def show_config() -> None:
    """Print versions, compiler and flags, instruction sets, threads, buffer pool, and the GPU or why none.

    Examples
    --------
    >>> import konv
    >>> konv.show_config()  # doctest: +ELLIPSIS
    konv      ...
    """
    for topic, fact in _facts().items():
        print(f"{topic:<9} {fact}")


def _facts() -> dict[str, str]:
    build, pool = _core.build_info(), _core.pool_info()
    return {
        "konv": __version__,
        "python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        "numpy": np.__version__,
        "compiler": build["compiler"],
        "flags": build["flags"],
        "openmp": build["openmp"],
        "isa": f"{_core.isa()} (available: {', '.join(_core.available_isas())})",
        "threads": str(_core.get_num_threads()),
        "pool": f"{_mebibytes(pool['bytes_in_use'])} in use, {_mebibytes(pool['bytes_cached'])} cached, "
        f"at most {_mebibytes(pool['cap'])} cached",
        "gpu": "none (this build has no CUDA kernels)",
    }


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
