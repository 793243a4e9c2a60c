"""The text of kernels: what a person reads, and what its names, loops and branches mean."""

import numpy as np
import pytest

from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.backends.cuda.text_helpers import DEVICE, PLAIN, preamble
from flowc.compiler.backends.cuda.text_names import RESERVED
from tests.compiler.cuda import test_matrices
from tests.compiler.cuda.launching import Kernel, Launch, body_of, run, text_of

needs_compiler = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")

ROW_SUMS = Kernel(
    {"x": "memref<?x?xf32, strided<[?, 1]>>", "out": "memref<?xf32>"},
    """
    %row = gpu.block_id x
    %lane = gpu.thread_id x
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    %zero = arith.constant 0.0 : f32
    %sixteen = arith.constant 16 : i32
    %n = memref.dim %x, %c1 : memref<?x?xf32, strided<[?, 1]>>
    %sum = scf.for %i = %lane to %n step %c32 iter_args(%so_far = %zero) -> (f32) {
      %v = memref.load %x[%row, %i] : memref<?x?xf32, strided<[?, 1]>>
      %square = arith.mulf %v, %v fastmath<contract> : f32
      %next = arith.addf %so_far, %square fastmath<contract> : f32
      scf.yield %next : f32
    }
    %other = device.shuffle "xor" %sum, %sixteen width 32 : f32
    %both = arith.addf %sum, %other : f32
    %first = arith.cmpi eq, %lane, %c0 : index
    scf.if %first {
      memref.store %both, %out[%row] : memref<?xf32>
    }
    """,
    "row_sums",
    {"gpu.known_block_size": "array<i32: 32, 1, 1>"},
)

ROW_SUMS_TEXT = """\
// Written by flowc.
#ifndef FLOWC_EMULATION
#define FLOWC_SHARED(type, name, count) __shared__ alignas(16) type name[count]
#define FLOWC_KERNEL(name, together, threads)
#endif

extern "C" __global__ void __launch_bounds__(32) row_sums(const float *__restrict__ x, long long x_n0, \
long long x_n1, long long x_s0, float *__restrict__ out, long long out_n0) {
  using idx = long long;
  using uidx = unsigned long long;
  const idx row = (idx)blockIdx.x;
  const idx lane = (idx)threadIdx.x;
  float so_far = 0.0f;
  for (idx i = lane; i < x_n1; i += 32) {
    const float v = x[row * x_s0 + i];
    const float next = so_far + (v * v);
    so_far = next;
  }
  const float other = __shfl_xor_sync(0xffffffffu, so_far, 16, 32);
  const float both = __fadd_rn(so_far, other);
  if (lane == 0) {
    out[row] = both;
  }
}
FLOWC_KERNEL(row_sums, true, 32)
"""


def test_a_kernel_reads_as_a_person_would_write_it() -> None:
    assert text_of(ROW_SUMS) == ROW_SUMS_TEXT


def test_narrow_kernels_count_in_32_bits() -> None:
    kernel = Kernel(
        {"x": "memref<?x4xi64>", "n": "index"},
        """
        %c0 = arith.constant 0 : index
        %v = memref.load %x[%n, %c0] : memref<?x4xi64>
        memref.store %v, %x[%c0, %n] : memref<?x4xi64>
        """,
        marks={"device.narrow": "unit"},
    )
    text = text_of(kernel)
    assert "  using idx = int;\n  using uidx = unsigned;" in text
    assert "k(long long *__restrict__ x, long long x_n0, long long n)" in text
    assert body_of(text) == "  const long long v = x[(idx)n * 4];\n  x[(idx)n] = v;"


def test_memory_that_may_overlap_is_not_restricted() -> None:
    kernel = Kernel({"x": "memref<4xf32>", "y": "memref<4xf32>"}, "", marks={"device.overlap": "unit"})
    assert "k(const float *x, const float *y)" in text_of(kernel)


