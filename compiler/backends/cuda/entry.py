"""The C function of a kernel on a device: unpacks the words and calls the form that fits its arrays.

Of code with narrow positions and of code with wide ones, the narrow runs where no array is too large for it.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects.builtin import f64

from flowc.compiler.backends.llvm.entry import Array, Words, fits_layouts, passed_to, unpack
from flowc.compiler.backends.llvm.function import FunctionEmitter, number
from flowc.compiler.backends.llvm.target import Target
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_gpu.limits import MOST_NARROW, TOO_WIDE
from flowc.runtime.kernels import symbol


@frozen
class DeviceForm:
    """The host function that is made for certain layouts; `narrow` says that positions have 32 bits, and
    `may_stop` that it may find memory of its own too large for that."""

    function: str
    layouts: tuple[str, ...]
    narrow: bool = False
    may_stop: bool = False


def emit_device_entry(kernel: KernelOp, forms: Sequence[DeviceForm], target: Target) -> tuple[str, set[str]]:
    """The text of the entry, and what the module must have for it.

    The first form that the arrays allow is called. The last takes any, and is called too where a narrow one
    stops. Behind what a form of the CPU gets, each gets the address of the device's table, the last word.
    """
    e = FunctionEmitter(target.attributes)
    words = unpack(e, kernel, more=1)
    small = _small(e, words) if any(form.narrow for form in forms) else "true"
    for position, form in enumerate(forms[:-1]):
        here, following = f"form{position}", f"form{position + 1}.look"
        fits = fits_layouts(e, words.arguments, form.layouts)
        if form.narrow:
            fits = e.emit(f"and i1 {fits}, {small}")
        e.do(f"br i1 {fits}, label %{here}, label %{following}")
        e.lines.append(f"{here}:")
        status = _call(e, form, words)
        if form.may_stop:
            stopped = e.emit(f"icmp eq i64 {status}, {TOO_WIDE}")
            e.do(f"br i1 {stopped}, label %last, label %{here}.done")
            e.lines.append(f"{here}.done:")
        e.do(f"ret i64 {status}")
        e.lines.append(f"{following}:")
    e.do("br label %last")
    e.lines.append("last:")
    e.do(f"ret i64 {_call(e, forms[-1], words)}")
    head = f'define i64 @"{symbol(kernel.sym_name.data)}"(ptr noalias %words) {target.attributes} {{'
    return "\n".join([head, "entry:", *e.lines, "}"]), e.called


def _call(e: FunctionEmitter, form: DeviceForm, words: Words) -> str:
    passed = [*passed_to(words, form.layouts), *(f"ptr {each}" for each in words.more)]
    return e.emit(f"call i64 @{form.function}({', '.join(passed)})")


def _small(e: FunctionEmitter, words: Words) -> str:
    """Whether positions of 32 bits reach every element; counted in floats, which do not overflow."""
    result = "true"
    for array in (*words.arguments, *words.results):
        if isinstance(array, str):
            continue
        for size in (_count(e, array), _span(e, array)):
            below = e.emit(f"fcmp olt double {size}, {number(float(MOST_NARROW), f64)}")
            result = e.emit(f"and i1 {result}, {below}")
    return result


def _count(e: FunctionEmitter, array: Array) -> str:
    """How many elements an array has."""
    count = number(1.0, f64)
    for extent in array.extents:
        count = e.emit(f"fmul double {count}, {e.emit(f'sitofp i64 {extent} to double')}")
    return count


def _span(e: FunctionEmitter, array: Array) -> str:
    """How many elements lie between its first and its last one in memory."""
    span = number(0.0, f64)
    for extent, stride in zip(array.extents, array.strides, strict=False):
        last = e.emit(f"sitofp i64 {e.emit(f'sub i64 {extent}, 1')} to double")
        distance = e.call("llvm.abs.i64", "i64", [f"i64 {stride}", "i1 false"])
        reach = e.emit(f"fmul double {last}, {e.emit(f'sitofp i64 {distance} to double')}")
        span = e.emit(f"fadd double {span}, {reach}")
    return span
