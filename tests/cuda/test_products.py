"""`@` on the emulated device gives what the processor gives, whichever form it takes."""

import numpy as np
import pytest

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import nvrtc
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.passes.array_to_gpu.contract import library, lower
from tests.cuda.comparing import agree, as_module
from tests.cuda.products import Case, check, check_calls, large_tiles, product

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")


def test_halves_by_tensor_cores() -> None:
    code = check(
        {
            "odd": product("f16", 65, 70, 33),
            "bfloats": product("bf16", 33, 40, 40),
            "along": Case({"x": ("f16", (33, 64)), "w": ("f16", (40, 64))}, "f16[33, 40]", "x @ w.T"),
            "across": Case({"x": ("f16", (33, 40)), "w": ("f16", (33, 72))}, "f16[40, 72]", "x.T @ w"),
        },
        "shuffled",
    )
    assert "multiply_f16" in code.text
    assert "copy_async" in code.text


def test_halves_by_tensor_cores_in_large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    large_tiles(monkeypatch)
    cases = {"halves": product("f16", 136, 40, 160, "maximum(x @ w + b, 0.0)", ["b: f16[160]"])}
    assert "__launch_bounds__(256)" in check(cases, "reverse").text


def test_bytes_by_tensor_cores() -> None:
    code = check(
        {
            "signed": product("i8", 33, 72, 40),
            "unsigned": Case(
                {"x": ("u8", (34, 64)), "w": ("u8", (64, 48))}, "u8[34, 48]", "x @ w", numbers=range(256)
            ),
            "along": Case(
                {"x": ("i8", (33, 64)), "w": ("i8", (48, 64))},
                "i64[33, 48]",
                "i64(x) @ i64(w.T)",
                numbers=range(-128, 128),
            ),
        },
        "forward",
    )
    assert "multiply_i8" in code.text
    assert "multiply_u8" in code.text


def test_numbers_in_registers() -> None:
    check(
        {
            "f32": product("f32", 33, 35, 37),
            "f64": product("f64", 34, 36, 38),
            "i16": product("i16", 33, 20, 24),
            "i64": product("i64", 20, 22, 24),
            "bool": product("bool", 30, 33, 35),
            "across": Case({"x": ("f32", (33, 36)), "w": ("f32", (33, 20))}, "f32[36, 20]", "x.T @ w"),
        },
        "shuffled",
    )


def test_numbers_in_large_tiles_of_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    large_tiles(monkeypatch)
    check({"f32": product("f32", 132, 20, 136), "i32": product("i32", 129, 17, 131)}, "reverse")


def test_few_rows_or_columns() -> None:
    code = check(
        {
            "row": product("f32", 1, 100, 50),
            "rows": product("f32", 3, 100, 64),
            "column": product("f32", 100, 64, 1),
            "columns": product("f32", 33, 63, 3),
            "halves": product("f16", 2, 520, 64),
            "bytes": Case({"x": ("i8", (30, 128)), "w": ("i8", (128,))}, "i8[30]", "x @ w"),
            "along": Case({"x": ("f32", (2, 128)), "w": ("f32", (70, 128))}, "f32[2, 70]", "x @ w.T"),
            "across": Case({"x": ("f32", (99, 2)), "w": ("f32", (99, 64))}, "f32[2, 64]", "x.T @ w"),
            "vector": Case({"x": ("f64", (100,)), "w": ("f64", (100, 30))}, "f64[30]", "x @ w"),
            "turned": Case({"x": ("bool", (100, 30)), "w": ("bool", (100,))}, "bool[30]", "x.T @ w"),
            "dot": Case({"x": ("f32", (5000,)), "w": ("f32", (5000,))}, "f32", "x @ w"),
            "short": Case({"x": ("i64", (7,)), "w": ("i64", (7,))}, "i64", "x @ w"),
            "queries": Case(
                {"x": ("i8", (30, 96)), "w": ("i8", (3, 96))},
                "i64[30, 3]",
                "i64(x) @ i64(w.T)",
                numbers=range(-128, 128),
            ),
        },
        "reverse",
    )
    assert "dot_i8" in code.text


def test_stacks() -> None:
    check(
        {
            "stacks": Case(
                {"x": ("f32", (3, 2, 20, 24)), "w": ("f32", (3, 2, 24, 28))}, "f32[3, 2, 20, 28]", "x @ w"
            ),
            "folded": Case({"x": ("f16", (3, 20, 24)), "w": ("f16", (24, 32))}, "f16[3, 20, 32]", "x @ w"),
            "shared": Case({"x": ("f32", (20, 24)), "w": ("f32", (3, 24, 28))}, "f32[3, 20, 28]", "x @ w"),
            "stretched": Case(
                {"x": ("i32", (3, 1, 20, 24)), "w": ("i32", (4, 24, 28))}, "i32[3, 4, 20, 28]", "x @ w"
            ),
            "small": Case({"x": ("f32", (50, 3, 3)), "w": ("f32", (50, 3, 3))}, "f32[50, 3, 3]", "x @ w"),
            "vectors": Case({"x": ("f32", (3, 20, 24)), "w": ("f32", (24,))}, "f32[3, 20]", "x @ w"),
        },
        "forward",
    )


