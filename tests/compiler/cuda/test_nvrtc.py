"""Text of kernels is machine code for every GPU, and what the compiler says of it is read."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from flowc.compiler.backends.cuda import nvrtc
from flowc.runtime.errors import FlowError
from tests.compiler.cuda import operations, test_atomics, test_matrices, test_warps
from tests.compiler.cuda.launching import Kernel, text_of

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed")

TOGETHER = (
    *(test_matrices.product(dtype) for dtype in test_matrices.DTYPES),
    *(
        Kernel(kernel.parameters, kernel.body, f"load_{place}")
        for place, kernel in enumerate(
            test_matrices.loading(count, turned) for count in (2, 4) for turned in ("", "transpose")
        )
    ),
    Kernel(test_matrices.copying("").parameters, test_matrices.copying(test_matrices.DONE).body, "copying"),
    *(
        test_atomics.combined(kind, type_)
        for kinds, types in (
            (test_atomics.INTEGERS | test_atomics.UNSIGNED, ("i32", "i64")),
            (test_atomics.FLOATS, ("f32", "f64")),
        )
        for kind in kinds
        for type_ in types
    ),
    *(
        Kernel(kernel.parameters, kernel.body, f"shuffle_{place}")
        for place, kernel in enumerate(
            test_warps.shuffled(kind, 1, 32, type_)
            for kind in ("xor", "down", "up", "idx")
            for type_ in ("i1", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64", "index")
        )
    ),
    test_warps.reversal("gpu.barrier\ndevice.fence\ndevice.sync_warp"),
)
"""Kernels whose threads work together, and those that copy and combine."""


@cache
def texts() -> tuple[tuple[Sequence[Kernel], str], ...]:
    """Kernels for every op, and those of TOGETHER, with their text: to make it takes seconds."""
    everything = [op.kernel for op in operations.everything()]
    return tuple((part, text_of(*part)) for part in (everything, TOGETHER))


@pytest.mark.alike(1)
@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_op_compiles(architecture: str) -> None:
    for part, text in texts():
        made = nvrtc.compile_text(text, architecture)
        assert made.cubin.startswith(b"\x7fELF")
        assert f".target {architecture}".encode() in made.ptx
        assert {each.kernel for each in made.figures} == {kernel.name for kernel in part}
        assert all(each.architecture == architecture and each.registers > 0 for each in made.figures)


@needs_nvrtc
def test_tensor_cores_are_reached_on_every_card() -> None:
    """bf16 has none before sm_80, and is multiplied by shuffles there."""
    for architecture, shapes in (("sm_75", ("m16n8k8", "m8n8k16")), ("sm_80", ("m16n8k16", "m16n8k32"))):
        ptx = nvrtc.compile_text(texts()[1][1], architecture).ptx.decode()
        assert all(f".{shape}." in ptx for shape in shapes)
        assert ("cp.async.cg" in ptx) == (architecture == "sm_80")
        assert "ldmatrix.sync.aligned.m8n8.x4.trans" in ptx


def arithmetic(flags: str) -> Kernel:
    return Kernel(
        {"x": "memref<?xf32>", "i": "index"},
        f"""
        %a = memref.load %x[%i] : memref<?xf32>
        %p = arith.mulf %a, %a {flags} : f32
        %q = arith.addf %p, %a {flags} : f32
        %r = arith.divf %q, %a : f32
        memref.store %r, %x[%i] : memref<?xf32>
        """,
    )


@needs_nvrtc
def test_products_and_sums_are_fused_only_where_the_op_allows_it() -> None:
    fused = nvrtc.compile_text(text_of(arithmetic("fastmath<contract>")), "sm_80").ptx.decode()
    apart = nvrtc.compile_text(text_of(arithmetic("")), "sm_80").ptx.decode()
    assert "fma.rn.f32" in fused
    assert "fma.rn.f32" not in apart
    for ptx in (fused, apart):
        assert "div.rn.f32" in ptx
        assert ".ftz" not in ptx
        assert ".approx" not in ptx


@needs_nvrtc
@pytest.mark.parametrize(("lanes", "type_", "wanted"), [(4, "f32", "v4"), (2, "f64", "v2"), (4, "i32", "v4")])
def test_vectors_are_loaded_by_one_instruction(lanes: int, type_: str, wanted: str) -> None:
    kernel = Kernel(
        {"x": f"memref<?x{type_}>", "out": f"memref<?x{type_}>", "i": "index"},
        f"""
        %v = vector.load %x[%i] : memref<?x{type_}>, vector<{lanes}x{type_}>
        vector.store %v, %out[%i] : memref<?x{type_}>, vector<{lanes}x{type_}>
        """,
    )
    ptx = nvrtc.compile_text(text_of(kernel), "sm_90").ptx.decode()
    assert re.search(rf"ld\.global\.(nc\.)?{wanted}\.", ptx)
    assert re.search(rf"st\.global\.{wanted}\.", ptx)


def registers(count: int) -> Kernel:
    """A loop that keeps so many sums in an array of the thread's own."""
    return Kernel(
        {"x": "memref<?xf32>", "n": "index", "stride": "index"},
        f"""
        %zero = arith.constant 0 : index
        %one = arith.constant 1 : index
        %all = arith.constant {count} : index
        %none = arith.constant 0.0 : f32
        %own = memref.alloca() : memref<{count}xf32>
        scf.for %k = %zero to %all step %one {{
          memref.store %none, %own[%k] : memref<{count}xf32>
        }}
        scf.for %i = %zero to %n step %one {{
          scf.for %k = %zero to %all step %one {{
            %at = arith.muli %k, %stride : index
            %place = arith.addi %at, %i : index
            %v = memref.load %x[%place] : memref<?xf32>
            %s = memref.load %own[%k] : memref<{count}xf32>
            %t = arith.addf %s, %v : f32
            memref.store %t, %own[%k] : memref<{count}xf32>
          }}
        }}
        scf.for %k = %zero to %all step %one {{
          %s = memref.load %own[%k] : memref<{count}xf32>
          memref.store %s, %x[%k] : memref<?xf32>
        }}
        """,
        marks={"gpu.known_block_size": "array<i32: 256, 1, 1>"},
    )


