"""Kernels on the emulated device, in a child: what comes back, and what is said where they go wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.builtin import i64

from flowc.compiler.backends.cuda import Options, compile_lowered
from flowc.compiler.backends.cuda.emulated import Call, EmulationError, run
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.dialects.array.types import RefType, array_type
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.errors import FlowError
from flowc.testing.strategies.kernels import as_module, make_kernel
from tests.cuda.written import CONSTANTS, SCALE, by_hand, launch, lowering

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")


def one(body: str, *, block: str = "c32", before: str = "", element: str = "f32") -> DeviceCode:
    """`k(x) -> same`: one block of threads that runs this body, after host code."""
    memory = f"memref<?x{element}>"
    text = f"""func.func @k(%x: {memory}, %out: {memory}) -> i64 {{
      {CONSTANTS}
      %n = memref.dim %x, %c0 : {memory}
      {before}
      {launch(["c1"] * 3, [block, "c1", "c1"], body)}
      func.return %zero : i64 }}"""
    return by_hand(f"kernel k(x: {element}[n]) -> {element}[n]:\n    return x\n", text, ("contiguous",)).code


def scale() -> DeviceCode:
    head = "kernel scale(x: f32[n], f: f32) -> f32[n]:\n    return x * f\n"
    return by_hand(head, SCALE, ("contiguous", "contiguous")).code


COPY = """
  %v = memref.load %x[%tx] : memref<?xf32>
  memref.store %v, %out[%tx] : memref<?xf32>"""


def f32(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)


@pytest.mark.parametrize("sanitize", [True, False])
def test_each_call_gives_its_result(sanitize: bool) -> None:
    calls = [Call("scale", (f32(count), factor)) for count, factor in ((70, 2.5), (0, 1.0), (1, -1.0))]
    got = run(scale(), calls, sanitize=sanitize)
    for call, result in zip(calls, got, strict=True):
        np.testing.assert_array_equal(result, call.arguments[0] * np.float32(call.arguments[1]))


def test_an_argument_that_does_not_fit_is_its_error_and_the_others_run() -> None:
    calls: Sequence[Any] = [(f32(3), 1.0), (np.zeros((2, 2), np.float32), 1.0), (f32(3), "x"), (f32(2), 2.0)]
    first, second, third, fourth = run(scale(), [Call("scale", call) for call in calls])
    assert first.tolist() == [0, 1, 2]
    assert isinstance(second, FlowError)
    assert isinstance(third, FlowError)
    assert (second.problem.code, third.problem.code) == ("E0755", "E0755")
    assert fourth.tolist() == [0, 2]


STATUS = """
  %last = arith.subi %n, %c1 : index
  %first = memref.load %x[%c0] : memref<?xf32>
  %limit = arith.constant 5.0 : f32
  %fine = arith.cmpf olt, %first, %limit : f32
  loops.require %fine else 2