def test_deep_contractions_go_in_parts() -> None:
    code = check(
        {
            "f32": product("f32", 20, 516, 24, "x @ w + b", ["b: f32[24]"]),
            "halves": product("f16", 24, 1032, 32, "x @ w"),
            "stack": Case(
                {"x": ("f64", (2, 20, 600)), "w": ("f64", (2, 600, 10))}, "f64[2, 20, 10]", "x @ w"
            ),
        },
        "shuffled",
    )
    assert "add_parts" in code.text


def test_what_follows_and_what_goes_before() -> None:
    check(
        {
            "residual": product("f16", 40, 64, 72, "maximum(x @ w + b, r)", ["b: f16[72]", "r: f16[40, 72]"]),
            "ragged": product("f32", 33, 40, 37, "x @ abs(w) + 1.0"),
            "halved": product("f16", 33, 40, 37, "x @ abs(w)"),
            "chain": product("f16", 33, 20, 40, "h = abs(x @ w)\nh @ v", ["v: f16[40, 40]"]),
            "scaled": Case(
                {"x": ("i8", (33, 64)), "w": ("i8", (64, 48)), "a": ("f32", (33, 1)), "b": ("f32", (48,))},
                "f32[33, 48]",
                "f32(i32(x) @ i32(w)) * a * b",
            ),
        },
        "reverse",
    )


def _open(dtype: str, rows: int, depth: int, columns: int, turned: tuple[str, ...] = ()) -> Case:
    shapes = {"x": (dtype, (rows, depth)), "w": (dtype, (depth, columns)), "b": (dtype, (columns,))}
    names = {"x": "m, k", "w": "k, n", "b": "n"}
    return Case(shapes, f"{dtype}[m, n]", "maximum(x @ w + b, 0.0)", turned, extents=names)


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_extents_and_strides_that_the_call_says(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "ENOUGH", 4)  # so that the first call has enough of the large tiles
    extents = [(150, 40, 264), (33, 40, 24), (65, 31, 33), (8, 520, 16), (0, 5, 3), (5, 0, 3), (3, 5, 0)]
    calls = [_open(dtype, *each, turned) for each in extents for turned in [(), ("x",), ("x", "w")]]
    check_calls(calls, "shuffled")


def test_few_columns_of_any_extents() -> None:
    def case(rows: int, depth: int) -> Case:
        shapes = {"x": ("f32", (rows, depth)), "w": ("f32", (depth, 3))}
        return Case(shapes, "f32[m, 3]", "x @ w", extents={"x": "m, k", "w": "k, 3"})

    check_calls([case(33, 40), case(5, 31), case(0, 4), case(4, 0), case(7, 5000)], "shuffled")


def test_the_library_is_asked_for_large_products(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype in library.WORTH:
        monkeypatch.setitem(library.WORTH, dtype, 0)
    for dtype in library.FUSED_DEPTH:
        monkeypatch.setitem(library.FUSED_DEPTH, dtype, 0)
    code = check(
        {
            "f32": product("f32", 20, 33, 24),
            "f64": Case({"x": ("f64", (20, 24)), "w": ("f64", (28, 24))}, "f64[20, 28]", "x @ w.T"),
            "halves": product("f16", 24, 32, 32, "maximum(x @ w + b, 0.0)", ["b: f16[32]"]),
            "words": Case({"x": ("i8", (20, 24)), "w": ("i8", (24, 28))}, "i32[20, 28]", "i32(x) @ i32(w)"),
            "stacks": Case(
                {"x": ("f64", (3, 2, 20, 24)), "w": ("f64", (3, 2, 24, 28))}, "f64[3, 2, 20, 28]", "x @ w"
            ),
            "folded": Case({"x": ("f32", (3, 20, 24)), "w": ("f32", (24, 32))}, "f32[3, 20, 32]", "x @ w"),
        },
        "forward",
    )
    assert not any(name.startswith("of_f32") for name in code.functions)
    halves = [name for name in code.functions if name.startswith("of_halves")]
    assert halves
    assert all(name.endswith("_maximum") for name in halves)


def test_the_written_order_gives_the_bits_of_the_processor() -> None:
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape).astype(np.float32) for shape in ((33, 70), (70, 40)))
    for decorator in ("precise", "reproducible"):
        text = (
            f"@{decorator}\nkernel ordered(x: f32[33, 70], w: f32[70, 40]) -> f32[33, 40]:\n    return x @ w"
        )
        agree(text, (x, w), ulps=0, orders=("shuffled",), layouts=("contiguous", "contiguous"))


@pytest.mark.alike(1)
@pytest.mark.parametrize("architecture", ["sm_90", "sm_75"])
@pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed")
def test_sums_stay_in_registers_of_which_two_blocks_have_enough(architecture: str) -> None:
    cases = {
        "halves": product("f16", 4096, 512, 4096, "maximum(x @ w + b, 0.0)", ["b: f16[4096]"]),
        "f32": product("f32", 4096, 100, 4096, "maximum(x @ w + b, 0.0)", ["b: f32[4096]"]),
        "f64": product("f64", 1024, 64, 1024),
    }
    for name, case in cases.items():
        module = as_module(case.text(f"of_{name}"))
        options = cuda.Options(architectures=(architecture,), layouts=("contiguous",) * len(case.parameters))
        figures = {each.kernel: each for each in cuda.compile_kernels(module, options).figures}
        for number in range(2):  # with positions of 32 bits: where memory is aligned, and where it is not
            found = figures[f"of_{name}_{number}_product"]
            assert found.spill_bytes == found.stack_bytes == 0
            assert found.registers <= (128 if architecture == "sm_90" else 160)
