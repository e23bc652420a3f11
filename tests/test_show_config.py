"""`konv.show_config()`: every fact, and the facts as they are."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import konv
from konv import _core


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert konv.show_config() is None
    captured = capsys.readouterr()
    assert captured.err == ""
    return dict(line.split(maxsplit=1) for line in captured.out.splitlines())


def test_topics_in_order(capsys):
    topics = ["konv", "python", "numpy", "compiler", "flags", "openmp", "isa", "threads", "pool", "gpu"]
    assert list(facts(capsys)) == topics


def test_versions(capsys):
    shown = facts(capsys)
    assert shown["konv"] == konv.__version__
    assert shown["python"].startswith(platform.python_version())
    assert shown["numpy"] == np.__version__


def test_build(capsys):
    shown, build = facts(capsys), _core.build_info()
    assert (shown["compiler"], shown["flags"]) == (build["compiler"], build["flags"])
    assert build["version"] == konv.__version__
    assert all(flag in build["flags"] for flag in ("-O", "-ffp-contract=off", "kernels(-ffp-contract=fast)"))


def test_isa_follows_the_setting(capsys):
    before = _core.isa()
    try:
        for isa in _core.available_isas():
            _core.set_isa(isa)
            assert facts(capsys)["isa"] == f"{isa} (available: {', '.join(_core.available_isas())})"
    finally:
        _core.set_isa(before)


def test_threads_follow_the_setting(capsys):
    before = konv.config.get_num_threads()
    try:
        konv.config.set_num_threads(3)
        assert facts(capsys)["threads"] == "3"
    finally:
        konv.config.set_num_threads(before)


def test_pool_counts_a_live_result(capsys):
    konv.clear_cache()
    result = konv.ops.relu(np.ones((4, 1024, 1024), dtype=np.float32))
    used = float(facts(capsys)["pool"].split()[0])
    assert used >= result.nbytes / 2**20


def test_clear_cache_empties_the_pool(capsys):
    konv.ops.relu(np.ones((4, 1024, 1024), dtype=np.float32))
    konv.clear_cache()
    assert ", 0.0 MiB cached" in facts(capsys)["pool"]


def test_gpu_says_why_there_is_none(capsys):
    assert facts(capsys)["gpu"] == "none (this build has no CUDA kernels)"
