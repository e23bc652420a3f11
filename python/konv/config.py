"""Settings of the whole process: the number of threads, and the memory that it keeps."""

from __future__ import annotations

from konv import _core, _prepared
from konv._arguments import integer

__all__ = ["clear_cache", "get_num_threads", "set_num_threads"]


def __dir__() -> list[str]:
    return __all__


def set_num_threads(num_threads: int) -> None:
    """Set how many threads each kernel uses. Results don't depend on it, to the bit.

    At import it is `KONV_NUM_THREADS` or `OMP_NUM_THREADS` where set, else the CPUs that this process may
    use.

    Parameters
    ----------
    num_threads : int
        1 to 256; it may exceed the number of cores.

    Raises
    ------
    TypeError
        If `num_threads` is not an int.
    ValueError
        If it is not in 1 to 256.

    Examples
    --------
    >>> from konv.config import get_num_threads, set_num_threads
    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    _core.set_num_threads(integer("set_num_threads", "num_threads", num_threads))


def get_num_threads() -> int:
    """Return how many threads each kernel uses.

    Examples
    --------
    >>> from konv.config import get_num_threads
    >>> get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def clear_cache() -> None:
    """Give memory that is only kept to be quicker back to the system.

    It holds what results took that are gone, and the kernels of layers in the form in which inference reads
    them. Arrays in use stay as they are; the next calls are a little
    slower, for they ask the system for memory again.

    Examples
    --------
    >>> import konv
    >>> konv.clear_cache()
    """
    _prepared.forget_all()
    _core.clear_cache()
