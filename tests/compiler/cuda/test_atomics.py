"""Atomic operations on global and shared memory."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowc.compiler.backends.cuda import text_memory
from flowc.compiler.backends.cuda.emulation import emulate
from tests.compiler.cuda.launching import Kernel, Launch, Reported, run, text_of

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
Array = npt.NDArray[Any]
BINS = 7

INTEGERS = {
    "ADDI": np.add, "MULI": np.multiply, "MAXS": np.maximum, "MINS": np.minimum, "ORI": np.bitwise_or,
    "ANDI": np.bitwise_and, "XORI": np.bitwise_xor,
}  # fmt: skip
UNSIGNED = {"MAXU": np.maximum, "MINU": np.minimum}
FLOATS = {"ADDF": np.add, "MULF": np.multiply, "MAXIMUMF": np.maximum, "MINIMUMF": np.minimum}


def combined(kind: str, type_: str) -> Kernel:
    """Combines the values of threads in the bins that they name."""
    number = getattr(text_memory, kind)
    memory = f"memref<{BINS}x{type_}>"
    return Kernel(
        {"x": f"memref<128x{type_}>", "bins": "memref<128xi64>", "out": memory},
        f"""
        %t = gpu.thread_id x
        %v = memref.load %x[%t] : memref<128x{type_}>
        %b = memref.load %bins[%t] : memref<128xi64>
        %i = arith.index_cast %b : i64 to index
        %o = "memref.atomic_rmw"(%v, %out, %i) <{{kind = {number} : i64}}>
          : ({type_}, {memory}, index) -> {type_}
        """,
        f"{kind.lower()}_{type_}",
    )


def check(cases: list[tuple[str, str, Any, Any]]) -> None:
    random = np.random.default_rng(0)
    kernels, launches, wanted = [], [], []
    for kind, dtype, ufunc, start in cases:
        type_ = dtype.replace("uint", "i").replace("int", "i").replace("float", "f")
        choice: Any = range(-3, 4) if "int" in dtype else (0.5, 1.0, 2.0)
        x: Array = random.choice(choice, 128).astype(dtype)
        bins, out = random.integers(0, BINS, 128), np.full(BINS, start, dtype)
        expected = out.copy()
        with np.errstate(all="ignore"):
            ufunc.at(expected, bins, x)
        kernels.append(combined(kind, type_))
        launches.append(Launch((x, bins, out), len(launches), block=(128, 1, 1)))
        wanted.append((out, expected))
    run(text_of(*kernels), *launches, order="shuffled")
    for (out, expected), kernel in zip(wanted, kernels, strict=True):
        assert np.array_equal(out, expected), kernel.name


def test_integers_are_combined_in_one_step() -> None:
    signed = [(kind, dtype, ufunc, 5) for kind, ufunc in INTEGERS.items() for dtype in ("int32", "int64")]
    unsigned = [(kind, dtype, ufunc, 5) for kind, ufunc in UNSIGNED.items() for dtype in ("uint32", "uint64")]
    check(signed + unsigned)


def test_floats_are_combined_in_one_step() -> None:
    check([(kind, dtype, ufunc, 1.0) for kind, ufunc in FLOATS.items() for dtype in ("float32", "float64")])


def test_extremes_keep_nan() -> None:
    x, bins, out = np.full(128, np.nan, np.float32), np.zeros(128, np.int64), np.zeros(BINS, np.float32)
    x[::2] = 3.0
    run(text_of(combined("MAXIMUMF", "f32")), Launch((x, bins, out), block=(128, 1, 1)))
    assert np.isnan(out[0])
    assert not out[1:].any()


def test_what_stood_there_before_is_given() -> None:
    """Tickets: each thread gets another number."""
    kernel = Kernel(
        {"next": "memref<1xi32>", "out": "memref<64xi32>"},
        """
        %t = gpu.thread_id x
        %zero = arith.constant 0 : index
        %one = arith.constant 1 : i32
        %old = "memref.atomic_rmw"(%one, %next, %zero) <{kind = 1 : i64}> : (i32, memref<1xi32>, index) -> i32
        memref.store %old, %out[%t] : memref<64xi32>
        """,
    )
    next_, out = np.zeros(1, np.int32), np.zeros(64, np.int32)
    run(text_of(kernel), Launch((next_, out), block=(64, 1, 1)), order="reverse")
    assert np.array_equal(out, np.arange(64)[::-1])
    assert next_[0] == 64


@pytest.mark.parametrize("type_", ["i32", "i64"])
def test_a_place_is_exchanged_where_it_is_as_expected(type_: str) -> None:
    kernel = Kernel(
        {"x": f"memref<8x{type_}>", "out": f"memref<8x{type_}>"},
        f"""
        %t = gpu.thread_id x
        %empty = arith.constant -1 : {type_}
        %new = arith.constant 7 : {type_}
        %old = device.compare_exchange %x[%t], %empty, %new : memref<8x{type_}>, {type_}, {type_} -> {type_}
        memref.store %old, %out[%t] : memref<8x{type_}>
        """,
    )
    dtype = type_.replace("i", "int")
    x = np.array([-1, 0, 1, -1, 5, 7, -1, -2], dtype)
    given, out = x.copy(), np.zeros(8, dtype)
    run(text_of(kernel), Launch((x, out), block=(8, 1, 1)))
    assert np.array_equal(out, given)
    assert np.array_equal(x, np.where(given == -1, 7, given))


def shared(mixed: str) -> Kernel:
    return Kernel(
        {"out": "memref<1xi32>"},
        f"""
        %t = gpu.thread_id x
        %zero = arith.constant 0 : index
        %none = arith.constant 0 : i32
        %one = arith.constant 1 : i32
        %s = device.shared : memref<1xi32, 3>
        %first = arith.cmpi eq, %t, %zero : index
        scf.if %first {{
          memref.store %none, %s[%zero] : memref<1xi32, 3>
        }}
        gpu.barrier
        %o = "memref.atomic_rmw"(%one, %s, %zero) <{{kind = 1 : i64}}> : (i32, memref<1xi32, 3>, index) -> i32
        {mixed}
        gpu.barrier
        %sum = memref.load %s[%zero] : memref<1xi32, 3>
        scf.if %first {{
          memref.store %sum, %out[%zero] : memref<1xi32>
        }}
        """,
    )


def test_atomic_operations_on_shared_memory_are_no_race_among_themselves() -> None:
    out = np.zeros(1, np.int32)
    run(text_of(shared("")), Launch((out,), block=(96, 1, 1)))
    assert out[0] == 96


def test_reading_beside_atomic_operations_is_a_race() -> None:
    reading = (
        "%seen = memref.load %s[%zero] : memref<1xi32, 3>\nmemref.store %seen, %out[%zero] : memref<1xi32>"
    )
    with pytest.raises(Reported, match=r"changes in one step what .* read|reads what .* changed in one step"):
        run(text_of(shared(reading)), Launch((np.zeros(1, np.int32),), block=(96, 1, 1)))


def test_small_types_have_no_atomic_operations() -> None:
    with pytest.raises(ValueError, match="no CUDA form for atomic operation 1 on i8"):
        text_of(combined("ADDI", "i8"))
