"""Tensor cores: fragments as the PTX ISA lays them out, how they are loaded, and copies on their way."""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from flowc.compiler.backends.cuda.emulation import emulate
from tests.compiler.cuda.launching import Kernel, Launch, Reported, run, text_of

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
Array = npt.NDArray[Any]
LANES = np.arange(32)
GROUP, MEMBER = LANES // 4, LANES % 4
DTYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "i8": np.int8, "u8": np.uint8}


def product(dtype: str) -> Kernel:
    """One product of fragments, four words of a, two of b and four sums a lane."""
    sums = "f32" if dtype.endswith("f16") else "i32"
    return Kernel(
        {"a": "memref<32x4xi32>", "b": "memref<32x2xi32>", "c": f"memref<32x4x{sums}>"},
        f"""
        %t = gpu.thread_id x
        %z = arith.constant 0 : index
        %av = vector.load %a[%t, %z] : memref<32x4xi32>, vector<4xi32>
        %bv = vector.load %b[%t, %z] : memref<32x2xi32>, vector<2xi32>
        %cv = vector.load %c[%t, %z] : memref<32x4x{sums}>, vector<4x{sums}>
        %r = device.matrix_multiply "{dtype}" %av, %bv, %cv : vector<4xi32>, vector<2xi32>, vector<4x{sums}>
          -> vector<4x{sums}>
        vector.store %r, %c[%t, %z] : memref<32x4x{sums}>, vector<4x{sums}>
        """,
        f"product_{dtype}",
    )


def words(elements: Array) -> Array:
    """Neighbouring elements along the last axis as words of 4 bytes."""
    return np.ascontiguousarray(elements).view(np.int32)[..., 0]


def fragments(a: Array, b: Array) -> tuple[Array, Array]:
    """What each lane holds of a [16, k] and b [k, 8]: "Matrix Fragments for mma.m16n8k16" of the PTX ISA."""
    each = 4 // a.itemsize
    along = each * MEMBER[:, None] + np.arange(each)
    rows = [(GROUP, along), (GROUP + 8, along), (GROUP, along + 4 * each), (GROUP + 8, along + 4 * each)]
    left = np.stack([words(a[row[:, None], column]) for row, column in rows], axis=1)
    right = np.stack([words(b[k, GROUP[:, None]]) for k in (along, along + 4 * each)], axis=1)
    return left, right


def sums_of(c: Array) -> Array:
    """What each lane holds of c [16, 8]."""
    places = [
        (GROUP, 2 * MEMBER),
        (GROUP, 2 * MEMBER + 1),
        (GROUP + 8, 2 * MEMBER),
        (GROUP + 8, 2 * MEMBER + 1),
    ]
    return np.stack([c[place] for place in places], axis=1)


def test_products_of_fragments_are_products_of_matrices() -> None:
    random = np.random.default_rng(0)
    kernels, launches, wanted = [], [], []
    for place, (dtype, type_) in enumerate(DTYPES.items()):
        floats = dtype.endswith("f16")
        depth, wide = (16, np.float64) if floats else (32, np.int64)
        given: Any = random.standard_normal if floats else lambda shape: random.integers(-128, 256, shape)
        a, b = given((16, depth)).astype(type_), given((depth, 8)).astype(type_)
        c = given((16, 8)).astype(np.float32 if floats else np.int32)
        wanted.append(sums_of((a.astype(wide) @ b.astype(wide) + c).astype(c.dtype)))
        kernels.append(product(dtype))
        launches.append(Launch((*fragments(a, b), sums_of(c)), place))
    run(text_of(*kernels), *launches)
    for launch, expected, dtype in zip(launches, wanted, DTYPES, strict=True):
        assert np.allclose(launch.parameters[2], expected, rtol=1e-6, atol=0), dtype


