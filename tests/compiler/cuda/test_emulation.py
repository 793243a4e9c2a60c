"""The emulated device finds what no kernel may do, and keeps to the limits of a device."""

import ctypes
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import gpu
from xdsl.dialects.builtin import DenseArrayBase, i32

from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.backends.cuda.host import TABLE
from flowc.compiler.backends.cuda.text import print_module
from tests.compiler.cuda.launching import Kernel, Launch, Reported, parsed, run, text_of
from tests.compiler.cuda.test_warps import reversed_by

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")

SHIFTED = Kernel(
    {"x": "memref<?xf32>", "out": "memref<?xf32>", "by": "index"},
    """
    %t = gpu.thread_id x
    %from = arith.addi %t, %by : index
    %v = memref.load %x[%from] : memref<?xf32>
    memref.store %v, %out[%t] : memref<?xf32>
    """,
)


def shifted(size: int, by: int, threads: int = 32) -> Any:
    x, out = np.arange(size, dtype=np.float32), np.zeros(32, np.float32)
    parameters = (x, np.int64(size), out, np.int64(32), np.int64(by))
    run(text_of(SHIFTED), Launch(parameters, block=(threads, 1, 1)))
    return out


def test_what_is_inside_is_read() -> None:
    assert np.array_equal(shifted(40, 8), np.arange(8, 40))


@pytest.mark.parametrize(("by", "threads"), [(9, 32), (-1, 32), (0, 33)])
def test_what_is_outside_is_reported(by: int, threads: int) -> None:
    with pytest.raises(Reported, match="AddressSanitizer: heap-buffer-overflow"):
        shifted(40, by, threads)


def test_an_index_that_overflows_is_reported() -> None:
    kernel = Kernel(
        {"x": "memref<1xf32>", "n": "index"},
        """
        %m = arith.muli %n, %n : index
        %none = arith.constant 0 : index
        %z = arith.minsi %m, %none : index
        %v = memref.load %x[%z] : memref<1xf32>
        memref.store %v, %x[%z] : memref<1xf32>
        """,
        marks={"device.narrow": "unit"},
    )
    text = text_of(kernel)
    x = np.zeros(1, np.float32)
    run(text, Launch((x, np.int64(1 << 15)), block=(1, 1, 1)))
    with pytest.raises(Reported, match="signed integer overflow"):
        run(text, Launch((x, np.int64(1 << 16)), block=(1, 1, 1)))


def test_a_vector_at_an_odd_address_is_reported() -> None:
    kernel = Kernel(
        {"x": "memref<?xf32>", "at": "index"},
        """
        %z = arith.constant 0 : index
        %v = vector.load %x[%at] : memref<?xf32>, vector<4xf32>
        vector.store %v, %x[%z] : memref<?xf32>, vector<4xf32>
        """,
    )
    text = text_of(kernel)
    x = np.arange(8, dtype=np.float32)
    run(text, Launch((x, np.int64(8), np.int64(4)), block=(1, 1, 1)))
    assert np.array_equal(x[:4], [4, 5, 6, 7])
    with pytest.raises(Reported, match="misaligned address"):
        run(text, Launch((x, np.int64(8), np.int64(2)), block=(1, 1, 1)))


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [
        ((1, 1, 1), (1025, 1, 1), 0),
        ((1, 1, 1), (512, 3, 1), 0),
        ((1, 1, 1), (1, 1, 65), 0),
        ((1, 65536, 1), (1, 1, 1), 0),
        ((0, 1, 1), (1, 1, 1), 0),
        ((1, 1, 1), (1, 1, 1), 227 * 1024 + 1),
    ],
)
def test_a_launch_beyond_the_limits_is_refused(
    grid: tuple[int, int, int], block: tuple[int, int, int], shared: int
) -> None:
    x = np.zeros(32, np.float32)
    parameters = (x, np.int64(32), x, np.int64(32), np.int64(0))
    with pytest.raises(Reported, match="the launch is refused with 1"):
        run(text_of(SHIFTED), Launch(parameters, grid=grid, block=block, shared=shared))


def shared(*sizes: int) -> Kernel:
    """A kernel with arrays of f32 in shared memory of so many elements, whose launch asks for more."""
    lines = []
    for place, size in enumerate(sizes):
        lines.append(f"%s{place} = device.shared : memref<{size}xf32, 3>")
        lines.append(f"memref.store %v, %s{place}[%t] : memref<{size}xf32, 3>")
        lines.append(f"%w{place} = memref.load %s{place}[%t] : memref<{size}xf32, 3>")
        lines.append(f"memref.store %w{place}, %x[%t] : memref<?xf32>")
    body = ["%t = gpu.thread_id x", "%v = memref.load %x[%t] : memref<?xf32>", *lines]
    return Kernel({"x": "memref<?xf32>"}, "\n".join(body))


@pytest.mark.parametrize(
    ("sizes", "more", "said"),
    [
        ((6 << 10, 6 << 10), 0, ""),
        ((6 << 10, 6 << 10), 179 << 10, ""),
        ((6 << 10, (6 << 10) + 4), 0, "49168 bytes of static shared memory, of at most 49152"),
        ((6 << 10, 6 << 10), (179 << 10) + 16, "49152 bytes of static shared memory and 183312 of dynamic"),
    ],
)
def test_a_block_has_no_more_shared_memory_than_on_a_card(
    sizes: tuple[int, ...], more: int, said: str
) -> None:
    launch = Launch((np.zeros(32, np.float32), np.int64(32)), shared=more)
    text = text_of(shared(*sizes))
    if not said:
        run(text, launch, launch)
        return
    with pytest.raises(Reported, match=said):
        run(text, launch)


