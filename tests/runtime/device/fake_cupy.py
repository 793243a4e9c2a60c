"""As much of CuPy as flowc uses, on host memory: its names and how they are called, as CuPy 14 has them."""

import contextlib
import ctypes
import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flowc.runtime.device import driver

FREE = 1 << 30
_numbers = count(1)


class FakeArray(np.ndarray[Any, Any]):
    """`cupy.ndarray`."""

    number = 0

    def __new__(cls, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None) -> "FakeArray":
        if memptr is None:
            return super().__new__(cls, shape, dtype)
        kind = np.dtype(dtype)
        reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + kind.itemsize
        memory = (ctypes.c_char * reach).from_address(memptr.ptr)
        return super().__new__(cls, shape, kind, memory, 0, strides)

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(id=self.number)


class CUDARuntimeError(RuntimeError):
    """`cupy.cuda.runtime.CUDARuntimeError`."""

    status = 700


class CUDADriverError(RuntimeError):
    """`cupy.cuda.driver.CUDADriverError`."""


class Stream:
    """`cupy.cuda.Stream`."""

    def __init__(self, non_blocking: bool = False) -> None:
        self.ptr = next(_numbers)
        self.non_blocking = non_blocking
        self.mode: int | None = None

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def begin_capture(self, mode: int | None = None) -> None:
        self.mode = mode

    def end_capture(self) -> Any:
        raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated")


class Memory:
    """`cupy.cuda.MemoryPointer`."""

    def __init__(self, size: int) -> None:
        if size > FREE:
            raise MemoryError(f"out of memory allocating {size} bytes")
        self.held = np.zeros(size, np.uint8)
        self.ptr = self.held.ctypes.data


class Event:
    """`cupy.cuda.Event`."""

    time = 0.0

    def record(self, stream: Stream) -> None:
        self.time = perf_counter()


class Module:
    """`cupy.cuda.function.Module`."""

    images: tuple[bytes, ...] = ()
    allowed: tuple[tuple[int, int], ...] = ()

    def load(self, image: bytes) -> None:
        if image.startswith(b"bad"):
            raise CUDADriverError("CUDA_ERROR_NO_BINARY_FOR_GPU")
        Module.images += (image,)

    def get_function(self, name: str) -> Any:
        return SimpleNamespace(ptr=next(_numbers), name=name)


def allow(function: int, attribute: int, size: int) -> None:
    """cuFuncSetAttribute, for the shared memory that a launch may ask for."""
    assert attribute == 8
    Module.allowed += ((function, size),)


def move(to: int, source: int, size: int, kind: int, stream: int) -> None:
    assert kind in (1, 2, 3)
    ctypes.memmove(to, source, size)


def asarray(value: Any) -> FakeArray:
    interface = value.__cuda_array_interface__
    address, _ = interface["data"]
    kind, shape = np.dtype(interface["typestr"]), interface["shape"]
    sizes = [kind.itemsize * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    strides = interface.get("strides") or tuple(sizes)
    return FakeArray(shape, kind, SimpleNamespace(ptr=address), strides)


def multiply(handle: Any, *words: Any) -> None:
    """cublasGemmStridedBatchedEx, for f64 and one product."""
    (transposed, turned, rows, columns, depth, one, first, kind, leading, _, second, _, spacing, _,
     zero, result, _, lead, _, number, sums, way) = words  # fmt: skip
    assert (kind, number, sums, way) == (1, 1, 70, -1)
    assert ctypes.c_double.from_address(one).value == 1
    assert ctypes.c_double.from_address(zero).value == 0

    def matrix(address: int, height: int, width: int, apart: int) -> Any:
        return FakeArray((height, width), np.float64, SimpleNamespace(ptr=address), (8, 8 * apart))

    a = matrix(first, *((depth, rows) if transposed else (rows, depth)), leading)
    b = matrix(second, *((columns, depth) if turned else (depth, columns)), spacing)
    matrix(result, rows, columns, lead)[...] = (a.T if transposed else a) @ (b.T if turned else b)


def fake(properties: Any, versions: tuple[int, int], current: Callable[[], int]) -> dict[str, ModuleType]:
    """The modules by name."""
    stream = Stream()
    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        free=lambda _: None,
        getDevice=current,
        getDeviceProperties=lambda _: properties,
        driverGetVersion=lambda: versions[0],
        runtimeGetVersion=lambda: versions[1],
        memGetInfo=lambda: (FREE, 2 * FREE),
        memcpyAsync=move,
        deviceGetAttribute=lambda attribute, _: {97: 227 << 10}[attribute],
    )
    cublas = SimpleNamespace(
        CUBLAS_POINTER_MODE_HOST=0,
        getMathMode=lambda _: 0,
        setMathMode=lambda *_: None,
        getPointerMode=lambda _: 0,
        setPointerMode=lambda *_: None,
        gemmStridedBatchedEx=multiply,
    )
    cuda = ModuleType("cupy.cuda")
    parts = {
        "runtime": runtime,
        "driver": SimpleNamespace(
            CUDADriverError=CUDADriverError,
            funcGetAttribute=lambda attribute, _: {1: 3 << 10}[attribute],
            funcSetAttribute=allow,
        ),
        "function": SimpleNamespace(Module=Module),
        "cublas": cublas,
        "device": SimpleNamespace(get_cublas_handle=lambda: 1),
        "Device": lambda _: contextlib.nullcontext(),
        "Stream": Stream,
        "Event": Event,
        "get_current_stream": lambda: stream,
        "get_elapsed_time": lambda a, b: 1e3 * (b.time - a.time),
        "alloc": Memory,
        "alloc_pinned_memory": bytearray,
        "UnownedMemory": lambda address, size, owner: address,
        "MemoryPointer": lambda memory, offset: SimpleNamespace(ptr=memory + offset),
    }
    vars(cuda).update(parts)
    cupy = ModuleType("cupy")
    pool = SimpleNamespace(free_bytes=lambda: 5)
    vars(cupy).update(
        cuda=cuda,
        ndarray=FakeArray,
        empty=lambda shape, dtype: FakeArray(shape, dtype),
        matmul=np.matmul,
        asarray=asarray,
        from_dlpack=lambda value: value.array,
        get_default_memory_pool=lambda: pool,
    )
    return {"cupy": cupy, "cupy.cuda": cuda}


@contextlib.contextmanager
def installed(
    patch: pytest.MonkeyPatch,
    name: str = "NVIDIA H200",
    versions: tuple[int, int] = (13000, 13000),
    current: Callable[[], int] = lambda: 0,
) -> Iterator[Any]:
    """Has the module of devices see this CuPy, freshly imported."""
    properties = {"name": name.encode(), "major": 9, "minor": 0}
    for module, found in fake(properties, versions, current).items():
        patch.setitem(sys.modules, module, found)
    for module in ("cupy_device", "cupy_product"):
        patch.delitem(sys.modules, f"flowc.runtime.device.{module}", raising=False)
    launches = SimpleNamespace(cuLaunchKernel=ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0))
    patch.setattr(driver, "driver", lambda: launches)
    yield importlib.import_module("flowc.runtime.device.cupy_device")
    for module in ("cupy_device", "cupy_product"):
        sys.modules.pop(f"flowc.runtime.device.{module}", None)