def test_what_a_view_changes_is_changed() -> None:
    kernel = Kernel(
        {"x": "memref<?xf32>", "y": "memref<?xf32>", "n": "index", "c": "i1"},
        """
        %one = arith.constant 1.0 : f32
        %c0 = arith.constant 0 : index
        %view = memref.reinterpret_cast %x to offset: [2], sizes: [%n, 3], strides: [3, 1]
          : memref<?xf32> to memref<?x3xf32, strided<[3, 1], offset: 2>>
        memref.store %one, %view[%n, %c0] : memref<?x3xf32, strided<[3, 1], offset: 2>>
        """,
    )
    text = text_of(kernel)
    assert "k(float *__restrict__ x, long long x_n0, const float *__restrict__ y" in text
    assert body_of(text) == "  const auto view = x + 2;\n  view[n * 3] = 1.0f;"


def test_short_loops_are_written_out_unless_they_say_otherwise() -> None:
    body = """
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %high = arith.constant {rounds} : index
    %one = arith.constant 1.0 : f32
    scf.for %i = %c0 to %high step %c1 {{
      memref.store %one, %x[%i] : memref<64xf32>
    }} {mark}
    """

    def loop(rounds: int, mark: str = "") -> str:
        kernel = Kernel({"x": "memref<64xf32>"}, body.format(rounds=rounds, mark=mark))
        return body_of(text_of(kernel)).splitlines()[0].strip()

    assert loop(32) == "#pragma unroll"
    assert loop(33).startswith("for (")
    assert loop(4, "{loops.plain}") == "#pragma unroll 1"
    assert loop(4, "{loops.rolled}") == "#pragma unroll 1"


def test_lines_of_the_program_stand_beside_its_code() -> None:
    kernel = Kernel(
        {"x": "memref<4xf32>"},
        """
        %c0 = arith.constant 0 : index
        %v = memref.load %x[%c0] : memref<4xf32> loc("a.flow":7:3)
        %c1 = arith.constant 1 : index loc("a.flow":8:9)
        memref.store %v, %x[%c1] : memref<4xf32> loc("a.flow":7:9)
        memref.store %v, %x[%c0] : memref<4xf32> loc("a.flow":8:1)
        """,
    )
    assert body_of(text_of(kernel)).splitlines() == [
        "  // line 7",
        "  const float v = x[0];",
        "  x[1] = v;",
        "  // line 8",
        "  x[0] = v;",
    ]


@needs_compiler
def test_names_never_mean_anything_else() -> None:
    """Values called as keywords, macros and functions are, twice each."""
    words = sorted(RESERVED - {"main"})
    loads = "\n".join(f"%{word} = memref.load %x[%c0] : memref<1xf32>" for word in words)
    stores = "\n".join(f"memref.store %{word}, %x[%c0] : memref<1xf32>" for word in words)
    more = "\n".join(f"%{word}_2 = memref.load %x[%c0] : memref<1xf32>" for word in words)
    uses = "\n".join(f"memref.store %{word}_2, %x[%c0] : memref<1xf32>" for word in words)
    functions = "%e = math.exp %exp : f32\n%l = arith.maximumf %e, %expf : f32"
    functions += "\nmemref.store %l, %x[%c0] : memref<1xf32>"
    constant = "%c0 = arith.constant 0 : index"
    kernel = Kernel({"x": "memref<1xf32>"}, "\n".join([constant, loads, stores, more, uses, functions]), "k1")
    x = np.ones(1, np.float32)
    run(text_of(kernel), Launch((x,), block=(1, 1, 1)))
    assert np.isclose(x[0], np.e, rtol=1e-6)