"""


def test_a_status_is_the_error_of_the_processor() -> None:
    code = one(COPY, before=STATUS)
    fine, wrong = run(code, [Call("k", (f32(32),)), Call("k", (f32(32) + 5,))])
    assert fine.tolist() == list(range(32))
    assert isinstance(wrong, FlowError)
    assert wrong.problem.code == "E0751"


IN_PLACE = f"""
func.func @k(%x: memref<?x?xi64, strided<[?, ?]>>, %more: i64) -> i64 {{
  {CONSTANTS}
  %n = memref.dim %x, %c0 : memref<?x?xi64, strided<[?, ?]>>
  %m = memref.dim %x, %c1 : memref<?x?xi64, strided<[?, ?]>>
  {
    launch(
        ["n", "c1", "c1"],
        ["m", "c1", "c1"],
        '''
      %v = memref.load %x[%bx, %tx] : memref<?x?xi64, strided<[?, ?]>>
      %w = arith.addi %v, %more : i64
      memref.store %w, %x[%bx, %tx] : memref<?x?xi64, strided<[?, ?]>>''',
    )
}
  func.return %zero : i64
}}
"""


@pytest.mark.parametrize("steps", [(1, 1), (2, -1), (-3, 2)])
def test_an_array_is_changed_in_place_however_it_lies(steps: tuple[int, int]) -> None:
    whole = np.arange(60).reshape(6, 10)
    x = whole[:: steps[0], :: steps[1]]
    wanted, others = x + 100, int(whole.sum()) - int(x.sum())
    assert run(in_place(), [Call("add", (x, 100))]) == [None]
    np.testing.assert_array_equal(x, wanted)
    assert whole.sum() - x.sum() == others


def in_place() -> DeviceCode:
    """`add(x, by)`, which changes x."""
    x = RefType(array_type("i64", ["n", "m"]))
    kernel = make_kernel({"x": x, "by": i64}, lambda add, *values: [], "add")
    options = Options(level=0, architectures=(), layouts=("any", "any"), cached=False)
    return compile_lowered(as_module(kernel), options, lowering(IN_PLACE)).code


def test_arrays_keep_their_alignment() -> None:
    """An array that begins at the second element of 16 bytes does so there too."""
    text = """
      %at = "memref.extract_aligned_pointer_as_index"(%x) : (memref<?xf32>) -> index
      %c16 = arith.constant 16 : index
      %low = arith.remui %at, %c16 : index
      %word = arith.index_cast %low : index to i32
      %v = arith.sitofp %word : i32 to f32
      memref.store %v, %out[%tx] : memref<?xf32>"""
    arrays = [f32(40)[offset : offset + 32] for offset in range(4)]
    got = run(one(text), [Call("k", (x,)) for x in arrays])
    assert [result[0] for result in got] == [x.ctypes.data % 16 for x in arrays]
    assert len({result[0] for result in got}) == 4


def test_halves_travel_as_their_bits() -> None:
    x = np.array([1.0, -0.5, np.inf, 3e38], ml_dtypes.bfloat16)
    body = """
      %v = memref.load %x[%tx] : memref<?xbf16>
      memref.store %v, %out[%tx] : memref<?xbf16>"""
    code = one(body, block="c4", before="%c4 = arith.constant 4 : index", element="bf16")
    (got,) = run(code, [Call("k", (x,))])
    assert got.dtype == x.dtype
    assert got.tolist() == x.tolist()


def test_what_no_thread_has_written_is_no_number() -> None:
    (got,) = run(one(""), [Call("k", (f32(3),))])
    assert np.isnan(got).all()


def test_an_access_outside_is_reported() -> None:
    code = one(COPY)
    run(code, [Call("k", (f32(32),))])
    with pytest.raises(EmulationError, match=r"call 1, of `k`\n(.|\n)*heap-buffer-overflow(.|\n)*k_0"):
        run(code, [Call("k", (f32(32),)), Call("k", (f32(31),))])


def test_threads_that_race_are_reported() -> None:
    body = """
      %shared = device.shared : memref<32xf32, 3>
      %v = memref.load %x[%tx] : memref<?xf32>
      memref.store %v, %shared[%tx] : memref<32xf32, 3>
      %after = arith.addi %tx, %c1 : index
      %other = arith.remui %after, %c32 : index
      %w = memref.load %shared[%other] : memref<32xf32, 3>
      memref.store %w, %out[%tx] : memref<?xf32>"""
    with pytest.raises(EmulationError, match=r"ended with \d+ in call 0, of `k`\n(.|\n)*k_0"):
        run(one(body), [Call("k", (f32(32),))])
    ordered = body.replace("%after", '"gpu.barrier"() : () -> ()\n%after', 1)
    (got,) = run(one(ordered), [Call("k", (f32(32),))])
    assert got.tolist() == [*range(1, 32), 0]


def test_a_kernel_that_does_not_end_is_stopped() -> None:
    body = """
      %on = arith.constant true
      scf.while () : () -> () {
        %v = memref.load %x[%c0] : memref<?xf32>
        %same = arith.cmpf oeq, %v, %v : f32
        scf.condition(%same)
      } do {
        %w = memref.load %x[%c0] : memref<?xf32>
        memref.store %w, %out[%c0] : memref<?xf32>
        scf.yield
      }"""
    with pytest.raises(EmulationError, match="took longer than 3 s in call 0, of `k`"):
        run(one(body, block="c1"), [Call("k", (f32(32),))], seconds=3)


def test_memory_is_bounded() -> None:
    many = """
      %more = arith.constant 1000000 : index
      %extent = arith.muli %n, %more : index
      %temporary = memref.alloc(%extent) : memref<?xf32>
      memref.dealloc %temporary : memref<?xf32>"""
    code = one(COPY, before=many)
    (refused,) = run(code, [Call("k", (f32(32),))], memory=100 << 20)
    assert isinstance(refused, FlowError)
    assert refused.problem.code == "E0750"
    (fine,) = run(code, [Call("k", (f32(32),))], memory=200 << 20)
    assert fine.tolist() == list(range(32))


@pytest.mark.parametrize(
    ("order", "wanted"), [("forward", [31.0]), ("reverse", [0.0])], ids=["forward", "reverse"]
)
def test_the_order_of_threads_can_be_chosen(order: str, wanted: list[float]) -> None:
    """All threads write one element, which no kernel should do: the last one stays."""
    body = """
      %v = memref.load %x[%tx] : memref<?xf32>
      memref.store %v, %out[%c0] : memref<?xf32>"""
    (got,) = run(one(body), [Call("k", (f32(32),))], order=order)
    assert got[:1].tolist() == wanted


PRODUCT = """
func.func @k(%x: memref<?x?x?xLEFT, strided<[?, ?, ?]>>, %y: memref<?x?x?xLEFT, strided<[?, ?, ?]>>,
             %out: memref<?x?x?xRESULT>) -> i64 {
  %zero = arith.constant 0 : i64
  device.product %x, %y into %out
    : memref<?x?x?xLEFT, strided<[?, ?, ?]>>, memref<?x?x?xLEFT, strided<[?, ?, ?]>> into memref<?x?x?xRESULT>
  func.return %zero : i64
}
"""


@pytest.mark.parametrize(
    ("dtype", "result"), [("f64", "f64"), ("f32", "f32"), ("f16", "f32"), ("bf16", "bf16"), ("i8", "i32")]
)
def test_products_are_those_of_numpy(dtype: str, result: str) -> None:
    """Small whole numbers, so that every sum is exact."""
    head = (
        f"kernel k(x: {dtype}[b, m, k], y: {dtype}[b, k, n]) -> {result}[b, m, n]:\n"
        f"    return {result}(x @ y)\n"
    )
    text = PRODUCT.replace("LEFT", dtype).replace("RESULT", result)
    code = by_hand(head, text, ("any", "any")).code
    rng = np.random.default_rng(1)
    x, y = rng.integers(-3, 4, (2, 3, 5)), rng.integers(-3, 4, (2, 7, 5)).transpose(0, 2, 1)
    shown = numpy_dtype(dtype)
    calls = [
        (x.astype(shown), y.astype(shown, order="K")),
        (x[:, :, :0].astype(shown), y[:, :0].astype(shown)),
    ]
    got = run(code, [Call("k", call) for call in calls])
    for (one, other), product in zip(calls, got, strict=True):
        assert product.dtype == numpy_dtype(result)
        wanted = one.astype(np.float64) @ other.astype(np.float64)
        np.testing.assert_array_equal(product.astype(np.float64), wanted)


def test_an_array_that_cannot_be_written_is_refused_as_on_the_processor() -> None:
    x = np.arange(6).reshape(2, 3)
    assert run(in_place(), [Call("add", (x, 1))]) == [None]
    x.flags.writeable = False
    (refused,) = run(in_place(), [Call("add", (x, 1))])
    assert isinstance(refused, FlowError)
    assert refused.problem.code == "E0761"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = scale()
    run(code, [Call("scale", (f32(3), 1.0))])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(code, [Call("scale", (f32(3), 1.0))])
    assert list(tmp_path.iterdir()) == []
