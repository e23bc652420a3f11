"""What Konv owes the process it runs in: forks, limits of memory, exits; each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into Linux's processes")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def succeeds(code: str, **environment: str) -> str:
    done = run(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fork_before_the_first_call_does_not_hang() -> None:
    """Something else has used libgomp, whose threads a forked child lacks."""
    succeeds("""
        import ctypes, os, signal
        import numpy as np
        import konv
        from konv import ops

        gomp = ctypes.CDLL("libgomp.so.1")
        body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda data: None)
        gomp.GOMP_parallel(body, None, 2, 0)
        konv._core.set_num_threads(2)
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends a child that hangs
            konv._core.set_thread_work(0)
            ops.relu(np.ones((64, 64, 64), np.float32))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """)


def test_forks_while_other_threads_call_do_not_hang() -> None:
    succeeds("""
        import os, signal, threading, warnings
        import numpy as np
        from konv import ops

        warnings.simplefilter("ignore")
        x = np.ones(64, np.float32)
        ending = threading.Event()
        def call():
            while not ending.is_set():
                ops.relu(x)
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                ops.relu(x)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        ending.set()
    """)


def test_the_number_of_threads_may_change_during_a_call() -> None:
    """Scratch is sized for the threads that the call began with."""
    succeeds("""
        import threading
        import numpy as np
        from konv import _core, ops

        _core.set_poison(True)
        _core.set_thread_work(0)
        done = threading.Event()

        def change():
            while not done.is_set():
                for threads in (1, 2, 8):
                    _core.set_num_threads(threads)

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for size, options in ((3, {"algorithm": "winograd"}), (7, {"strides": 7})):
                x = np.ones((2, 14, 14, 32), np.float32)
                kernel = np.ones((size, size, 32, 16), np.float32)
                grad = ops.conv2d(x, kernel, padding="same", **options)
                expected = None
                for _ in range(500):
                    grads = ops.conv2d_backward(grad, x, kernel, padding="same", **options)
                    expected = expected or [g.tobytes() for g in grads]
                    assert [g.tobytes() for g in grads] == expected
        finally:
            done.set()
            changing.join()
        assert _core.pool_info()["guard_violations"] == 0
    """)


def test_the_process_ends_while_daemon_threads_are_in_a_kernel() -> None:
    succeeds("""
        import threading, time
        import numpy as np
        from konv import ops

        x, kernel = np.ones((4, 64, 64, 32), np.float32), np.ones((3, 3, 32, 32), np.float32)
        def call():
            while True:
                ops.conv2d(x, kernel)
        for _ in range(4):
            threading.Thread(target=call, daemon=True).start()
        time.sleep(0.3)
    """)


LIMITED = """
import resource
import numpy as np
import konv
from konv import ops

def limit(bytes_left):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + bytes_left, resource.RLIM_INFINITY))

konv._core.set_num_threads(1)
"""


def test_scratch_counts_against_the_memory_left() -> None:
    """A result of 14 MB, but sums for whole tiles of filters, 32 times as large."""
    out = succeeds(
        LIMITED
        + textwrap.dedent("""
        x, kernel = np.ones((1, 1, 1, 3_500_000), np.float32), np.ones((1, 1, 3_500_000, 1), np.float32)
        limit(150 << 20)
        try:
            ops.conv2d_backward(np.ones((1, 1, 1, 1), np.float32), x, kernel, needs=("kernel",))
        except MemoryError as error:
            print(error)
    """)
    )
    assert out.startswith("conv2d_backward: result and scratch need ")
    assert "bytes of memory are available" in out


def test_no_more_is_cached_than_the_cap() -> None:
    """A quarter of the address space's limit: of four results of 80 MiB three."""
    out = succeeds(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        import numpy as np
        from konv import _core, ops

        x = np.ones((1, 20 << 20), np.float32)
        results = [ops.relu(x) for _ in range(4)]
        del results
        pool = _core.pool_info()
        print(pool["cap"] >> 20, pool["bytes_cached"] // x.nbytes, pool["bytes_in_use"])
        """,
        OPENBLAS_NUM_THREADS="1",
        KONV_NUM_THREADS="1",
    )
    assert out.split() == ["256", "3", "0"]


def test_memory_that_was_not_had_counts_as_free() -> None:
    """Results of 20 MB, which are granted unasked, where an eighth of that is left."""
    out = succeeds(
        LIMITED
        + textwrap.dedent("""
        import mmap

        x = np.ones(5_000_000, np.float32)
        limit(300 << 20)
        taken = [mmap.mmap(-1, 1 << 20) for _ in range(298)]
        for _ in range(20):
            try:
                ops.relu(x)
            except MemoryError:
                print("none")
        del taken
        konv._core.require_memory("op", 250 << 20)
        """)
    )
    assert out == 20 * "none\n"


@pytest.mark.parametrize(("megabytes", "fits"), [(190, True), (210, False)])
def test_memory_is_granted_up_to_what_is_left(megabytes: int, fits: bool) -> None:
    out = succeeds(
        LIMITED
        + textwrap.dedent(f"""
        limit(200 << 20)
        try:
            konv._core.require_memory("op", {megabytes} << 20)
            print("granted")
        except MemoryError as error:
            print(error)
    """)
    )
    assert out.startswith("granted" if fits else f"op: result and scratch need {megabytes << 20} bytes")


def test_num_threads_from_the_environment() -> None:
    ask = "import konv; print(konv.config.get_num_threads())"
    assert succeeds(ask, KONV_NUM_THREADS="3", OMP_NUM_THREADS="2") == "3\n"
    assert succeeds(ask, KONV_NUM_THREADS="", OMP_NUM_THREADS="7,1") == "7\n"
    alone = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + ask
    assert succeeds(alone, KONV_NUM_THREADS="", OMP_NUM_THREADS="") == "1\n"


@pytest.mark.parametrize("count", ["0", "-2", "abc", "3.5", "1000"])
def test_a_num_threads_that_is_no_count_is_an_import_error(count: str) -> None:
    done = run("import konv", KONV_NUM_THREADS=count)
    assert done.returncode != 0
    expected = f"ImportError: konv: KONV_NUM_THREADS must be a number in 1..256, received '{count}'"
    assert done.stderr.splitlines()[-1] == expected


@pytest.mark.parametrize("name", ["KONV_NUM_THREADS", "KONV_ISA", "KONV_ALGORITHM"])
def test_bytes_that_are_no_text_are_shown(name: str) -> None:
    convolve = "import konv, numpy as np; konv.ops.conv2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)))"
    done = run(convolve, **{name: os.fsdecode(b"a\xff\x0a")})
    last_line = done.stderr.splitlines()[-1]
    assert re.match(r"(ImportError: konv|ValueError: conv2d): ", last_line)
    assert last_line.endswith(r", received 'a\xff\x0a'")
