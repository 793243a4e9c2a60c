"""Kernels on the emulated device against the same kernels on the processor.

Two results agree where they have the same shape and dtype and each number agrees: whole numbers and truth
values where they are equal; floats where both are NaN, both the same infinity, or they differ by at most ULPS
units in the last place of the dtype. The unit is that of the wanted number, but at least that of a thousandth
of the largest finite number of the result: sums are added in another order, and what cancels in them has lost
digits. Errors agree where code and line do.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from flowc.compiler.backends import cuda, llvm
from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import RefType
from flowc.passes.array_to_gpu import lower_kernel
from flowc.passes.array_to_gpu.lowering import TooWide
from flowc.passes.array_to_loops.checks import Checks
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.dtypes import FLOATS, dtype_name
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernel_arrays import places_of
from tests.cuda.lying import spread
from tests.cuda.written import module_of

ULPS: Mapping[str, int] = {"f64": 64, "f32": 64, "f16": 2, "bf16": 2}
"""Units in the last place that results may differ by; halves are computed in f32 and rounded once."""
_FLOOR = 1e-3

EVERY_FORM = os.environ.get("FLOWC_HYPOTHESIS") == "long"
"""Whether tests have their long form: kernels are compiled in all forms, also those that no call reaches, and
threads go in both orders. That takes most of the time."""
_ORDERS = ("forward", "reverse")
Kernels = str | ModuleOp | KernelOp


def agree(
    kernels: Kernels,
    *calls: Sequence[Any],
    name: str = "",
    ulps: int | None = None,
    level: int = 2,
    layouts: tuple[str, ...] | None = None,
    orders: Sequence[str] = (),
    sanitize: bool = True,
    wide: bool = False,
) -> list[Any]:
    """Calls a kernel of .flow text or IR with each tuple of arguments, on the processor and on the emulated
    device with each order of threads, or the usual ones, and compares; gives what the processor gives.

    `name` is needed where there are several kernels. The arguments are left as they are; what a kernel writes
    in place is compared too. `wide` runs the code for arrays of more than 2^30 elements.
    """
    module = as_module(kernels)
    native = on_processor(module, level, layouts)
    called = name or only(native)
    wanted = [_outcome(native[called], copied(call)) for call in calls]
    lying = _layouts(calls) if layouts is None and len(native) == 1 and not EVERY_FORM else layouts
    device = on_device(module, level, lying, wide=wide)
    for order in orders or _usual_orders(str(module)):
        given = [copied(call) for call in calls]
        asked = [emulated.Call(called, arguments) for arguments in given]
        got = emulated.run(device, asked, order=order, sanitize=sanitize)
        for place, (result, arguments, expected) in enumerate(zip(got, given, wanted, strict=True)):
            where = f"`{called}`, call {place}, threads {order}"
            assert_agrees(result, expected[0], where, ulps)
            for position, (one, other) in enumerate(zip(arguments, expected[1], strict=True)):
                if isinstance(one, np.ndarray):
                    assert_agrees(one, other, f"{where}, argument {position}", ulps)
    return [result for result, _ in wanted]


def _usual_orders(text: str) -> Sequence[str]:
    """Forward and reverse, of which each kernel has one, the same in every run, but both in the long form."""
    return _ORDERS if EVERY_FORM else (_ORDERS[zlib.crc32(text.encode()) % 2],)


def as_module(kernels: Kernels) -> ModuleOp:
    """Kernels as a module; text is that of a .flow program."""
    if isinstance(kernels, str):
        return module_of(kernels)
    return kernels if isinstance(kernels, ModuleOp) else ModuleOp([kernels.clone()])


def on_processor(
    module: ModuleOp, level: int = 2, layouts: tuple[str, ...] | None = None
) -> dict[str, Kernel]:
    """The kernels of a module as the CPU back end makes them, by name."""
    compiled = llvm.compile_kernels(module, llvm.Options(level=level, layouts=layouts))
    return load(compiled.object_code, compiled.signatures)


def on_device(
    module: ModuleOp, level: int = 2, layouts: tuple[str, ...] | None = None, *, wide: bool = False
) -> DeviceCode:
    """The kernels of a module as text for a device, with host code."""
    options = cuda.Options(level=level, architectures=(), layouts=layouts)
    if not wide and EVERY_FORM:
        return cuda.compile_kernels(module, options).code
    return cuda.compile_lowered(module, options, _wide if wide else narrow).code


def _layouts(calls: Sequence[Sequence[Any]]) -> tuple[str, ...] | None:
    """How the arguments of all calls lie, where all are dense: code for others would not be called."""
    if all(np.asarray(each).flags.c_contiguous for call in calls for each in call):
        return ("contiguous",) * len(calls[0])
    return None


def narrow(kernel: KernelOp, name: str, layouts: Sequence[str], small: bool) -> tuple[FuncOp, Checks]:
    """The usual lowering, but for positions of 64 bits, which no test's arrays need."""
    in_place = any(isinstance(type_, RefType) for type_ in kernel.function_type.inputs)
    if not small and not in_place:
        raise TooWide
    return lower_kernel(kernel, name, layouts, small)


