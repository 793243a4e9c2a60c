"""Host code of kernels: what it asks of the device, in which order, and how it ends when the device fails."""

import numpy as np
import pytest

from flowc.runtime.device.product import Matrices, Product
from flowc.runtime.errors import FlowError
from tests.cuda.recording import Launch, Recorder, host_code, run
from tests.cuda.written import CONSTANTS, SCALE, launch

SCALE_HEAD = "kernel scale(x: f32[n], f: f32) -> f32[n]:\n    return x * f\n"
DENSE = ("contiguous", "contiguous")


def head(parameters: str, result: str = "f32[n]", value: str = "x") -> str:
    return f"kernel k({parameters}) -> {result}:\n    return {value}\n"


def problem(error: pytest.ExceptionInfo[FlowError]) -> str:
    return error.value.problem.code


def test_a_launch_gets_sizes_and_parameters() -> None:
    made, x, out = (
        host_code(SCALE_HEAD, SCALE, DENSE),
        np.arange(70, dtype=np.float32),
        np.zeros(70, np.float32),
    )
    assert made.functions == ("scale_0_scaled",)
    recorder = Recorder(kinds=["qqqfqq"])
    assert run(made, recorder, (x, 1.5), (out,)) is out
    addresses = x.ctypes.data, out.ctypes.data
    parameters = (70, addresses[0], 70, 1.5, addresses[1], 70)
    assert recorder.launches == [Launch(0, (3, 1, 1), (32, 1, 1), 0, parameters)]


def test_a_launch_without_blocks_is_left_out() -> None:
    recorder = Recorder()
    result = run(host_code(SCALE_HEAD, SCALE, DENSE), recorder, (np.zeros(0, np.float32), 2.0))
    assert result.shape == (0,)
    assert recorder.launches == []


def test_a_launch_that_fails_ends_the_kernel() -> None:
    recorder = Recorder(fails={"launch": 0})
    with pytest.raises(FlowError) as error:
        run(host_code(SCALE_HEAD, SCALE, DENSE), recorder, (np.zeros(1, np.float32), 2.0))
    assert problem(error) == "E0785"


def test_more_blocks_than_a_device_has_stay_more() -> None:
    text = f"""func.func @k(%x: memref<?xf32>, %blocks: i64, %out: memref<?xf32>) -> i64 {{
      {CONSTANTS}
      %many = arith.index_cast %blocks : i64 to index
      {launch(["many", "c1", "c1"], ["c1"] * 3, "")}
      func.return %zero : i64 }}"""
    recorder = Recorder()
    x = np.zeros(1, np.float32)
    run(host_code(head("x: f32[n], blocks: i64"), text, DENSE), recorder, (x, (1 << 32) + 5))
    run(host_code(head("x: f32[n], blocks: i64"), text, DENSE), recorder, (x, -3))
    assert [each.grid for each in recorder.launches] == [((1 << 32) - 1, 1, 1)]


NUMBERS = f"""
func.func @k(%x: memref<?xi8>, %a: f64, %b: i16, %c: i1, %out: memref<?xi8>) -> i64 {{
  {CONSTANTS}
  %bytes = arith.constant 4096 : i32
  %n = memref.dim %x, %c0 : memref<?xi8>
  %i = arith.index_cast %n : index to i32
  %h = arith.truncf %a : f64 to f16
  %w = arith.truncf %a : f64 to bf16
  {
    launch(
        ["c1"] * 3,
        ["c32", "c1", "c1"],
        '''
    "test.op"(%a, %b, %c, %i, %h, %w) : (f64, i16, i1, i32, f16, bf16) -> ()''',
        shared="bytes",
    )
}
  func.return %zero : i64
}}
"""


def test_numbers_travel_as_they_are() -> None:
    made = host_code(head("x: i8[n], a: f64, b: i16, c: bool", "i8[n]"), NUMBERS, ("contiguous",) * 4)
    recorder = Recorder(kinds=["dhbiHH"])
    run(made, recorder, (np.zeros(3, np.int8), 1.5, -7, True))
    (seen,) = recorder.launches
    assert seen.shared == 4096
    half = int(np.array(1.5, np.float16).view(np.uint16))
    assert seen.parameters == (1.5, -7, 1, 3, half, 0x3FC0)


