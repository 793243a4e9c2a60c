"""The part that talks to CuPy, against a CuPy made up for it: that it calls what there is, with what it
takes."""

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flowc.runtime.device.calls import Native
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.product import DTYPES
from flowc.runtime.device.site import Library
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_calls import frame
from tests.runtime.device import fake_cupy
from tests.runtime.device.fake_cupy import CUDADriverError, CUDARuntimeError, FakeArray, Module, installed
from tests.runtime.device.stand_in import MATRIX, SAME, RecordingDevice, _read, signature

X = np.arange(6, dtype=np.float32).reshape(2, 3)
DESCRIBED = signature(MATRIX, results=[SAME])


@pytest.fixture
def cupy_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with installed(monkeypatch) as module:
        yield module


def array(values: Any) -> FakeArray:
    found = FakeArray(values.shape, values.dtype)
    found[...] = values
    return found


def test_the_current_gpu_is_known_by_its_name_and_architecture(cupy_device: Any) -> None:
    site = cupy_device.current()
    assert site is cupy_device.current()
    assert (site.device.name, site.device.architecture) == ("NVIDIA H200", "sm_90")
    assert site.device.free_bytes() == fake_cupy.FREE + 5


def test_a_kernel_runs_on_it_from_either_side(cupy_device: Any) -> None:
    site = cupy_device.current()

    def native(words: bytes) -> int:
        called = _read(DESCRIBED, words, RecordingDevice())
        called.results[0][...] = 2 * called.values[0]
        return 0

    code = DeviceCode(b"", (DESCRIBED,), ("f",), {"sm_90": b"\x7fELF code"})
    called = DeviceKernel(Native(frame(DESCRIBED, native), Library(code)), lambda: site)
    host = called(X)
    assert type(host) is np.ndarray
    np.testing.assert_array_equal(host, 2 * X)
    there, out = array(X), array(X)
    assert type(called(there)) is FakeArray
    for _ in range(4):  # recording is refused on the way
        assert called(there, out=out) is out
        np.testing.assert_array_equal(np.asarray(out), 2 * X)
    assert called.graphs.refused
    assert Module.images[-1] == b"\x7fELF code"


def test_ptx_is_loaded_as_a_text_that_ends(cupy_device: Any) -> None:
    device = cupy_device.current().device
    module = device.load(b".version 8.0", ("a", "b"))
    assert Module.images[-1] == b".version 8.0\0"
    assert len(module.handles) == 2
    assert module.launcher
    with pytest.raises(FlowError, match="E0695"):
        device.load(b"bad", ("a",))


def test_launches_may_ask_for_all_the_shared_memory_of_a_block(cupy_device: Any) -> None:
    module = cupy_device.current().device.load(b"\x7fELF code", ("a", "b"))
    assert Module.allowed[-2:] == tuple((handle, 224 << 10) for handle in module.handles)


def test_memory_that_others_show_is_used_where_it_lies(cupy_device: Any) -> None:
    device = cupy_device.current().device
    interface = {"data": (X.ctypes.data, False), "shape": (2, 3), "typestr": "<f4", "version": 3}
    shown = device.find(SimpleNamespace(__cuda_array_interface__=interface))
    assert device.address(shown) == X.ctypes.data
    there = array(X)
    for kind, wanted in ((2, there), (13, there), (1, None)):
        other = SimpleNamespace(__dlpack_device__=lambda kind=kind: (kind, 0), array=there)
        assert device.find(other) is wanted
    for plain in (X, 3, 2.0, np.float32(1), "text", None, [1.0]):
        assert device.find(plain) is None
    elsewhere = array(X)
    elsewhere.number = 1
    with pytest.raises(FlowError, match="E0784"):
        device.find(elsewhere)


