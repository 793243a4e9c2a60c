"""Parallel loops in machine code: bodies see what is around them, fail as the whole, and are vectorised."""

import ctypes
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from click.testing import CliRunner
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from flowc.cli import main
from flowc.compiler.backends.llvm.emit import emit_function
from flowc.compiler.backends.llvm.target import assemble
from flowc.dialects.registry import context
from flowc.runtime.native.library import library
from flowc.runtime.native.linking import link
from flowc.runtime.processor import host

ROOT = Path(__file__).parents[2]
LONG = 1 << 40


@frozen
class Compiled:
    """A function of loops as machine code, and the optimised text of it."""

    function: Any
    llvm_ir: str
    memory: object


@cache
def compiled(text: str) -> Compiled:
    """The only function of a module, of addresses and numbers to a status."""
    module: ModuleOp = Parser(context(everything=True), text).parse_module()
    module.verify()
    (function,) = module.ops
    assert isinstance(function, func.FuncOp)
    emitted = emit_function(function, '"inner"', f"noinline {host().attributes}")
    types = []
    for type_ in function.function_type.inputs:
        name = str(type_)
        rank = name.count("?") + sum(part.isdecimal() for part in name.split("<")[-1].split("x"))
        types += ["ptr", *["i64"] * rank] if name.startswith("memref") else [name.replace("index", "i64")]
        types = [{"f32": "float", "f64": "double"}.get(each, each) for each in types]
    parameters = ", ".join(f"{type_} %a{k}" for k, type_ in enumerate(types))
    entry = f"define i64 @entry({parameters}) {{\n  %s = call i64 @inner({parameters})\n  ret i64 %s\n}}"
    made = assemble("\n".join([*sorted(emitted.called), *emitted.lines, entry]), host(), listing=True)
    library().set_threads(4)
    linked = link(made.object_code, ["entry"], library().addresses)
    kinds = {"ptr": ctypes.c_void_p, "float": ctypes.c_float, "double": ctypes.c_double, "i1": ctypes.c_bool}
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, *[kinds.get(each, ctypes.c_int64) for each in types])
    return Compiled(prototype(linked.addresses["entry"]), made.llvm_ir, linked.memory)


