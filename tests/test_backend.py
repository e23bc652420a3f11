"""Which arrays ops take, where they run, and that strided, misaligned or foreign memory is read right."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from arrays import LAYOUTS, DLPackOnly
from calls import CALLS, FLOAT_ARRAYS, call
from konv import Sequential, _core, backend, ops
from konv.layers import Dense

GRID = np.arange(-12, 12, dtype=np.float32).reshape(4, 6)


class Exporter(DLPackOnly):
    """An array of another library on a DLPack device, which counts how often it is taken."""

    def __init__(self, array: np.ndarray, device: int = 1) -> None:
        super().__init__(array)
        self.device, self.exports = device, 0

    def __dlpack__(self, **options: Any) -> Any:
        self.exports += 1
        return super().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", [op for op in CALLS if "shape" not in op])
def test_every_layout_is_read_right(op: str, layout: str) -> None:
    expected = call(op)
    formed = {name: LAYOUTS[layout](value) for name, value in CALLS[op].items() if name in FLOAT_ARRAYS}
    result = call(op, **formed)
    if not isinstance(result, tuple):
        expected, result = (expected,), (result,)
    for wanted, array in zip(expected, result, strict=True):
        assert type(array) is np.ndarray
        assert array.flags.c_contiguous
        assert array.flags.aligned
        np.testing.assert_array_equal(array, wanted)


def test_every_layout_of_argmax_is_read_right() -> None:
    _, argmax = call("max_pool2d_with_argmax")
    expected = call("max_pool2d_backward", argmax=argmax)
    for name in ("column_major", "reversed", "read_only", "dlpack"):
        np.testing.assert_array_equal(call("max_pool2d_backward", argmax=LAYOUTS[name](argmax)), expected)
    every_other = np.repeat(argmax, 2, axis=-1)[..., ::2]
    np.testing.assert_array_equal(call("max_pool2d_backward", argmax=every_other), expected)


@pytest.mark.parametrize("kind", [np.matrix, np.recarray])
def test_a_subclass_counts_as_the_array_it_holds(kind: type[np.ndarray]) -> None:
    y = ops.relu(GRID.view(kind))
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, np.maximum(GRID, 0))


@pytest.mark.parametrize("device", [1, 3])  # kDLCPU, kDLCUDAHost
def test_dlpack_memory_on_the_host_is_taken_without_a_copy(device: int) -> None:
    exporter = Exporter(GRID, device)
    found, array = backend.route(exporter, "relu: x")
    assert found is backend.NUMPY
    assert exporter.exports == 1
    assert np.shares_memory(array, GRID)


@pytest.mark.parametrize("device", [2, 8, 10, 13])  # CUDA, Metal, ROCm, managed CUDA
def test_dlpack_memory_elsewhere_is_a_type_error(device: int) -> None:
    exporter = Exporter(GRID, device)
    with pytest.raises(
        TypeError,
        match=r"^relu: x must be on the CPU, for this build has no CUDA kernels; received .*Exporter",
    ):
        ops.relu(exporter)
    assert exporter.exports == 0


def test_an_exporter_that_fails_is_a_type_error_that_says_why() -> None:
    class Refusing(Exporter):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("it requires a gradient")

    with pytest.raises(
        TypeError, match=r"^relu: x can't be read through DLPack, .*it requires a gradient$"
    ) as caught:
        ops.relu(Refusing(GRID))
    assert isinstance(caught.value.__cause__, BufferError)


def test_results_never_alias_arguments() -> None:
    x = np.abs(GRID)
    for y in (ops.relu(x), ops.relu_backward(x, x)):
        assert not np.shares_memory(x, y)


def test_arguments_are_left_alone() -> None:
    for op, good in CALLS.items():
        arrays = {name: value.copy() for name, value in good.items() if isinstance(value, np.ndarray)}
        call(op, **arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, good[name])


class Toy(np.ndarray):
    """A type of array with a backend of its own."""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> backend.Backend:
    kernels = SimpleNamespace(relu=lambda x: np.maximum(x, 0).view(Toy))
    added = replace(backend.NUMPY, name="Toy", kernels=kernels, dtypes=(np.dtype(np.float16),))
    monkeypatch.setitem(backend.BACKENDS, Toy, added)
    return added


def test_another_backend_is_one_more_row(toy: backend.Backend) -> None:
    y = ops.relu(GRID.astype(np.float16).view(Toy))
    assert type(y) is Toy
    with pytest.raises(TypeError, match=r"^relu: x must have dtype float16, received float32$"):
        ops.relu(GRID.view(Toy))


def test_arrays_of_two_backends_are_a_type_error(toy: backend.Backend) -> None:
    with pytest.raises(
        TypeError, match=r"all arrays must be of one kind, received y of Toy and grad of NumPy$"
    ):
        ops.relu_backward(GRID, GRID.view(Toy))
    with pytest.raises(
        TypeError, match=r"all arrays must be of one kind, received argmax of Toy and grad of NumPy$"
    ):
        call("max_pool2d_backward", argmax=CALLS["max_pool2d_backward"]["argmax"].view(Toy))
    model = Sequential([Dense(2, input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(TypeError, match=r"^fit: all arrays must be of one kind, received y of Toy and x of"):
        model.fit(GRID, np.zeros(4).view(Toy))


def test_the_kernels_refuse_what_they_would_misread() -> None:
    """`konv.ops` copies such arrays before; a caller of `konv._core` must not get a wrong result."""
    for layout in ("column_major", "every_other", "reversed", "misaligned"):
        with pytest.raises(TypeError, match=r"^relu: x must be C-contiguous and aligned$"):
            _core.relu(LAYOUTS[layout](GRID))
    with pytest.raises(TypeError, match=r"^relu_backward: y must have the dtype float32 of the first array"):
        _core.relu_backward(GRID, GRID.astype(np.float64))