@needs_compiler
def test_carried_values_change_all_at_once() -> None:
    """Fibonacci's numbers, with a third value that lags behind; then a swap."""
    kernel = Kernel(
        {"out": "memref<6xi64>", "n": "index"},
        """
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %zero = arith.constant 0 : i64
        %one = arith.constant 1 : i64
        %r:3 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero, %b = %one, %c = %zero)
          -> (i64, i64, i64) {
          %sum = arith.addi %a, %b : i64
          scf.yield %b, %sum, %a : i64, i64, i64
        }
        %s:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero, %b = %one) -> (i64, i64) {
          scf.yield %b, %a : i64, i64
        }
        %c2 = arith.constant 2 : index
        %c3 = arith.constant 3 : index
        %c4 = arith.constant 4 : index
        memref.store %r#0, %out[%c0] : memref<6xi64>
        memref.store %r#1, %out[%c1] : memref<6xi64>
        memref.store %r#2, %out[%c2] : memref<6xi64>
        memref.store %s#0, %out[%c3] : memref<6xi64>
        memref.store %s#1, %out[%c4] : memref<6xi64>
        """,
    )
    out = np.zeros(6, np.int64)
    run(text_of(kernel), Launch((out, np.int64(7)), block=(1, 1, 1)))
    assert out.tolist() == [13, 21, 8, 1, 0, 0]


@needs_compiler
def test_a_while_loop_passes_on_what_it_tested() -> None:
    """Halves until odd, counting; and a branch that gives two values."""
    kernel = Kernel(
        {"x": "memref<8xi64>", "rounds": "memref<8xi64>"},
        """
        %t = gpu.thread_id x
        %zero = arith.constant 0 : i64
        %one = arith.constant 1 : i64
        %v = memref.load %x[%t] : memref<8xi64>
        %r:2 = scf.while (%n = %v, %count = %zero) : (i64, i64) -> (i64, i64) {
          %low = arith.andi %n, %one : i64
          %even = arith.cmpi eq, %low, %zero : i64
          scf.condition(%even) %n, %count : i64, i64
        } do {
        ^bb0(%m: i64, %so_far: i64):
          %half = arith.shrsi %m, %one : i64
          %more = arith.addi %so_far, %one : i64
          scf.yield %half, %more : i64, i64
        }
        %big = arith.cmpi sgt, %r#0, %one : i64
        %f:2 = scf.if %big -> (i64, i64) {
          scf.yield %r#0, %r#1 : i64, i64
        } else {
          scf.yield %r#1, %r#0 : i64, i64
        }
        memref.store %f#0, %x[%t] : memref<8xi64>
        memref.store %f#1, %rounds[%t] : memref<8xi64>
        """,
    )
    x, rounds = np.array([1, 2, 3, 12, 40, 7, 64, 96]), np.zeros(8, np.int64)
    run(text_of(kernel), Launch((x, rounds), block=(8, 1, 1)))
    assert x.tolist() == [0, 1, 3, 3, 5, 7, 6, 3]
    assert rounds.tolist() == [1, 1, 0, 2, 3, 0, 1, 5]


@needs_compiler
def test_vectors_are_taken_apart_and_put_together() -> None:
    kernel = Kernel(
        {"x": "memref<8xf32>", "out": "memref<8xf32>", "bits": "memref<4xi32>"},
        """
        %c0 = arith.constant 0 : index
        %c4 = arith.constant 4 : index
        %v = vector.load %x[%c4] : memref<8xf32>, vector<4xf32>
        %a = vector.extract %v[1] : f32 from vector<4xf32>
        %w = vector.broadcast %a : f32 to vector<4xf32>
        %b = vector.extract %v[3] : f32 from vector<4xf32>
        %u = vector.insert %b, %w[2] : f32 into vector<4xf32>
        vector.store %u, %out[%c0] : memref<8xf32>, vector<4xf32>
        %c = arith.constant dense<[1.0, 2.0, -0.5, 3.5]> : vector<4xf32>
        vector.store %c, %out[%c4] : memref<8xf32>, vector<4xf32>
        %i = vector.bitcast %v : vector<4xf32> to vector<4xi32>
        vector.store %i, %bits[%c0] : memref<4xi32>, vector<4xi32>
        """,
    )
    x, out, bits = np.arange(8, dtype=np.float32), np.zeros(8, np.float32), np.zeros(4, np.int32)
    run(text_of(kernel), Launch((x, out, bits), block=(1, 1, 1)))
    assert out.tolist() == [5, 5, 7, 5, 1.0, 2.0, -0.5, 3.5]
    assert np.array_equal(bits, x[4:].view(np.int32))


