"""Native kernels at the edge: what they accept, what they refuse and in which words, what loading imports."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import f32, i8, i64
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import KernelObject, Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.slices import parse_slice
from flowc.dialects.array.types import array_type
from flowc.runtime import object_cache
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load, signature_from_json, signature_to_json
from flowc.testing.strategies.kernels import as_module, make_kernel

PAIR = {"x": array_type("f32", ("n", "m")), "y": array_type("f32", ("m",)), "k": i8}


def scaled(add: Any, x: SSAValue, y: SSAValue, k: SSAValue) -> SSAValue:
    return add(build.elementwise("mul", [add(build.elementwise("add", [x, y])), add(build.cast(k, "f32"))]))


@pytest.fixture(scope="module")
def code() -> KernelObject:
    return compile_kernels(as_module(make_kernel(PAIR, scaled, "scaled")), Options(cached=False))


@pytest.fixture(scope="module")
def kernel(code: KernelObject) -> Kernel:
    return load(code.object_code, code.signatures)["scaled"]


def refused(kernel: Kernel, *arguments: Any) -> FlowError:
    with pytest.raises(FlowError) as error:
        kernel(*arguments)
    return error.value


X, Y = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)


def test_lists_and_numbers_are_taken_as_arrays_and_scalars(kernel: Kernel) -> None:
    np.testing.assert_array_equal(kernel([[1, 2]], [1.0, 1.0], np.int64(2)), [[4, 6]])
    np.testing.assert_array_equal(kernel([[1, 2]], [1.0, 1.0], np.array(2)), [[4, 6]])


@pytest.mark.parametrize(
    ("arguments", "number", "message"),
    [
        ((X, Y), "E0755", "takes 3 arguments, not 2"),
        ((X, Y, 200), "E0755", "does not fit in i8"),
        ((X, Y, "2"), "E0755", "must be a number of type i8"),
        ((X, Y, 2.5), "E0755", "must be a number of type i8"),
        ((X, "no", 2), "E0755", "is no array"),
        ((X, Y.astype(np.float64), 2), "E0755", "must have elements of type f32"),
        ((X, Y.astype(">f8"), 2), "E0755", "must have elements of type f32"),
        ((X, np.ma.masked_array(Y, mask=[1, 0, 0]), 2), "E0755", "is no array"),
        ((X, Y.astype(object), 2), "E0755", "must have elements of type f32"),
        ((10**400, Y, 2), "E0755", "is no array"),
        ((X[0], Y, 2), "E0755", "must have 2 axes, not 1"),
        ((X, Y[:2], 2), "E0756", "axis 0 of argument `y` of kernel `scaled` must be `m`, which is 3, not 2"),
    ],
)
def test_an_unfitting_argument_is_refused_with_its_name(
    kernel: Kernel, arguments: tuple[Any, ...], number: str, message: str
) -> None:
    problem = refused(kernel, *arguments).problem
    assert problem.code == number
    assert message in problem.message
    assert problem.help


def test_any_strides_are_read_in_place_and_odd_addresses_are_copied(kernel: Kernel) -> None:
    wanted = (X + Y) * 2
    wide = np.zeros((4, 9), np.float32)
    wide[::2, 1::3] = X
    record = np.zeros((2, 3), np.dtype([("a", "i1"), ("v", "<f4")]))
    record["v"] = X
    swapped = X.astype(X.dtype.newbyteorder())
    for view in (np.asfortranarray(X), wide[::2, 1::3], X[::-1, ::-1][::-1, ::-1], record["v"], swapped):
        np.testing.assert_array_equal(kernel(view, Y, 2), wanted)
    still = np.broadcast_to(np.float32(1.0), (2, 3))
    np.testing.assert_array_equal(kernel(still, Y, 1), np.full((2, 3), 2))
    X.flags.writeable = False
    try:
        np.testing.assert_array_equal(kernel(X, Y, 2), wanted)
    finally:
        X.flags.writeable = True


def test_a_result_of_rank_0_is_a_numpy_number() -> None:
    code = compile_kernels(as_module(make_kernel({"x": f32}, lambda add, x: [x, x])), Options(cached=False))
    first, second = load(code.object_code, code.signatures)["k"](1.5)
    assert first == second == np.float32(1.5)
    assert isinstance(first, np.float32)


def test_kernels_run_in_several_threads_at_once(kernel: Kernel) -> None:
    inputs = [np.full((50, 3), k, np.float32) for k in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: kernel(x, Y, 3), inputs))
    for x, got in zip(inputs, results, strict=True):
        np.testing.assert_array_equal(got, (x + Y) * 3)


def test_several_engines_live_side_by_side(code: KernelObject) -> None:
    kernels = [load(code.object_code, code.signatures)["scaled"] for _ in range(5)]
    for kernel in kernels:
        np.testing.assert_array_equal(kernel(X, Y, 1), X + Y)


@pytest.mark.parametrize("damage", ["replaced", "cut", "empty", "one bit"])
def test_damaged_object_code_is_refused(code: KernelObject, damage: str) -> None:
    data = bytearray(code.object_code)
    data[100] ^= 1
    bad = {"replaced": b"not code", "cut": code.object_code[:500], "empty": b"", "one bit": bytes(data)}[
        damage
    ]
    with pytest.raises(FlowError) as error:
        load(bad, code.signatures)
    assert error.value.problem.code == "E0695"


def test_a_signature_reads_back_from_json() -> None:
    def body(add: Any, x: SSAValue, k: SSAValue) -> SSAValue:
        return add(build.slices(x, parse_slice("1:$0, ::2"), [k]))

    module = as_module(make_kernel({"x": array_type("f32", ("n", 7)), "k": i64}, body))
    (signature,) = compile_kernels(module, Options(cached=False)).signatures
    assert signature_from_json(json.loads(json.dumps(signature_to_json(signature)))) == signature


@pytest.mark.parametrize(
    "damage", [{"params": 3}, {"results": [{"dtype": "f99", "dims": []}]}, {"sites": ["x"]}]
)
def test_a_damaged_signature_is_refused(code: KernelObject, damage: dict[str, Any]) -> None:
    value = signature_to_json(code.signatures[0]) | damage
    with pytest.raises(ValueError, match=r"not|invalid"):
        signature_from_json(value)


def test_running_a_kernel_imports_neither_xdsl_nor_lark(code: KernelObject, tmp_path: Path) -> None:
    (tmp_path / "k.o").write_bytes(code.object_code)
    (tmp_path / "k.json").write_text(json.dumps(signature_to_json(code.signatures[0])))
    program = """