STRIDED = f"""
func.func @k(%x: memref<?x4xf32, strided<[?, 1]>>, %out: memref<?x4xf32>) -> i64 {{
  {CONSTANTS}
  {
    launch(
        ["c1"] * 3,
        ["c1"] * 3,
        '''
    %v = memref.load %x[%tx, %c0] : memref<?x4xf32, strided<[?, 1]>>
    memref.store %v, %out[%tx, %c0] : memref<?x4xf32>''',
    )
}
  func.return %zero : i64
}}
"""


def test_a_memref_travels_as_what_its_type_leaves_open() -> None:
    made = host_code(head("x: f32[n, 4]", "f32[n, 4]"), STRIDED, ("rows",))
    recorder, x, out = (
        Recorder(kinds=["qqqqq"]),
        np.zeros((6, 8), np.float32)[::2, 2:6],
        np.zeros((3, 4), np.float32),
    )
    run(made, recorder, (x,), (out,))
    assert recorder.launches[0].parameters == (x.ctypes.data, 3, 16, out.ctypes.data, 3)


TEMPORARIES = f"""
func.func @k(%x: memref<?xf32>, %out: memref<?xf32>) -> i64 {{
  {CONSTANTS}
  %n = memref.dim %x, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  {launch(["c1"] * 3, ["c1"] * 3, '"test.op"(%x, %a) : (memref<?xf32>, memref<?xf32>) -> ()')}
  %b = memref.alloc(%n) : memref<?x2xf64>
  {launch(["c1"] * 3, ["c1"] * 3, '"test.op"(%a, %b) : (memref<?xf32>, memref<?x2xf64>) -> ()')}
  memref.dealloc %a : memref<?xf32>
  {launch(["c1"] * 3, ["c1"] * 3, '"test.op"(%b, %out) : (memref<?x2xf64>, memref<?xf32>) -> ()')}
  memref.dealloc %b : memref<?x2xf64>
  func.return %zero : i64
}}
"""


def test_temporaries_are_asked_for_and_given_back_in_order() -> None:
    made, recorder = host_code(head("x: f32[n]"), TEMPORARIES, DENSE[:1]), Recorder()
    run(made, recorder, (np.zeros(5, np.float32),))
    launches = ["allocate", "launch", "allocate", "launch", "release", "launch", "release"]
    assert recorder.events == launches
    assert recorder.sizes == [20, 80]
    assert not recorder.live


def test_no_memory_is_asked_for_as_a_byte() -> None:
    recorder = Recorder()
    run(host_code(head("x: f32[n]"), TEMPORARIES, DENSE[:1]), recorder, (np.zeros(0, np.float32),))
    assert recorder.sizes == [1, 1]
    assert not recorder.live


@pytest.mark.parametrize("name", ["launch", "allocate"])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_whoever_leaves_early_gives_everything_back(name: str, call: int) -> None:
    recorder = Recorder(fails={name: call})
    arguments = (np.zeros(5, np.float32),)
    made = host_code(head("x: f32[n]"), TEMPORARIES, DENSE[:1])
    if name == "allocate" and call == 2:
        run(made, recorder, arguments)
    else:
        with pytest.raises(FlowError) as error:
            run(made, recorder, arguments)
        assert problem(error) == {"launch": "E0785", "allocate": "E0750"}[name]
        assert recorder.events.count(name) == call + 1
    assert not recorder.live


READING = f"""
func.func @k(%x: memref<?xi32>, %out: memref<?xi32>) -> i64 {{
  {CONSTANTS}
  %n = memref.dim %x, %c0 : memref<?xi32>
  %last = arith.subi %n, %c1 : index
  %a = memref.alloc() : memref<2xf32>
  %v = memref.load %x[%last] : memref<?xi32>
  %rounds = arith.index_cast %v : i32 to index
  scf.for %i = %c0 to %rounds step %c1 {{
    {launch(["c1"] * 3, ["c1"] * 3, '"test.op"(%i) : (index) -> ()')}
  }}
  memref.dealloc %a : memref<2xf32>
  %three = arith.constant 3 : i32
  %fine = arith.cmpi slt, %v, %three : i32
  loops.require %fine else 8
  func.return %zero : i64
}}
"""


def test_host_code_reads_and_loops() -> None:
    made, recorder = host_code(head("x: i32[n]", "i32[n]"), READING, DENSE[:1]), Recorder(kinds=["q"])
    run(made, recorder, (np.array([9, 2], np.int32),))
    assert recorder.events == ["allocate", "read", "launch", "launch", "release"]
    assert [each.parameters for each in recorder.launches] == [(0,), (1,)]