CONSTANTS = {
    "f32": [0.0, -0.0, 0.1, 1.0, 1e-45, 3.4028234663852886e38, float("inf"), float("-inf"), 16777217.0],
    "f64": [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), 2.0**53 + 1, 1 / 3],
    "i64": [0, -1, 2**63 - 1, -(2**63)],
    "i32": [2**31 - 1, -(2**31)],
    "i8": [127, -128],
}


@needs_compiler
def test_constants_are_what_they_were() -> None:
    kernels, launches, wanted = [], [], []
    for place, (type_, values) in enumerate(CONSTANTS.items()):
        dtype = np.dtype(type_.replace("f", "float").replace("i", "int"))
        written = [np.float64(value).view(np.uint64) if type_ == "f64" else value for value in values]
        lines = []
        for number, (value, bits) in enumerate(zip(values, written, strict=True)):
            text = str(value)
            if type_ == "f32":
                text = f"0x{int(np.float32(value).view(np.uint32)):08x}"
            elif type_ == "f64":
                text = f"0x{int(bits):016x}"
            lines += [
                f"%v{number} = arith.constant {text} : {type_}",
                f"%i{number} = arith.constant {number} : index",
                f"memref.store %v{number}, %out[%i{number}] : memref<{len(values)}x{type_}>",
            ]
        kernels.append(Kernel({"out": f"memref<{len(values)}x{type_}>"}, "\n".join(lines), type_))
        wanted.append(np.array(values).astype(dtype))
        launches.append(Launch((np.zeros(len(values), dtype),), place, block=(1, 1, 1)))
    run(text_of(*kernels), *launches)
    for launch, expected in zip(launches, wanted, strict=True):
        assert launch.parameters[0].tobytes() == expected.tobytes()


@needs_compiler
def test_products_of_bf16_without_tensor_cores_are_the_same() -> None:
    """The form for cards before sm_80, by shuffles, which the emulation otherwise replaces."""
    older = f"namespace older {{\nusing namespace flowc;\n{DEVICE['multiply_bf16']}\n}}\n"
    random = np.random.default_rng(0)
    bf16 = test_matrices.DTYPES["bf16"]
    a, b = (random.standard_normal(shape).astype(bf16) for shape in ((16, 16), (16, 8)))
    c = random.standard_normal((16, 8)).astype(np.float32)
    launch = Launch((*test_matrices.fragments(a, b), test_matrices.sums_of(c)))
    text = text_of(test_matrices.product("bf16")).replace("flowc::multiply_bf16", "older::multiply_bf16")
    assert "older::multiply_bf16" in text
    run(older + text, launch)
    expected = test_matrices.sums_of(a.astype(np.float32) @ b.astype(np.float32) + c)
    assert np.allclose(launch.parameters[2], expected, rtol=1e-5, atol=1e-5)


def test_a_module_has_the_functions_it_calls_and_no_others() -> None:
    assert not [name for name in (*DEVICE, *PLAIN) if f" {name}(" in preamble([])]
    assert " minimum(" in preamble(["atomic_minimum"])
    assert " vec " in preamble(["load"])
    assert " lane(" in preamble(["multiply_bf16"])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("%v = arith.constant 1.0 : f16\n%w = arith.addf %v, %v : f16", "compute in f32 and f64, not in f16"),
        ('"test.op"() : () -> ()', "no CUDA form for test.op"),
        ("%v = vector.load %x[%n] : memref<?xf32>, vector<3xf32>", "is not 2, 4, 8 or 16 bytes"),
        ("%m = memref.alloca(%n) : memref<?xf32>", "memref.alloca of unknown size"),
        ("%m = memref.alloc() : memref<4xf32>", "no CUDA form for memref.alloc"),
    ],
)
def test_what_has_no_form_is_named(body: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        text_of(Kernel({"x": "memref<?xf32>", "n": "index"}, body))