def test_memory_moves_in_all_directions(cupy_device: Any) -> None:
    device = cupy_device.current().device
    stream, there, back = device.new_stream(), array(np.zeros_like(X)), np.zeros_like(X)
    assert stream.stream.non_blocking
    with device.on(stream):
        device.put(X, there, stream)
        block = device.block(24)
        device.copy(block.address, device.address(there), 24, stream)
        device.read(back.ctypes.data, block.address, 24, stream)
        np.testing.assert_array_equal(back, X)
        device.get(there, back, stream)
        assert device.pinned(10).size == 10
        with pytest.raises(MemoryError):
            device.block(fake_cupy.FREE + 1)
    assert 0 <= device.between(device.mark(stream), device.mark(stream)) < 60


@pytest.mark.parametrize("transposed", [False, True])
def test_products_are_asked_of_cublas(cupy_device: Any, transposed: bool) -> None:
    device = cupy_device.current().device
    left, right = np.arange(12.0).reshape(3, 4), np.arange(8.0).reshape(4, 2)
    result = np.full((3, 2), np.nan)
    steps = (1, 2)
    if transposed:
        right, steps = np.asfortranarray(right), (1, 4)
        strides = (steps[0], steps[1])
    else:
        strides = (2, 1)
    number = DTYPES.index("f64")
    words = [number, number, 1, 3, 2, 4, left.ctypes.data, 0, 4, 1, right.ctypes.data, 0, *strides,
             result.ctypes.data, 0, 2, 1]  # fmt: skip
    held = (ctypes.c_int64 * 18)(*words)
    device.product(ctypes.addressof(held), device.current_stream())
    np.testing.assert_array_equal(result, left @ right)


def test_products_of_nothing_and_of_odd_matrices_are_done_otherwise(cupy_device: Any) -> None:
    device = cupy_device.current().device
    whole = np.arange(48.0).reshape(4, 12)
    left, result = whole[:, ::3], np.full((4, 4), np.nan)
    number = DTYPES.index("f64")
    for depth in (4, 0):
        words = [number, number, 1, 4, 4, depth, left.ctypes.data, 0, 12, 3, left.ctypes.data, 0, 12, 3,
                 result.ctypes.data, 0, 4, 1]  # fmt: skip
        held = (ctypes.c_int64 * 18)(*words)
        device.product(ctypes.addressof(held), device.current_stream())
        np.testing.assert_array_equal(result, left @ left if depth else np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("versions", "code"), [((0, 13000), "E0780"), ((13010, 13020), "E0780"), ((12040, 13020), "E0782")]
)
def test_why_there_is_no_gpu(versions: tuple[int, int], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    with installed(monkeypatch, versions=versions, current=none) as module:
        with pytest.raises(FlowError) as error:
            module.current()
        assert error.value.problem.code == code


@pytest.mark.parametrize(("status", "kind"), [(2, MemoryError), (700, CUDARuntimeError)])
def test_pinned_memory_that_is_not_to_be_had_is_said_to_be_that(
    cupy_device: Any, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
) -> None:
    def none(size: int) -> Any:
        error = CUDARuntimeError(f"cudaError {status}")
        error.status = status
        raise error

    monkeypatch.setattr(cupy_device.cupy.cuda, "alloc_pinned_memory", none)
    with pytest.raises(kind):
        cupy_device.current().device.pinned(10)


def test_errors_of_cuda_are_known_as_the_device_s(cupy_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = cupy_device.current()
    assert site.device.faults == (CUDARuntimeError, CUDADriverError)

    def failing(*_: object) -> None:
        raise CUDARuntimeError("cudaErrorIllegalAddress")

    monkeypatch.setattr(cupy_device.cupy.cuda.runtime, "memcpyAsync", failing)
    code = DeviceCode(b"", (DESCRIBED,), ("f",), {"sm_90": b"\x7fELF code"})
    called = DeviceKernel(Native(frame(DESCRIBED, lambda _: 0), Library(code)), lambda: site)
    with pytest.raises(FlowError, match=r"E0785.*cudaErrorIllegalAddress"):
        called(X)