def test_a_condition_that_fails_is_the_status() -> None:
    made = host_code(head("x: i32[n]", "i32[n]"), READING, DENSE[:1])
    with pytest.raises(FlowError) as error:
        run(made, Recorder(), (np.array([3], np.int32),))
    assert problem(error) == "E0763"


def test_a_read_that_fails_gives_memory_back() -> None:
    made, recorder = host_code(head("x: i32[n]", "i32[n]"), READING, DENSE[:1]), Recorder(fails={"read": 0})
    with pytest.raises(FlowError) as error:
        run(made, recorder, (np.array([3], np.int32),))
    assert problem(error) == "E0785"
    assert not recorder.live
    assert recorder.launches == []


COPY = """
func.func @k(%x: memref<?x3xf64>, %out: memref<?x3xf64>) -> i64 {
  %zero = arith.constant 0 : i64
  "gpu.memcpy"(%out, %x) {operandSegmentSizes = array<i32: 0, 1, 1>}
    : (memref<?x3xf64>, memref<?x3xf64>) -> ()
  func.return %zero : i64
}
"""


def test_a_copy_is_of_all_elements_or_left_out() -> None:
    made, recorder = host_code(head("x: f64[n, 3]", "f64[n, 3]"), COPY, DENSE[:1]), Recorder()
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(run(made, recorder, (x,)), x)
    run(made, recorder, (x[:0],))
    assert [size for _, _, size in recorder.copies] == [96]


PRODUCT = """
func.func @k(%x: memref<?x?x?xi8, strided<[?, ?, ?]>>, %y: memref<?x?x?xi8, strided<[?, ?, ?]>>,
             %out: memref<?x?x?xi32>) -> i64 {
  %zero = arith.constant 0 : i64
  device.product %x, %y into %out
    : memref<?x?x?xi8, strided<[?, ?, ?]>>, memref<?x?x?xi8, strided<[?, ?, ?]>> into memref<?x?x?xi32>
  func.return %zero : i64
}
"""


def test_products_are_described_by_extents_and_strides() -> None:
    text = "kernel k(x: i8[b, m, k], y: i8[b, k, n]) -> i32[b, m, n]:\n    return i32(x @ y)\n"
    made, recorder = host_code(text, PRODUCT, ("any", "any")), Recorder()
    x, y = np.zeros((2, 3, 4), np.int8), np.zeros((2, 5, 4), np.int8).transpose(0, 2, 1)
    out = np.zeros((2, 3, 5), np.int32)
    run(made, recorder, (x, y), (out,))
    assert recorder.products == [
        Product(
            "i8", "i32", 2, 3, 5, 4,
            Matrices(x.ctypes.data, 12, 4, 1),
            Matrices(y.ctypes.data, 20, 1, 4),
            Matrices(out.ctypes.data, 15, 5, 1),
        )
    ]  # fmt: skip
    run(made, recorder, (x[:, :, :0], y[:, :0]))
    run(made, recorder, (x[:, :0], y))
    assert [each.depth for each in recorder.products] == [4, 0]


MATRICES = """
func.func @k(%x: memref<?x?xf16>, %y: memref<?x?xf16>, %out: memref<?x?xf32>) -> i64 {
  %zero = arith.constant 0 : i64
  device.product %x, %y into %out : memref<?x?xf16>, memref<?x?xf16> into memref<?x?xf32>
  func.return %zero : i64
}
"""


def test_a_product_of_two_matrices_is_one_of_a_stack() -> None:
    text = "kernel k(x: f16[m, k], y: f16[k, n]) -> f32[m, n]:\n    return f32(x @ y)\n"
    recorder = Recorder()
    run(
        host_code(text, MATRICES, DENSE),
        recorder,
        (np.zeros((3, 4), np.float16), np.zeros((4, 5), np.float16)),
    )
    (seen,) = recorder.products
    assert (seen.dtype, seen.result_dtype, seen.count, seen.rows, seen.columns) == ("f16", "f32", 1, 3, 5)
    assert [each.matrix_stride for each in (seen.left, seen.right, seen.result)] == [0, 0, 0]


def test_the_device_must_be_a_whole_number_of_elements_away() -> None:
    """Host code refuses an odd address as native code does, and the call goes on with a copy."""
    raw = np.zeros(4 * 8 + 2, np.int8)
    x = np.frombuffer(raw, np.float32, 8, 2)
    recorder = Recorder(kinds=["qqqfqq"])
    run(host_code(SCALE_HEAD, SCALE, DENSE), recorder, (x, 1.0))
    assert recorder.launches[0].parameters[1] % 4 == 0
