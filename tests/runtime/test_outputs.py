"""Where results go: buffers of the caller, recycled memory, and what happens when there is none."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.runtime import buffers
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernels import as_module, make_kernel

MATRIX = array_type("f32", ("n", "m"))


def compiled(arguments: dict[str, Any], body: Any, name: str) -> Kernel:
    code = compile_kernels(as_module(make_kernel(arguments, body, name)), Options(cached=False))
    return load(code.object_code, code.signatures)[name]


def turned(add: Any, x: SSAValue) -> SSAValue:
    doubled = add(build.elementwise("add", [x, x]))
    return add(build.elementwise("sub", [doubled, add(build.reduce("sum", x, [0], keepdims=True))]))


def both(add: Any, x: SSAValue) -> list[SSAValue]:
    return [add(build.elementwise("add", [x, x])), add(build.elementwise("mul", [x, x]))]


@pytest.fixture(scope="module")
def centred() -> Kernel:
    return compiled({"x": MATRIX}, turned, "centred")


@pytest.fixture(scope="module")
def pair() -> Kernel:
    return compiled({"x": MATRIX}, both, "pair")


def expected(x: Any) -> Any:
    return x + x - x.sum(axis=0, keepdims=True)


def matrix(rows: int = 4, columns: int = 5) -> Any:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def code_of(work: Any) -> str:
    with pytest.raises(FlowError) as caught:
        work()
    assert caught.value.problem.help
    return caught.value.problem.code


def test_a_result_is_written_to_the_buffer_given_and_that_is_returned(centred: Kernel) -> None:
    x, out = matrix(), np.empty((4, 5), np.float32)
    assert centred(x, out=out) is out
    np.testing.assert_array_equal(out, expected(x))


def test_several_results_take_a_tuple_of_buffers(pair: Kernel) -> None:
    x, first, second = matrix(), np.empty((4, 5), np.float32), np.empty((4, 5), np.float32)
    pair(x, out=(first, second))
    np.testing.assert_array_equal(first, x + x)
    np.testing.assert_array_equal(second, x * x)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.booleans(), st.booleans())
def test_a_buffer_may_overlap_the_argument_or_have_gaps(
    centred: Kernel, shift: int, other: int, transposed: bool, reverse: bool
) -> None:
    memory = np.arange(100, dtype=np.float32)
    x = memory[shift : shift + 20].reshape(4, 5)
    if transposed:
        target = memory[other : other + 20].reshape(5, 4).T
    else:
        target = memory[other : other + 60].reshape(4, 15)[:, ::3]
    target = target[::-1] if reverse else target
    wanted = expected(x.copy())
    centred(x, out=target)
    np.testing.assert_array_equal(target, wanted)


def test_a_buffer_that_is_the_argument_itself_gets_the_right_result(centred: Kernel) -> None:
    x = matrix()
    wanted = expected(x)
    centred(x, out=x)
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize(
    ("out", "code"),
    [
        (np.empty((4, 4), np.float32), "E0760"),
        (np.empty((4, 5), np.float64), "E0760"),
        (np.empty((4, 5), ">f4"), "E0760"),
        ([[0.0] * 5] * 4, "E0760"),
        (np.ma.masked_array(np.empty((4, 5), np.float32), mask=True), "E0760"),
        ((np.empty((4, 5), np.float32),) * 2, "E0760"),
        (np.broadcast_to(np.float32(0), (4, 5)), "E0761"),
    ],
)
def test_a_buffer_that_cannot_hold_the_result_is_refused(centred: Kernel, out: Any, code: str) -> None:
    assert code_of(lambda: centred(matrix(), out=out)) == code


def test_two_buffers_may_not_share_memory(pair: Kernel) -> None:
    out = np.empty((4, 5), np.float32)
    assert code_of(lambda: pair(matrix(), out=(out, out))) == "E0762"


def test_arguments_at_odd_addresses_and_in_other_byte_orders_are_read_right(centred: Kernel) -> None:
    x = matrix()
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(4, 5)
    assert not odd.flags.aligned
    out = np.empty((4, 5), np.float32)
    for given_ in (odd, x.astype(">f4"), x.astype("<f4")):
        np.testing.assert_array_equal(centred(given_), expected(x))
        np.testing.assert_array_equal(centred(given_, out=out), expected(x))
    aligned = matrix()
    np.testing.assert_array_equal(centred(aligned), expected(x))  # the same shape and strides as `odd`


def test_memory_of_a_result_is_used_again_only_when_no_view_is_left() -> None:
    store = buffers.Store()
    first = buffers.empty((1024, 1024), np.dtype("f4"), store)
    address, view = first.ctypes.data, first[3:, ::7]
    held = memoryview(view)
    del first, view
    gc.collect()
    assert store.unused == 0
    assert buffers.empty((1024, 1024), np.dtype("f4"), store).ctypes.data != address
    store.clear()
    del held
    assert store.unused == 4 << 20
    assert buffers.empty((1024, 1024), np.dtype("f4"), store).ctypes.data == address


def test_the_store_keeps_no_more_than_its_limit() -> None:
    store = buffers.Store(limit=9 << 20)
    results = [buffers.empty((1 << 20,), np.dtype("f4"), store) for _ in range(5)]
    results.clear()
    assert 0 < store.unused <= 9 << 20
    store.clear()
    assert store.unused == 0


def test_a_result_without_a_buffer_is_made(pair: Kernel) -> None:
    x, second = matrix(), np.empty((4, 5), np.float32)
    first, given = pair(x, out=(None, second))
    assert given is second
    np.testing.assert_array_equal(first, x + x)
    np.testing.assert_array_equal(second, x * x)


@pytest.mark.parametrize("text", ["abc", "-1", "1e9", "1 GB", "\u00b2"])
def test_a_bound_that_is_no_number_of_bytes_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_POOL_BYTES", text)
    store = buffers.Store()
    assert code_of(lambda: buffers.empty((1 << 20,), np.dtype("f4"), store)) == "E0791"
    assert buffers.empty((3,), np.dtype("f4"), store).shape == (3,)


@pytest.mark.parametrize(("text", "bound"), [("", buffers.BYTES), ("0", 0), (" 4096 ", 4096)])
def test_the_environment_bounds_the_store(text: str, bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_POOL_BYTES", text)
    assert buffers.Store().most_unused() == bound
    assert buffers.Store(limit=7).most_unused() == 7


def test_a_store_without_room_is_numpys_own_memory() -> None:
    assert buffers.empty((1 << 20,), np.dtype("f4"), buffers.Store(limit=0)).base is None


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?", ml_dtypes.bfloat16])
def test_large_results_have_every_dtype_and_are_writeable(dtype: Any) -> None:
    made = buffers.empty((3, 1 << 20), np.dtype(dtype))
    made[...] = 1
    assert (made.dtype, made.shape, made.flags.c_contiguous) == (np.dtype(dtype), (3, 1 << 20), True)
    assert made.ctypes.data % buffers.HUGE_PAGE == 0


def test_more_memory_than_there_is_is_a_coded_failure_and_nothing_leaks(tmp_path: Path) -> None:
    program = """
import resource
import numpy as np
import flowc

@flowc.jit
def outer(x, y):
    return x[:, None] * y[None, :]

x = np.ones(30_000, np.float32)
outer(x[:10], x[:10])
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for _ in range(3):
    try:
        outer(x, x)
    except flowc.FlowError as error:
        print(error.problem.code)
print(int(outer(x[:3000], x[:3000]).sum()))
"""
    path = tmp_path / "program.py"  # a file, since decorated functions need source
    path.write_text(program)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["E0750", "E0750", "E0750", "9000000"], done.stderr


def test_more_elements_than_32_bits_count_are_all_there() -> None:
    kernel = compiled(
        {"x": array_type("i8", ("n",))},
        lambda add, x: add(build.reduce("max", x, [0])),
        "largest",
    )
    view = np.lib.stride_tricks.as_strided(np.array([3], np.int8), ((1 << 31) + 5,), (0,))
    assert kernel(view) == 3