def test_a_launch_that_asks_for_more_beside_static_shared_memory_is_refused() -> None:
    x = np.zeros(32, np.float32)
    fits, beyond = (Launch((x, np.int64(32)), shared=size) for size in (100 << 10, (179 << 10) + 16))
    with pytest.raises(Reported, match="the launch is refused with 1"):
        run(text_of(shared(6 << 10, 6 << 10)), fits, beyond)


def test_a_launch_of_more_threads_than_its_code_is_bound_to_is_refused() -> None:
    module = parsed(SHIFTED)
    (function,) = [op for op in module.body.block.ops if isinstance(op, gpu.FuncOp)]
    function.known_block_size = DenseArrayBase.from_list(i32, [32, 2, 1])
    bound = print_module(module)
    assert "__launch_bounds__(64)" in bound
    x, out = np.zeros(40, np.float32), np.zeros(40, np.float32)
    parameters = (x, np.int64(40), out, np.int64(40), np.int64(0))
    run(bound, Launch(parameters, block=(32, 2, 1)))
    with pytest.raises(Reported, match="the launch is refused with 1"):
        run(bound, Launch(parameters, block=(32, 3, 1)))


def test_threads_and_blocks_know_their_places() -> None:
    names = [
        f"{kind} {axis}" for kind in ("block_id", "thread_id", "grid_dim", "block_dim") for axis in "xyz"
    ]
    ids = "\n".join(f"%v{place} = gpu.{name}" for place, name in enumerate(names))
    constants = "\n".join(f"%c{place} = arith.constant {place} : index" for place in range(12))
    stores = "\n".join(
        f"memref.store %v{place}, %out[%thread, %c{place}] : memref<?x12xindex>" for place in range(12)
    )
    number = """
        %plane = arith.muli %v2, %v7 : index
        %line = arith.addi %plane, %v1 : index
        %row = arith.muli %line, %v6 : index
        %block = arith.addi %row, %v0 : index
        %four = arith.constant 24 : index
        %first = arith.muli %block, %four : index
        %deep = arith.muli %v5, %v10 : index
        %high = arith.addi %deep, %v4 : index
        %long = arith.muli %high, %v9 : index
        %inside = arith.addi %long, %v3 : index
        %thread = arith.addi %first, %inside : index
    """
    out = np.full((5 * 3 * 2 * 24, 12), -1, np.int64)
    kernel = Kernel({"out": "memref<?x12xindex>"}, f"{ids}\n{number}\n{constants}\n{stores}")
    run(text_of(kernel), Launch((out, np.int64(len(out))), grid=(5, 3, 2), block=(4, 3, 2)))
    blocks = np.indices((2, 3, 5)).reshape(3, -1)[::-1].T.repeat(24, axis=0)
    threads = np.tile(np.indices((2, 3, 4)).reshape(3, -1)[::-1].T, (30, 1))
    assert np.array_equal(out[:, :3], blocks)
    assert np.array_equal(out[:, 3:6], threads)
    assert (out[:, 6:] == [5, 3, 2, 4, 3, 2]).all()


def test_stacks_change_the_same_way_on_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulate, "_FLAGS", (*emulate._FLAGS, "-DFLOWC_UCONTEXT"))
    x, out = reversed_by("gpu.barrier", "shuffled", 5)
    assert np.array_equal(out, x[::-1])
    with pytest.raises(Reported, match="race on shared memory"):
        reversed_by("", "shuffled", 5)


def test_a_text_that_is_no_cuda_is_refused() -> None:
    with pytest.raises(emulate.TextRefused, match="error"):
        emulate.build("__global__ void k( {", sanitize=False)


class Table(ctypes.Structure):
    """The words that host code reads of a device."""

    _fields_ = [(name, ctypes.c_void_p) for name in TABLE]


def device(limit: int) -> Table:
    """A device without kernels in this process, with so much memory."""
    library = ctypes.CDLL(str(emulate.build("", sanitize=False)))
    make = library.flowc_emulated_device
    make.restype, make.argtypes = ctypes.POINTER(Table), (ctypes.c_char_p, ctypes.c_uint, ctypes.c_longlong)
    table: Table = make(b"forward", 0, limit).contents
    return table


def test_memory_beyond_the_limit_is_refused() -> None:
    table = device(1000)
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong)(table.allocate)
    release = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong)(table.release)
    one = allocate(None, 600)
    assert one
    assert allocate(None, 401) is None
    two = allocate(None, 400)
    release(None, one, 600)
    again = allocate(None, 600)
    assert two
    assert again
    release(None, two, 400)
    release(None, again, 600)


@pytest.mark.parametrize(("dtype", "result"), [("f64", "f64"), ("f32", "f32"), ("f16", "f32"), ("i8", "i32")])
def test_products_of_a_library(dtype: str, result: str) -> None:
    from flowc.runtime.device.product import DTYPES

    names = {"f64": "float64", "f32": "float32", "f16": "float16", "i8": "int8", "i32": "int32"}
    random = np.random.default_rng(0)
    a = (random.standard_normal((2, 5, 3)) * 20).astype(names[dtype])
    b = (random.standard_normal((2, 4, 3)) * 20).astype(names[dtype]).transpose(0, 2, 1)
    out = np.zeros((2, 5, 4), names[result])
    matrices = [
        word
        for array in (a, b, out)
        for word in (array.ctypes.data, *(stride // array.itemsize for stride in array.strides))
    ]
    words = [DTYPES.index(dtype), DTYPES.index(result), 2, 5, 4, 3, *matrices]
    multiply = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(device(0).product)
    assert multiply(None, (ctypes.c_longlong * len(words))(*words)) == 0
    expected = (a.astype(float) @ b.astype(float)).astype(names[result])
    assert np.allclose(out, expected, rtol=1e-6)
