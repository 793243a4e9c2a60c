"""Threads that work together: shuffles, votes, barriers, shared memory and atomic operations."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve

from flowc.compiler.backends.cuda.emulation import emulate
from tests.compiler.cuda.launching import Kernel, Launch, Reported, run, text_of

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
Array = npt.NDArray[Any]
LANES = np.arange(32)
ORDERS = ("forward", "reverse", "shuffled")


def shuffled(kind: str, by: int, width: int, type_: str = "f32") -> Kernel:
    return Kernel(
        {"x": f"memref<64x{type_}>", "out": f"memref<64x{type_}>"},
        f"""
        %t = gpu.thread_id x
        %by = arith.constant {by} : i32
        %v = memref.load %x[%t] : memref<64x{type_}>
        %r = device.shuffle "{kind}" %v, %by width {width} : {type_}
        memref.store %r, %out[%t] : memref<64x{type_}>
        """,
    )


def sources(kind: str, by: int, width: int) -> Array:
    """The lane from which each lane takes its value, as the CUDA C++ Programming Guide has it."""
    base, place = LANES // width * width, LANES % width
    moved = {"xor": place ^ by, "down": place + by, "up": place - by, "idx": np.full(32, by % width)}[kind]
    return base + np.where((moved >= 0) & (moved < width), moved, place)


CASES = [
    (kind, by, width)
    for kind in ("xor", "down", "up", "idx")
    for by, width in ((1, 32), (5, 32), (16, 32), (3, 8), (9, 8), (1, 1))
]


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles_take_the_value_of_another_lane(order: str) -> None:
    x, outs = np.arange(64, dtype=np.float32) + 0.5, [np.zeros(64, np.float32) for _ in CASES]
    kernels = [evolve(shuffled(*case), name=f"k{place}") for place, case in enumerate(CASES)]
    launches = [Launch((x, out), place, block=(64, 1, 1)) for place, out in enumerate(outs)]
    run(text_of(*kernels), *launches, order=order, seed=1)
    for case, out in zip(CASES, outs, strict=True):
        taken = sources(*case)
        assert np.array_equal(out, x[np.concatenate([taken, 32 + taken])]), case


def test_every_type_is_shuffled() -> None:
    dtypes = ("int8", "int16", "int32", "int64", "float16", "float64", "bool")
    kernels, launches = [], []
    for place, dtype in enumerate(dtypes):
        ir = {"bool": "i1", "float16": "f16", "float64": "f64"}.get(dtype, dtype.replace("int", "i"))
        x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, 64).astype(dtype)
        kernels.append(evolve(shuffled("down", 1, 32, ir), name=f"k_{dtype}"))
        launches.append(Launch((x, np.zeros_like(x)), place, block=(64, 1, 1)))
    run(text_of(*kernels), *launches)
    taken = sources("down", 1, 32)
    for launch in launches:
        x, out = launch.parameters
        assert np.array_equal(out, x[np.concatenate([taken, 32 + taken])]), x.dtype


def test_a_ballot_has_a_bit_for_each_lane() -> None:
    kernel = Kernel(
        {"x": "memref<64xi1>", "out": "memref<64xi32>"},
        """
        %t = gpu.thread_id x
        %v = memref.load %x[%t] : memref<64xi1>
        %r = device.ballot %v
        memref.store %r, %out[%t] : memref<64xi32>
        """,
    )
    x, out = np.random.default_rng(1).random(64) < 0.5, np.zeros(64, np.int32)
    run(text_of(kernel), Launch((x, out), block=(64, 1, 1)))
    for warp in range(2):
        bits = int(np.sum(x[32 * warp : 32 * warp + 32].astype(np.int64) << LANES))
        assert set(out[32 * warp : 32 * warp + 32].view(np.uint32)) == {bits}


def reversal(wait: str) -> Kernel:
    """Each thread writes its own place of shared memory and reads that of the opposite one."""
    return Kernel(
        {"x": "memref<256xf32>", "out": "memref<256xf32>"},
        f"""
        %t = gpu.thread_id x
        %last = arith.constant 255 : index
        %s = device.shared : memref<256xf32, 3>
        %v = memref.load %x[%t] : memref<256xf32>
        memref.store %v, %s[%t] : memref<256xf32, 3>
        {wait}
        %other = arith.subi %last, %t : index
        %r = memref.load %s[%other] : memref<256xf32, 3>
        memref.store %r, %out[%t] : memref<256xf32>
        """,
    )


def reversed_by(wait: str, order: str = "forward", seed: int = 0) -> tuple[Array, Array]:
    x, out = np.arange(256, dtype=np.float32), np.zeros(256, np.float32)
    run(text_of(reversal(wait)), Launch((x, out), block=(256, 1, 1)), order=order, seed=seed)
    return x, out


@pytest.mark.parametrize("order", ORDERS)
def test_a_barrier_orders_shared_memory(order: str) -> None:
    x, out = reversed_by("gpu.barrier", order, 7)
    assert np.array_equal(out, x[::-1])


@pytest.mark.alike(2)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wait", ["", "device.sync_warp", "device.fence"])
def test_without_a_barrier_there_is_a_race(wait: str, order: str) -> None:
    with pytest.raises(Reported, match=r"kernel k, block \(0, 0, 0\), thread .* race on shared memory `s`"):
        reversed_by(wait, order, 3)


def within_warps(wait: str) -> Kernel:
    """Neighbours of a warp hand values over through shared memory."""
    return Kernel(
        {"x": "memref<64xf32>", "out": "memref<64xf32>"},
        f"""
        %t = gpu.thread_id x
        %one = arith.constant 1 : index
        %s = device.shared : memref<64xf32, 3>
        %v = memref.load %x[%t] : memref<64xf32>
        memref.store %v, %s[%t] : memref<64xf32, 3>
        {wait}
        %other = arith.xori %t, %one : index
        %r = memref.load %s[%other] : memref<64xf32, 3>
        memref.store %r, %out[%t] : memref<64xf32>
        """,
    )


def test_the_sync_of_a_warp_orders_its_lanes() -> None:
    x, out = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    run(text_of(within_warps("device.sync_warp")), Launch((x, out), block=(64, 1, 1)), order="shuffled")
    assert np.array_equal(out, x.reshape(-1, 2)[:, ::-1].ravel())


def test_lanes_are_not_ordered_by_themselves_nor_by_a_shuffle() -> None:
    shuffle = '%by = arith.constant 1 : i32\n%u = device.shuffle "xor" %v, %by width 32 : f32'
    for wait in ("", shuffle):
        x, out = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
        with pytest.raises(Reported, match="race on shared memory"):
            run(text_of(within_warps(wait)), Launch((x, out), block=(64, 1, 1)))


def broadcast(wait: str) -> Kernel:
    """Twice, the first thread writes what all read."""
    return Kernel(
        {"out": "memref<64xf32>"},
        f"""
        %t = gpu.thread_id x
        %zero = arith.constant 0 : index
        %one = arith.constant 1 : index
        %two = arith.constant 2 : index
        %v = arith.constant 1.0 : f32
        %s = device.shared : memref<1xf32, 3>
        scf.for %i = %zero to %two step %one {{
          %first = arith.cmpi eq, %t, %zero : index
          scf.if %first {{
            memref.store %v, %s[%zero] : memref<1xf32, 3>
          }}
          gpu.barrier
          %r = memref.load %s[%zero] : memref<1xf32, 3>
          memref.store %r, %out[%t] : memref<64xf32>
          {wait}
        }}
        """,
    )


@pytest.mark.parametrize("order", ORDERS)
def test_writing_what_others_still_read_is_a_race(order: str) -> None:
    out = np.zeros(64, np.float32)
    run(text_of(broadcast("gpu.barrier")), Launch((out,), block=(64, 1, 1)), order=order)
    assert np.array_equal(out, np.ones(64))
    with pytest.raises(Reported, match=r"this thread (writes what .* read|reads what .* wrote)"):
        run(text_of(broadcast("")), Launch((out,), block=(64, 1, 1)), order=order)


@pytest.mark.parametrize("order", ORDERS)
def test_a_barrier_that_not_all_reach_is_reported(order: str) -> None:
    kernel = Kernel(
        {"n": "index"},
        """
        %t = gpu.thread_id x
        %some = arith.cmpi slt, %t, %n : index
        scf.if %some {
          gpu.barrier
        }
        """,
    )
    text = text_of(kernel)
    run(text, Launch((np.int64(64),), block=(64, 1, 1)), order=order)
    run(text, Launch((np.int64(0),), block=(64, 1, 1)), order=order)
    with pytest.raises(Reported, match=r"__syncthreads, to which not all come: thread .* has ended"):
        run(text, Launch((np.int64(40),), block=(64, 1, 1)), order=order)


def test_lanes_that_part_are_reported() -> None:
    kernel = Kernel(
        {"n": "index"},
        """
        %t = gpu.thread_id x
        %some = arith.cmpi slt, %t, %n : index
        scf.if %some {
          %b = device.ballot %some
        } else {
          device.sync_warp
        }
        """,
    )
    text = text_of(kernel)
    run(text, Launch((np.int64(32),), block=(64, 1, 1)))
    with pytest.raises(Reported, match="is in __syncwarp while another lane of its warp is in __ballot_sync"):
        run(text, Launch((np.int64(16),), block=(64, 1, 1)))


def test_half_a_warp_cannot_shuffle() -> None:
    x = np.zeros(64, np.float32)
    text = text_of(shuffled("xor", 1, 32))
    with pytest.raises(Reported, match="takes all 32 lanes of a warp, and this one has 16"):
        run(text, Launch((x, x.copy()), block=(48, 1, 1)))


def test_dynamic_shared_memory_has_the_size_of_the_launch() -> None:
    kernel = Kernel(
        {"x": "memref<64xi32>", "out": "memref<64xi32>", "n": "index"},
        """
        %t = gpu.thread_id x
        %zero = arith.constant 0 : index
        %behind = arith.constant 16 : index
        %s = device.shared_at %behind[%n] : memref<?xi32, 3>
        %v = memref.load %x[%t] : memref<64xi32>
        memref.store %v, %s[%t] : memref<?xi32, 3>
        gpu.barrier
        %one = arith.constant 1 : index
        %other = arith.xori %t, %one : index
        %r = memref.load %s[%other] : memref<?xi32, 3>
        memref.store %r, %out[%t] : memref<64xi32>
        """,
    )
    x, out = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    text = text_of(kernel)
    run(text, Launch((x, out, np.int64(64)), block=(64, 1, 1), shared=16 + 256))
    assert np.array_equal(out, x ^ 1)
    with pytest.raises(Reported, match="dynamic shared memory, of which the launch asked for 268"):
        run(text, Launch((x, out, np.int64(64)), block=(64, 1, 1), shared=16 + 252))
    with pytest.raises(Reported, match="outside of shared memory"):
        run(text, Launch((x, out, np.int64(60)), block=(64, 1, 1), shared=16 + 256))


def test_what_nobody_wrote_is_not_a_number() -> None:
    kernel = Kernel(
        {"out": "memref<2xf32>"},
        """
        %t = gpu.thread_id x
        %s = device.shared : memref<2xf32, 3>
        %r = memref.load %s[%t] : memref<2xf32, 3>
        memref.store %r, %out[%t] : memref<2xf32>
        """,
    )
    out = np.zeros(2, np.float32)
    run(text_of(kernel), Launch((out,), block=(2, 1, 1)))
    assert np.isnan(out).all()