SCALE = """
func.func @scale(%x: memref<?x?xf32>, %out: memref<?x?xf32>, %f: f32, %d: f64, %on: i1,
                 %grain: index, %work: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x?xf32>
  %m = memref.dim %x, %c1 : memref<?x?xf32>
  %two = arith.constant 2.0 : f32
  %narrow = arith.truncf %d : f64 to f32
  %both = arith.mulf %f, %narrow : f32
  %factor = arith.select %on, %both, %two : f32
  loops.parallel %n grain %grain work %work {
  ^bb0(%low: index, %high: index):
    scf.for %i = %low to %high step %c1 {
      scf.for %j = %c0 to %m step %c1 {
        %v = memref.load %x[%i, %j] : memref<?x?xf32>
        %w = arith.mulf %v, %factor : f32
        %z = arith.addf %w, %two : f32
        memref.store %z, %out[%i, %j] : memref<?x?xf32>
      }
    }
    loops.end
  }
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


@pytest.mark.parametrize("work", [0, LONG])
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 3), (100, 33), (64, 0)])
def test_a_body_sees_the_numbers_and_arrays_around_it(shape: tuple[int, int], work: int) -> None:
    code = compiled(SCALE)
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for grain in (1, 3, 1000):
        for on, factor in ((True, np.float32(3.0) * np.float32(0.5)), (False, np.float32(2.0))):
            out = np.full((shape[0] + 2, shape[1]), np.nan, np.float32)
            address = out[1:].ctypes.data
            status = code.function(
                x.ctypes.data, *shape, address, *shape, ctypes.c_float(3.0), 0.5, on, grain, work
            )
            assert status == 0
            np.testing.assert_allclose(out[1:-1], x * factor + 2, rtol=1e-6, atol=1e-6)
            assert np.isnan(out[[0, -1]]).all()


def test_a_body_is_vectorised_without_looking_for_overlaps() -> None:
    text = compiled(SCALE).llvm_ir
    width = host().vector_bits // 32
    assert f"<{width} x float>" in text
    assert "vector.memcheck" not in text


OVERLAPPING = """
func.func @shift(%x: memref<?xi64>, %n: index, %grain: index, %work: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %most = arith.subi %n, %c1 : index
  %next = memref.reinterpret_cast %x to offset: [1], sizes: [%most], strides: [1]
    : memref<?xi64> to memref<?xi64, strided<[1], offset: 1>>
  loops.parallel %most grain %grain work %work {
  ^bb0(%low: index, %high: index):
    scf.for %i = %low to %high step %c1 {
      %v = memref.load %x[%i] : memref<?xi64>
      %w = arith.addi %v, %v : i64
      memref.store %w, %next[%i] : memref<?xi64, strided<[1], offset: 1>>
    }
    loops.end
  }
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


def test_views_of_one_array_in_a_body_are_known_to_overlap() -> None:
    code = compiled(OVERLAPPING)
    x = np.ones(40, np.int64)
    assert code.function(x.ctypes.data, x.size, x.size, x.size, 0) == 0
    assert (x == 2 ** np.arange(40)).all()


NESTED = """
func.func @table(%out: memref<?x?xf64>, %grain: index, %work: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ten = arith.constant 10 : index
  %n = memref.dim %out, %c0 : memref<?x?xf64>
  %m = memref.dim %out, %c1 : memref<?x?xf64>
  loops.parallel %n grain %grain work %work {
  ^bb0(%low: index, %high: index):
    %row = memref.alloc(%m) : memref<?xf64>
    scf.for %i = %low to %high step %c1 {
      loops.parallel %m grain %c1 work %work {
      ^bb1(%left: index, %right: index):
        scf.for %j = %left to %right step %c1 {
          %a = arith.muli %i, %ten : index
          %b = arith.addi %a, %j : index
          %c = arith.index_cast %b : index to i64
          %d = arith.sitofp %c : i64 to f64
          memref.store %d, %row[%j] : memref<?xf64>
        }
        loops.end
      }
      scf.for %j = %c0 to %m step %c1 {
        %v = memref.load %row[%j] : memref<?xf64>
        memref.store %v, %out[%i, %j] : memref<?x?xf64>
      }
    }
    memref.dealloc %row : memref<?xf64>
    loops.end
  }
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


@pytest.mark.parametrize("grain", [1, 4, 100])
def test_a_parallel_loop_in_a_parallel_loop_with_memory_of_its_own(grain: int) -> None:
    code = compiled(NESTED)
    out = np.zeros((30, 9))
    for _ in range(20):
        out[:] = -1
        assert code.function(out.ctypes.data, 30, 9, grain, LONG) == 0
        assert (out == np.arange(30)[:, None] * 10 + np.arange(9)).all()


FAILING = """
func.func @check(%x: memref<?xi64>, %grain: index, %work: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %big = arith.constant 500000 : index
  %n = memref.dim %x, %c0 : memref<?xi64>
  %kept = memref.alloc(%big) : memref<?xi64>
  loops.parallel %n grain %grain work %work {
  ^bb0(%low: index, %high: index):
    %own = memref.alloc(%big) : memref<?xi64>
    scf.for %i = %low to %high step %c1 {
      %v = memref.load %x[%i] : memref<?xi64>
      %five = arith.constant 5 : i64
      %seven = arith.constant 7 : i64
      %a = arith.cmpi ne, %v, %five : i64
      loops.require %a else 18
      %b = arith.cmpi ne, %v, %seven : i64
      loops.require %b else 35
      memref.store %v, %own[%c0] : memref<?xi64>
    }
    memref.dealloc %own : memref<?xi64>
    loops.end
  }
  memref.dealloc %kept : memref<?xi64>
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


@pytest.mark.parametrize("grain", [1, 3, 1000])
def test_the_status_of_a_failing_chunk_is_that_of_the_whole_and_nothing_leaks(grain: int) -> None:
    code = compiled(FAILING)
    x = np.zeros(100, np.int64)
    pages = []
    for round_ in range(60):
        for values, status in (({}, 0), ({17: 5}, 18), ({99: 7}, 35), ({3: 5, 98: 7}, 35)):
            x[:] = 0
            for place, value in values.items():
                x[place] = value
            expected = status if grain == 1 or len(values) < 2 or grain == 3 else 18
            assert code.function(x.ctypes.data, 100, grain, LONG) == expected
        pages.append(int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE"))
        assert round_ < 20 or pages[-1] - pages[10] < 100 << 20  # one leak a round would be 240 MB


HUGE = """
func.func @huge(%n: index, %m: index, %k: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %a = memref.alloc(%n, %m, %k) : memref<?x?x4x?xi64>
  scf.for %i = %c0 to %k step %c1 {
    %v = arith.index_cast %i : index to i64
    memref.store %v, %a[%c0, %c0, %c0, %i] : memref<?x?x4x?xi64>
  }
  %sum = scf.for %i = %c0 to %k step %c1 iter_args(%so_far = %zero) -> (i64) {
    %v = memref.load %a[%c0, %c0, %c0, %i] : memref<?x?x4x?xi64>
    %more = arith.addi %so_far, %v : i64
    scf.yield %more : i64
  }
  memref.dealloc %a : memref<?x?x4x?xi64>
  func.return %sum : i64
}
"""


@pytest.mark.parametrize(
    "extents", [(1 << 31, 1 << 31, 4), (1 << 62, 2, 1), (3 << 40, 3 << 20, 1), (1 << 40, 1 << 15, 1)]
)
def test_memory_whose_size_no_word_holds_is_no_memory(extents: tuple[int, int, int]) -> None:
    code = compiled(HUGE)
    assert code.function(*extents) == 1
    assert code.function(5, 2, 7) == sum(range(7))


FORWARDED = """
func.func @twice(%x: memref<?xf32>, %out: memref<?xf32>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?xf32>
  %tile = memref.alloc(%n) : memref<?xf32>
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %x[%i] : memref<?xf32>
    memref.store %v, %tile[%i] : memref<?xf32>
    %w = memref.load %tile[%i] : memref<?xf32>
    %z = arith.addf %w, %w : f32
    memref.store %z, %out[%i] : memref<?xf32>
  }
  memref.dealloc %tile : memref<?xf32>
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


def test_memory_that_registers_replace_is_not_allocated() -> None:
    assert "call noalias" not in compiled(FORWARDED).llvm_ir


SCRATCH = """
func.func @rows(%out: memref<?xf32>, %grain: index, %work: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %out, %c0 : memref<?xf32>
  %one = arith.constant 1.5 : f32
  %ones = vector.broadcast %one : f32 to vector<16xf32>
  %c16 = arith.constant 16 : index
  %blocks = arith.divsi %n, %c16 : index
  loops.parallel %blocks grain %grain work %work {
  ^bb0(%low: index, %high: index):
    %tile = memref.alloca() : memref<4x16xf32>
    scf.for %i = %low to %high step %c1 {
      vector.store %ones, %tile[%c1, %c0] : memref<4x16xf32>, vector<16xf32>
      %v = vector.load %tile[%c1, %c0] : memref<4x16xf32>, vector<16xf32>
      %at = arith.muli %i, %c16 : index
      loops.prefetch %out[%at] : memref<?xf32>
      loops.stream %v, %out[%at] : vector<16xf32>, memref<?xf32>
    }
    loops.fence
    loops.end
  }
  %ok = arith.constant 0 : i64
  func.return %ok : i64
}
"""


def test_scratch_is_of_each_chunk_and_streaming_stores_arrive() -> None:
    code = compiled(SCRATCH)
    memory = np.zeros(16 * 1000 + 16, np.float32)
    start = -memory.ctypes.data // 4 % 16
    out = memory[start : start + 16 * 1000]
    for grain in (1, 7, 5000):
        out[:] = 0
        assert code.function(out.ctypes.data, out.size, grain, LONG) == 0
        assert (out == 1.5).all()
    assert "!nontemporal" in code.llvm_ir
    assert "llvm.prefetch" in code.llvm_ir


def test_scratch_of_unknown_size_is_refused() -> None:
    text = SCRATCH.replace("memref.alloca() : memref<4x16xf32>", "memref.alloca(%n) : memref<?x16xf32>")
    with pytest.raises(ValueError, match="unknown size"):
        compiled(text.replace("memref<4x16xf32>", "memref<?x16xf32>"))


def test_an_artifact_with_parallel_kernels_runs_without_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.flow").write_text("""\
kernel sums(x: f32[n]) -> f32[n]:
    return sum(exp(x[:, none] * x / 1000000.0), axis=1)

flow main(n: int = 400) -> f32:
    return sum(sums([f32(i) for i in range(n)]))
""")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["compile", "main.flow", "-o", "main.flowc"]).exit_code == 0
    script = """
import sys
from functools import cache
from flowc.cli import main
try:
    main(["run", "main.flowc", "--output-format=json"])
finally:
    assert not {"xdsl", "lark"} & {name.split(".")[0] for name in sys.modules}
"""
    for threads in ("1", "2", "5"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=os.environ | {"FLOWC_THREADS": threads},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert '"status": "ok"' in done.stdout