def _wide(kernel: KernelOp, name: str, layouts: Sequence[str], narrow: bool) -> tuple[FuncOp, Checks]:
    """The usual lowering, to positions of 64 bits in every form."""
    return lower_kernel(kernel, name, layouts, False)


def only(kernels: Mapping[str, Kernel]) -> str:
    """The name of the only kernel."""
    if len(kernels) != 1:
        raise ValueError(f"which of {', '.join(kernels)}?")
    return next(iter(kernels))


def copied(call: Sequence[Any]) -> tuple[Any, ...]:
    """The same arguments in memory of their own, lying as they do."""
    return tuple(_copy(each) if isinstance(each, np.ndarray) else each for each in call)


def _copy(array: Any) -> Any:
    """An array with the same strides, in a copy of all bytes that it spans."""
    if array.flags.c_contiguous or not array.size:
        return array.copy()
    whole, start = spread(array)
    return np.ndarray(array.shape, array.dtype, whole, start, array.strides)


def _outcome(kernel: Kernel, arguments: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """What a call gives, or the error that it raises; and the arguments afterwards."""
    try:
        return kernel(*arguments), arguments
    except FlowError as error:
        return error, arguments


def assert_agrees(got: Any, wanted: Any, where: str = "", ulps: int | None = None) -> None:
    """Raises AssertionError where two outcomes do not agree, and says where they do worst."""
    if isinstance(wanted, FlowError) or isinstance(got, FlowError):
        assert isinstance(got, FlowError), f"{where}: no error, but {wanted} is wanted"
        assert isinstance(wanted, FlowError), f"{where}: {got}"
        mine, theirs = got.problem, wanted.problem
        assert (mine.code, mine.line) == (theirs.code, theirs.line), f"{where}: {got}, not {wanted}"
        return
    if isinstance(wanted, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(wanted), f"{where}: {len(got)} results, not {len(wanted)}"
        for place, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert_agrees(one, other, f"{where}, result {place}", ulps)
        return
    if wanted is None:
        assert got is None, f"{where}: {got!r}, not None"
        return
    one, other = np.asarray(got), np.asarray(wanted)
    assert one.dtype == other.dtype, f"{where}: elements {one.dtype}, not {other.dtype}"
    assert one.shape == other.shape, f"{where}: shape {one.shape}, not {other.shape}"
    dtype = dtype_name(other.dtype) or ""
    off = distance(one, other, dtype)
    most = ulps if ulps is not None else ULPS.get(dtype, 0)
    if off.size and not off.max() <= most:
        at = np.unravel_index(int(off.argmax()), off.shape)
        count = int((off > most).sum())
        raise AssertionError(
            f"{where}: {count} of {off.size} elements differ by more than {most} units; most at "
            f"{tuple(map(int, at))}: {one[at]!r}, not {other[at]!r} ({off[at]:g} units)"
        )


def distance(got: Any, wanted: Any, dtype: str) -> Any:
    """By how many units in the last place each number differs, by the rule of this module."""
    if dtype not in FLOATS:
        return np.where(got == wanted, 0.0, np.inf)
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), wanted.astype(np.float64)
        finite = np.isfinite(b)
        floor = _FLOOR * float(np.max(np.abs(b[finite]), initial=0.0))
        digits, least = places_of(dtype)
        size = np.maximum(np.maximum(np.abs(b), floor), np.ldexp(1.0, least))
        exponent = np.frexp(size)[1] - 1
        unit = np.ldexp(1.0, np.maximum(exponent - digits, least))
        off = np.abs(a - b) / unit
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(finite & np.isfinite(a), off, np.inf))