@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_arrays_of_a_thread_lie_in_registers(architecture: str) -> None:
    (figures,) = nvrtc.compile_text(text_of(registers(16)), architecture).figures
    assert (figures.stack_bytes, figures.spill_bytes, figures.shared_bytes) == (0, 0, 0)
    assert 24 <= figures.registers <= 128


@needs_nvrtc
def test_arrays_that_registers_do_not_hold_lie_on_the_stack() -> None:
    (figures,) = nvrtc.compile_text(text_of(registers(400)), "sm_90").figures
    assert figures.stack_bytes >= 400


@needs_nvrtc
def test_shared_memory_is_counted() -> None:
    (figures,) = nvrtc.compile_text(text_of(test_warps.reversal("gpu.barrier")), "sm_90").figures
    assert figures.shared_bytes >= 1024


LOG = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    40 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers, 40 bytes cumulative stack size, 2048 bytes smem
ptxas info    : Function properties for __internal_accurate_pow
    16 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Function properties for two
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers
"""


def test_figures_are_read_from_the_log() -> None:
    assert nvrtc.figures_in(LOG, "sm_90") == (
        nvrtc.Figures("one", "sm_90", 30, 2048, 40, 20),
        nvrtc.Figures("two", "sm_90", 8),
    )


@needs_nvrtc
def test_a_text_that_is_refused_shows_what_the_compiler_says() -> None:
    with pytest.raises(FlowError) as error:
        nvrtc.compile_text('extern "C" __global__ void k() { nothing(); }', "sm_90")
    assert error.value.problem.code == "E0678"
    assert 'identifier "nothing" is undefined' in error.value.problem.why


@needs_nvrtc
@pytest.mark.parametrize("architecture", ["sm_20", "sm_999", "gfx90a", "sm_90; rm", "--help"])
def test_an_architecture_that_is_not_known_is_refused(architecture: str) -> None:
    with pytest.raises(FlowError, match="makes no code for") as error:
        nvrtc.compile_text("", architecture)
    assert error.value.problem.code == "E0681"
    assert "sm_90" in error.value.problem.help


def test_without_a_library_there_is_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nvrtc, "_packages", lambda: [tmp_path])
    monkeypatch.setattr(nvrtc, "_toolkits", list)
    nvrtc._library.cache_clear()
    assert not nvrtc.available()
    with pytest.raises(FlowError) as error:
        nvrtc.version()
    assert error.value.problem.code == "E0677"


def test_what_is_no_library_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libnvrtc.so.13").write_bytes(b"no library")
    monkeypatch.setattr(nvrtc, "_packages", lambda: [tmp_path])
    monkeypatch.setattr(nvrtc, "_toolkits", list)
    nvrtc._library.cache_clear()
    with pytest.raises(FlowError, match="E0677"):
        nvrtc.version()
    nvrtc._library.cache_clear()
