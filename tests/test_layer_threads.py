"""Layers that several threads build and call at once, and processes forked meanwhile."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from konv.layers import Dense, Layer, SeparableConv2D


@pytest.fixture
def frequent_switches():
    """Let threads take turns after every few bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_build_a_layer_once(frequent_switches):
    x = np.ones((1, 4, 4, 3), np.float32)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            layer, start = SeparableConv2D(4, 3), threading.Barrier(4)

            def call(layer=layer, start=start):
                start.wait()
                return layer(x)

            first, *others = [future.result() for future in [pool.submit(call) for _ in range(4)]]
            assert all(np.array_equal(first, other) for other in others)
            assert [weight.name for weight in layer.variables] == [
                "depthwise_kernel",
                "pointwise_kernel",
                "bias",
            ]


def test_threads_make_a_weight_once(frequent_switches):
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            layer, start = Dense(50), threading.Barrier(4)
            layer.build((None, 300))

            def read(layer=layer, start=start):
                start.wait()
                return layer.kernel.value

            values = [future.result() for future in [pool.submit(read) for _ in range(4)]]
            assert all(value is layer.kernel.value for value in values)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_during_a_build_builds_too():
    building = threading.Event()

    class Slow(Layer):
        def build(self, input_shape):
            building.set()
            time.sleep(0.2)

    thread = threading.Thread(target=Slow().build, args=((None, 3),))
    thread.start()
    building.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a threaded process forks
        child = os.fork()
    if child == 0:
        Dense(2).build((None, 3))
        os._exit(0)
    thread.join()
    for _ in range(500):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert status == 0
