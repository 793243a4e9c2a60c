"""The order of arithmetic: never that of threads; on request that of the program, or the same on every
machine."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp, UnitAttr

import flowc
from flowc.compiler.backends import llvm
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.jit import Jit
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.native import kernel_of
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE
from flowc.dialects.array.types import ShapeError
from flowc.runtime import object_cache, processor
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import load
from flowc.runtime.native import set_threads, threads
from flowc.runtime.processor import Processor
from flowc.testing.strategies.kernels import Program, programs
from tests.kernels.children import in_child
from tests.kernels.orders import ALMOST_ALL, FUNCTIONS, THREADED, numbers

LEVELS = {name: level for name, level in processor.portable().items() if processor.runs(name)}


@pytest.fixture(autouse=True)
def _the_number_of_threads_stays() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


@cache
def by_default(function: Callable[..., Any]) -> Jit[..., Any]:
    """The function compiled without flags, once for all tests."""
    return Jit(function)


def flat(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [array for each in result for array in flat(each)]
    return [np.asarray(result)]


def bits(array: Any) -> bytes:
    """The bits of an array; which NaN it is does not count."""
    if array.dtype.kind != "f":
        return bytes(array.tobytes())
    return bytes(np.where(np.isnan(array), array.dtype.type(np.nan), array).tobytes())


def on(level: Processor, function: Callable[..., Any], *arguments: Any, **flags: bool) -> list[Any]:
    """The results of a function compiled for a processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "host", lambda: level)
        return flat(flowc.jit(**flags)(function)(*arguments))  # type: ignore[call-overload]