def test_sums_of_bytes_wrap_around() -> None:
    a, b = np.full((16, 32), -128, np.int8), np.full((32, 8), -128, np.int8)
    c = np.full((16, 8), 2**31 - 1, np.int32)
    launch = Launch((*fragments(a, b), sums_of(c)))
    run(text_of(product("i8")), launch)
    assert (launch.parameters[2] == np.int64(2**31 - 1 + 32 * 128 * 128 - 2**32)).all()


def loading(count: int, turned: str) -> Kernel:
    """Matrices of a tile whose rows have 24 elements; lane l gives the row l of those that are loaded."""
    return Kernel(
        {"x": "memref<32x24xf16>", "out": f"memref<32x{count}xi32>"},
        f"""
        %t = gpu.thread_id x
        %z = arith.constant 0 : index
        %one = arith.constant 1 : index
        %columns = arith.constant 24 : index
        %eight = arith.constant 8 : index
        %s = device.shared : memref<32x24xf16, 3>
        scf.for %j = %z to %columns step %one {{
          %v = memref.load %x[%t, %j] : memref<32x24xf16>
          memref.store %v, %s[%t, %j] : memref<32x24xf16, 3>
        }}
        gpu.barrier
        %r = device.load_matrix %s[%t, %eight] {turned} : memref<32x24xf16, 3> -> vector<{count}xi32>
        vector.store %r, %out[%t, %z] : memref<32x{count}xi32>, vector<{count}xi32>
        """,
    )


@pytest.mark.parametrize("turned", ["", "transpose"])
@pytest.mark.parametrize("count", [2, 4])
def test_matrices_are_loaded_as_fragments(count: int, turned: str) -> None:
    x = np.arange(32 * 24).reshape(32, 24).astype(np.float16)
    out = np.zeros((32, count), np.int32)
    run(text_of(loading(count, turned)), Launch((x, out)))
    for place in range(count):
        matrix = x[8 * place : 8 * place + 8, 8:16]
        matrix = matrix.T if turned else matrix
        assert np.array_equal(
            out[:, place], words(matrix[GROUP[:, None], 2 * MEMBER[:, None] + np.arange(2)])
        )


def copying(wait: str) -> Kernel:
    """Each thread copies 16 bytes, some of them zeros instead, and reads those of its neighbour."""
    return Kernel(
        {"x": "memref<?xf32>", "out": "memref<256xf32>", "n": "index"},
        f"""
        %t = gpu.thread_id x
        %z = arith.constant 0 : index
        %one = arith.constant 1 : index
        %four = arith.constant 4 : index
        %place = arith.muli %t, %four : index
        %some = arith.cmpi slt, %place, %n : index
        %s = device.shared : memref<256xf32, 3>
        device.copy_async %x[%place] to %s[%place] if %some : memref<?xf32> to memref<256xf32, 3>
        {wait}
        %other = arith.xori %t, %one : index
        %from = arith.muli %other, %four : index
        %v = vector.load %s[%from] : memref<256xf32, 3>, vector<4xf32>
        vector.store %v, %out[%place] : memref<256xf32>, vector<4xf32>
        """,
    )


DONE = "device.commit_copies\ndevice.wait_copies 0\n"


def test_copies_are_there_behind_a_wait_and_a_barrier() -> None:
    x, out = np.arange(200, dtype=np.float32), np.zeros(256, np.float32)
    run(
        text_of(copying(DONE + "gpu.barrier")),
        Launch((x, np.int64(200), out, np.int64(200)), block=(64, 1, 1)),
    )
    whole = np.zeros(256, np.float32)
    whole[:200] = x
    assert np.array_equal(out, whole.reshape(-1, 2, 4)[:, ::-1].ravel())


def test_copies_that_nobody_waits_for_are_not_there() -> None:
    x, out = np.arange(256, dtype=np.float32), np.zeros(256, np.float32)
    for wait in ("device.commit_copies\ngpu.barrier", "device.wait_copies 0\ngpu.barrier"):
        run(text_of(copying(wait)), Launch((x, np.int64(256), out, np.int64(256)), block=(64, 1, 1)))
        assert np.isnan(out).all()


