"""How long OpenMP's threads spin at a barrier: shortly, so that Konv stays quick on a machine that is busy.

By default libgomp's threads spin for about a millisecond before they sleep. Where other processes want the
cores, that takes the time of the very thread that is waited for: training on two busy cores took ten times as
long. libgomp reads its settings once, while it is loaded, hence the environment variable around the import of
the kernels. What the user has set counts, and so does a libgomp that something else loaded before.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN_COUNT = "GOMP_SPINCOUNT"
# 0.15 ms: longer than Python takes from one kernel to the next, or a thread waits for a task of the other.
# To wake one that sleeps takes 25 us and more. In place of 1000: the course's training step 62 -> 49 ms,
# MobileNet 10.4 -> 8.5; the step beside six busy processes on two cores 183 -> 198.
_SPINS = "5000"


@contextmanager
def short_waits() -> Iterator[None]:
    """Let a libgomp that is loaded inside the `with` block sleep early; the environment is left as it was."""
    if _SPIN_COUNT in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ[_SPIN_COUNT] = _SPINS
    try:
        yield
    finally:
        del os.environ[_SPIN_COUNT]
