"""Products on the emulated device: many kernels in one module, since its compiler is slow to start.

Factors are small whole numbers, so that every order of the sums gives the same bits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from attrs import field, frozen
from xdsl.dialects.func import FuncOp

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_gpu.contract import lower
from flowc.passes.array_to_gpu.lowering import TooWide
from flowc.passes.array_to_loops.checks import Checks
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.dtypes import numpy_dtype
from tests.cuda.comparing import EVERY_FORM, as_module, assert_agrees, narrow, on_processor

Shape = tuple[int, ...]


@frozen
class Case:
    """A kernel by its parameters, dtype and shape each, its result and what it returns; `turned` are the
    parameters that are given as views of arrays which lie the other way round. `extents` are written in the
    place of those parameters' shapes: names of what the call says."""

    parameters: Mapping[str, tuple[str, Shape]]
    result: str
    body: str
    turned: tuple[str, ...] = ()
    decorator: str = ""
    extents: Mapping[str, str] = field(factory=dict)
    numbers: range = field(default=range(-3, 4))

    def text(self, name: str) -> str:
        """The kernel as a program."""
        parameters = ", ".join(
            f"{key}: {each[0]}[{self.extents[key]}]" if key in self.extents else f"{key}: {_type(*each)}"
            for key, each in self.parameters.items()
        )
        lines = self.body.split("\n")
        lines[-1] = f"return {lines[-1]}"
        head = f"{self.decorator}\n" if self.decorator else ""
        return "\n".join(
            [f"{head}kernel {name}({parameters}) -> {self.result}:", *(f"    {x}" for x in lines)]
        )

    def arguments(self, seed: int) -> tuple[Any, ...]:
        """An array, or a number, for each parameter."""
        random = np.random.default_rng(seed)
        return tuple(self._argument(random, name, *each) for name, each in self.parameters.items())

    def _argument(self, random: np.random.Generator, name: str, dtype: str, shape: Shape) -> Any:
        numbers = random.choice(np.array(self.numbers), size=shape)
        array = (numbers == 0 if dtype == "bool" else numbers).astype(numpy_dtype(dtype))
        if name in self.turned:
            array = np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
        return array if shape else array[()]


def _type(dtype: str, shape: Shape) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]" if shape else dtype


def product(
    dtype: str, rows: int, depth: int, columns: int, body: str = "x @ w", others: Sequence[str] = ()
) -> Case:
    """A product of two matrices; `others` are more parameters, written as `name: dtype[shape]`."""
    parameters = {"x": (dtype, (rows, depth)), "w": (dtype, (depth, columns))}
    for other in others:
        name, type_ = other.split(": ")
        kind, _, rest = type_.partition("[")
        parameters[name] = (kind, tuple(map(int, rest[:-1].split(", "))) if rest else ())
    return Case(parameters, f"{dtype}[{rows}, {columns}]", body)


def compiled(cases: Mapping[str, Case], *, dense: bool = False) -> DeviceCode:
    """The kernels of some cases for a device; for dense arrays alone if no call has others."""
    module = as_module("\n\n".join(case.text(name) for name, case in cases.items()))
    options = cuda.Options(architectures=(), cached=False)
    if EVERY_FORM:
        return cuda.compile_kernels(module, options).code
    return cuda.compile_lowered(module, options, _dense if dense else narrow).code


def _dense(kernel: KernelOp, name: str, layouts: Sequence[str], small: bool) -> tuple[FuncOp, Checks]:
    """The usual lowering of the form for dense arrays alone."""
    if set(layouts) != {"contiguous"}:
        raise TooWide
    return narrow(kernel, name, layouts, small)


def check(cases: Mapping[str, Case], order: str, ulps: int = 0) -> DeviceCode:
    """Runs all cases on the emulated device, and compares each with the processor; gives the code."""
    cases = {f"of_{name}": case for name, case in cases.items()}
    module = as_module("\n\n".join(case.text(name) for name, case in cases.items()))
    native = on_processor(module)
    code = compiled(cases, dense=not any(case.turned for case in cases.values()))
    calls = [emulated.Call(name, case.arguments(place)) for place, (name, case) in enumerate(cases.items())]
    got = emulated.run(code, calls, order=order, seed=1)
    for call, result in zip(calls, got, strict=True):
        assert_agrees(result, native[call.kernel](*call.arguments), call.kernel, ulps)
    return code


def check_calls(calls: Sequence[Case], order: str) -> None:
    """Calls of one kernel, that of the first case, as `check` does."""
    name = "kernel_of_all"
    module = as_module(calls[0].text(name))
    native = on_processor(module)[name]
    code = compiled({name: calls[0]}, dense=not any(case.turned for case in calls))
    given = [emulated.Call(name, case.arguments(place)) for place, case in enumerate(calls)]
    for call, result in zip(given, emulated.run(code, given, order=order, seed=1), strict=True):
        shapes = ", ".join(str(getattr(each, "shape", ())) for each in call.arguments)
        assert_agrees(result, native(*call.arguments), f"{name} of {shapes}", 0)


def large_tiles(patch: pytest.MonkeyPatch) -> None:
    """Tiles of the larger sizes for products of any size."""
    patch.setattr(lower, "ENOUGH", 1)