def test_copies_without_a_barrier_are_a_race() -> None:
    x, out = np.arange(256, dtype=np.float32), np.zeros(256, np.float32)
    with pytest.raises(Reported, match="race on shared memory `s`"):
        run(text_of(copying(DONE)), Launch((x, np.int64(256), out, np.int64(256)), block=(64, 1, 1)))


def test_the_latest_groups_may_stay_on_their_way() -> None:
    """Two groups, of which only the first is waited for."""
    kernel = Kernel(
        {"x": "memref<8xf32>", "out": "memref<8xf32>"},
        """
        %z = arith.constant 0 : index
        %four = arith.constant 4 : index
        %yes = arith.constant true
        %s = device.shared : memref<8xf32, 3>
        device.copy_async %x[%z] to %s[%z] if %yes : memref<8xf32> to memref<8xf32, 3>
        device.commit_copies
        device.copy_async %x[%four] to %s[%four] if %yes : memref<8xf32> to memref<8xf32, 3>
        device.commit_copies
        device.wait_copies 1
        %v = vector.load %s[%z] : memref<8xf32, 3>, vector<4xf32>
        vector.store %v, %out[%z] : memref<8xf32>, vector<4xf32>
        %w = vector.load %s[%four] : memref<8xf32, 3>, vector<4xf32>
        vector.store %w, %out[%four] : memref<8xf32>, vector<4xf32>
        """,
    )
    x, out = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    run(text_of(kernel), Launch((x, out), block=(1, 1, 1)))
    assert np.array_equal(out[:4], x[:4])
    assert np.isnan(out[4:]).all()


def test_halves_are_packed_into_words() -> None:
    kernels = [
        Kernel(
            {"x": "memref<64xf32>", "out": "memref<32xi32>"},
            f"""
            %t = gpu.thread_id x
            %shift = arith.constant 32 : index
            %other = arith.addi %t, %shift : index
            %low = memref.load %x[%t] : memref<64xf32>
            %high = memref.load %x[%other] : memref<64xf32>
            %w = device.pack_halves "{dtype}" %low, %high
            memref.store %w, %out[%t] : memref<32xi32>
            """,
            f"pack_{dtype}",
        )
        for dtype in ("f16", "bf16")
    ]
    x = np.random.default_rng(3).standard_normal(64).astype(np.float32)
    launches = [Launch((x, np.zeros(32, np.int32)), place) for place in range(2)]
    run(text_of(*kernels), *launches)
    for launch, dtype in zip(launches, ("f16", "bf16"), strict=True):
        assert np.array_equal(launch.parameters[1], words(x.astype(DTYPES[dtype]).reshape(2, 32).T))


def test_bytes_of_words_are_multiplied_and_added_up() -> None:
    kernels = [
        Kernel(
            {"x": "memref<32xi32>", "out": "memref<32xi32>"},
            f"""
            %t = gpu.thread_id x
            %last = arith.constant 31 : index
            %other = arith.subi %last, %t : index
            %a = memref.load %x[%t] : memref<32xi32>
            %b = memref.load %x[%other] : memref<32xi32>
            %d = device.dot_bytes "{dtype}" %a, %b, %a
            memref.store %d, %out[%t] : memref<32xi32>
            """,
            f"dot_{dtype}",
        )
        for dtype in ("i8", "u8")
    ]
    x = np.random.default_rng(4).integers(-(2**31), 2**31, 32).astype(np.int32)
    launches = [Launch((x, np.zeros(32, np.int32)), place) for place in range(2)]
    run(text_of(*kernels), *launches)
    for launch, kind in zip(launches, (np.int8, np.uint8), strict=True):
        one = x.view(kind).reshape(32, 4).astype(np.int64)
        assert np.array_equal(launch.parameters[1], ((one * one[::-1]).sum(1) + x).astype(np.int32))