import json, sys
from flowc.runtime.kernels import load, signature_from_json
signature = signature_from_json(json.load(open("k.json")))
kernel = load(open("k.o", "rb").read(), [signature])["scaled"]
print(kernel([[1.0, 2.0]], [1.0, 1.0], 2).tolist(), [n for n in ("xdsl", "lark") if n in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[[4.0, 6.0]] []"


def test_importing_the_module_imports_neither_numpy_nor_llvmlite() -> None:
    program = (
        "import sys, flowc.runtime.kernels; print([n for n in ('numpy', 'llvmlite') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))
    return tmp_path / "kernels"


def test_compiling_again_comes_from_the_cache(private_cache: Path) -> None:
    module = as_module(make_kernel(PAIR, scaled))
    first, second = compile_kernels(module), compile_kernels(module)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.object_code == second.object_code
    assert first.signatures == second.signatures
    assert not any(path.name.startswith(".") for path in private_cache.iterdir())


def test_a_damaged_cache_entry_is_compiled_anew(private_cache: Path) -> None:
    module = as_module(make_kernel(PAIR, scaled))
    compile_kernels(module)
    for entry in private_cache.iterdir():
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 1
        entry.write_bytes(bytes(data))
    assert not compile_kernels(module).from_cache
    assert compile_kernels(module).from_cache


def test_levels_do_not_share_cache_entries(private_cache: Path) -> None:
    module = as_module(make_kernel(PAIR, scaled))
    compile_kernels(module, Options(level=2))
    assert not compile_kernels(module, Options(level=0)).from_cache


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(blocked))
    assert not compile_kernels(as_module(make_kernel(PAIR, scaled))).from_cache
    assert object_cache.read("anything") is None