@pytest.mark.alike(5)
@pytest.mark.parametrize("name", ALMOST_ALL)
def test_reproducible_bits_are_the_same_on_every_processor(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    set_threads(1)
    levels = list(LEVELS.values())
    first, *others = (on(level, function, *arguments, reproducible=True) for level in (levels[0], levels[-1]))
    for other in others:
        assert list(map(bits, other)) == list(map(bits, first))


@pytest.mark.alike(1)
@pytest.mark.parametrize("name", ["softmax", "matmul"])
def test_reproducible_bits_are_those_of_vectors_of_every_width(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    found = [on(level, function, *arguments, reproducible=True) for level in LEVELS.values()]
    assert all(list(map(bits, each)) == list(map(bits, found[0])) for each in found)


@pytest.mark.alike(3)
@pytest.mark.parametrize("name", THREADED)
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    large = [np.concatenate([each] * 6) for each in arguments]
    compiled = by_default(function)
    found = []
    for number in (1, 2):
        set_threads(number)
        found.append([bits(array) for array in flat(compiled(*large))])
    assert found[0] == found[1]


def _uneven(array: Any, rng: np.random.Generator) -> Any:
    """The argument with numbers whose sums are not exact."""
    if array.dtype.kind != "f":
        return array if array.ndim else array[()]
    return (array * rng.uniform(0.7, 1.3, array.shape)).astype(array.dtype)[()]


def _same_everywhere(program: Program, levels: list[Processor]) -> None:
    found = []
    rng = np.random.default_rng(0)
    arguments = [_uneven(each, rng) for each in map(np.asarray, program.arguments)]
    for level in levels:
        try:
            code = compile_kernels(program.module, Options(cached=False, target=level))
        except ShapeError:
            return
        kernel = load(code.object_code, code.signatures)["k"]
        for number in (1, 3):
            set_threads(number)
            try:
                found.append([bits(array) for array in flat(kernel(*arguments))])
            except FlowError as error:
                found.append([str(error).encode()])
    assert all(each == found[0] for each in found)


def examples(share: float) -> settings:
    number = max(int(share * settings.default.max_examples), 1)
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    return settings(
        max_examples=number, deadline=None, suppress_health_check=list(HealthCheck), phases=phases
    )


@examples(0.2)
@given(programs(), st.sampled_from([(REPRODUCIBLE,), (PRECISE, REPRODUCIBLE)]))
def test_generated_reproducible_kernels_give_the_same_bits_everywhere(
    program: Program, flags: tuple[str, ...]
) -> None:
    for flag in flags:
        program.kernel.attributes[flag] = UnitAttr()
    in_child(lambda: _same_everywhere(program, list(LEVELS.values())))


@examples(0.3)
@given(programs())
def test_generated_kernels_give_the_same_bits_for_any_number_of_threads(program: Program) -> None:
    in_child(lambda: _same_everywhere(program, [processor.host()]))


def written(x: Any, y: Any) -> Any:
    return (
        x * y + y, x * y - x * x, x / 3, (x + y) * 0.1 - x / y, np.maximum(x, y) * x + y * y, x**2, 1 / x,
        x / y * y, (x - y) * (x + y), abs(x) + y * x * 0.7, (x * 1.1 + 1) - 1,
    )  # fmt: skip


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("level", [0, 2])
def test_a_precise_kernel_rounds_each_operation_as_numpy_does(dtype: str, level: int) -> None:
    x, y = numbers(1001).astype(dtype), numbers(7, 143).ravel().astype(dtype)
    for got, wanted in zip(flowc.jit(precise=True, level=level)(written)(x, y), written(x, y), strict=True):
        assert got.dtype == wanted.dtype
        assert bits(got) == bits(wanted)


def times(x: Any, y: Any) -> Any:
    return x @ y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_precise_matrix_product_adds_rounded_products_in_order(dtype: str) -> None:
    x, y = numbers(50, 700).astype(dtype), numbers(700, 61).astype(dtype)
    wanted = np.zeros((50, 61), dtype)
    for k in range(700):
        wanted = wanted + x[:, k : k + 1] * y[k]
    assert bits(flowc.jit(precise=True)(times)(x, y)) == bits(wanted)


def total(x: Any) -> Any:
    return np.sum(x, axis=1)


@pytest.mark.parametrize("columns", [0, 1, 63, 64, 65, 1000, 1024, 1025, 5000])
def test_a_precise_sum_takes_the_stated_order(columns: int) -> None:
    x = numbers(3, columns)
    wanted = np.zeros(3, np.float64)
    for start in range(0, columns, 1024):
        block = x[:, start : start + 1024]
        lanes = np.zeros((3, 64), np.float32)
        for i in range(block.shape[1]):
            lanes[:, i % 64] += block[:, i]
        while lanes.shape[1] > 1:
            half = lanes.shape[1] // 2
            lanes = lanes[:, :half] + lanes[:, half:]
        wanted += lanes[:, 0]
    assert bits(flowc.jit(precise=True)(total)(x)) == bits(wanted.astype(np.float32))


def norms(x: Any) -> Any:
    return np.sqrt(np.mean(x * x, axis=1)) + np.sum(x * 0.5, axis=1)


@pytest.mark.parametrize("flags", [{"precise": True}, {"reproducible": True}])
def test_sums_in_a_stated_order_are_vectors_all_the_same(flags: dict[str, bool]) -> None:
    text = llvm_ir(Jit(norms, Mode(**flags)), numbers(64, 1000))
    lanes = processor.host().vector_bits // 32
    assert f"fadd <{lanes} x float>" in text


def llvm_ir(compiled: Jit[..., Any], *arguments: Any) -> str:
    """The LLVM IR of a function after the optimiser."""
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    return compile_kernels(ModuleOp([op.detach() or op for op in module.ops]), Options(listing=True)).llvm_ir


FLAGS = ("reassoc", "contract", "nsz", "arcp", "afn", "nnan", "ninf", "fast")


class Written(Exception):
    """The LLVM IR of a module, instead of its code."""


def flags_of(function: Callable[..., Any], arguments: Sequence[Any], **flags: bool) -> set[str]:
    """The flags of floating-point operations in the LLVM IR of a function; the optimiser adds none."""

    def written(*given: object) -> None:
        raise Written("\n".join(each for each in given if isinstance(each, str)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm, "assemble", written)
        patch.setattr(object_cache, "read", lambda _: None)
        with pytest.raises(Written) as found:
            flowc.jit(**flags)(function)(*arguments)  # type: ignore[call-overload]
    return flags_in(str(found.value))


def flags_in(text: str) -> set[str]:
    words = {word for line in text.splitlines() if " = " in line for word in line.split("=", 1)[1].split()}
    return words & set(FLAGS)


@pytest.mark.alike(3)
@pytest.mark.parametrize("name", THREADED)
def test_nothing_is_assumed_about_nan_infinities_or_divisions(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    assert flags_of(function, arguments) <= {"reassoc", "contract", "nsz"}


@pytest.mark.parametrize("flags", [{"precise": True}, {"reproducible": True}])
@pytest.mark.parametrize("name", ["sums", "softmax", "matmul"])
def test_nothing_is_left_to_llvm_where_an_order_is_asked_for(name: str, flags: dict[str, bool]) -> None:
    function, arguments = FUNCTIONS[name]
    assert not flags_of(function, arguments, **flags)
