"""The C function of a kernel: unpacks the words described in `flowc.runtime.kernels` and calls the form that
fits how the arrays lie."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from attrs import frozen

from flowc.compiler.backends.llvm.function import FunctionEmitter
from flowc.compiler.backends.llvm.target import Target
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from flowc.runtime.dtypes import itemsizes
from flowc.runtime.kernel_failures import ODD_ADDRESS
from flowc.runtime.kernels import symbol


@frozen
class Form:
    """The function of a kernel that is made for certain layouts of its arguments."""

    function: str
    layouts: tuple[str, ...]


@frozen
class Array:
    """An array argument as the entry reads it."""

    pointer: str
    extents: tuple[str, ...]
    strides: tuple[str, ...]


@frozen
class Words:
    """What the words of a call say: the arguments, numbers as LLVM passes them; the results, which lie
    contiguous and have no strides; and `more`, addresses behind what every kernel gets."""

    arguments: list[Array | str]
    results: list[Array]
    more: list[str]


def emit_entry(kernel: KernelOp, forms: Sequence[Form], target: Target) -> tuple[str, set[str]]:
    """The text of the entry, and what the module must have for it.

    Of several forms the first that the arrays allow is called; the last takes any.
    A form gets of each array its address and its extents, then its strides unless it lies contiguous.
    """
    e = FunctionEmitter(target.attributes)
    words = unpack(e, kernel)
    head = f'define i64 @"{symbol(kernel.sym_name.data)}"(ptr noalias %words) {target.attributes} {{'
    for position, form in enumerate(forms):
        if position < len(forms) - 1:
            fits = fits_layouts(e, words.arguments, form.layouts)
            e.do(f"br i1 {fits}, label %form{position}, label %form{position}.not")
            e.lines.append(f"form{position}:")
        passed = passed_to(words, form.layouts)
        status = e.emit(f"call i64 @{form.function}({', '.join(passed)})")
        e.do(f"ret i64 {status}")
        if position < len(forms) - 1:
            e.lines.append(f"form{position}.not:")
    return "\n".join([head, "entry:", *e.lines, "}"]), e.called


def passed_to(words: Words, layouts: Sequence[str]) -> list[str]:
    """Arguments and results as a form for certain layouts takes them."""
    pairs = [*zip(words.arguments, layouts, strict=True), *((each, "contiguous") for each in words.results)]
    return [text for each, layout in pairs for text in _passed(each, layout)]


def _passed(argument: Array | str, layout: str) -> list[str]:
    if isinstance(argument, str):
        return [argument]
    numbers = argument.extents if layout == "contiguous" else (*argument.extents, *argument.strides)
    return [f"ptr {argument.pointer}", *(f"i64 {text}" for text in numbers)]


def unpack(e: FunctionEmitter, kernel: KernelOp, more: int = 0) -> Words:
    """Reads the words of a call, with so many addresses behind them.

    Returns ODD_ADDRESS where an address is no multiple of the size of an element.
    """

    def word(kind: str, place: int) -> str:
        return e.emit(f"load {kind}, ptr {e.emit(f'getelementptr inbounds i64, ptr %words, i64 {place}')}")

    def address(place: int) -> str:
        cell = e.emit(f"getelementptr i8, ptr {word('ptr', place)}, i64 {offset}")
        return e.emit(f"load ptr, ptr {cell}")

    inputs, outputs = kernel.function_type.inputs.data, kernel.function_type.outputs.data
    tail = count(len(inputs) + len(outputs))
    offset = word("i64", next(tail))
    arguments: list[Array | str] = []
    results: list[Array] = []
    odd = "0"
    for place, type_ in enumerate(inputs):
        shape = shape_of(type_)
        if not shape:
            arguments.append(_number(e, partial(word, place=place), dtype_of(type_)))
            continue
        pointer = address(place)
        low = e.emit(f"and i64 {e.emit(f'ptrtoint ptr {pointer} to i64')}, {itemsizes[dtype_of(type_)] - 1}")
        odd = e.emit(f"or i64 {odd}, {low}")
        extents = tuple([word("i64", next(tail)) for _ in shape])
        strides = tuple([word("i64", next(tail)) for _ in shape])
        arguments.append(Array(pointer, extents, strides))
    for place, type_ in enumerate(outputs, len(inputs)):
        pointer = address(place)
        results.append(Array(pointer, tuple([word("i64", next(tail)) for _ in shape_of(type_)]), ()))
    further = [word("ptr", next(tail)) for _ in range(more)]
    e.do(f"br i1 {e.emit(f'icmp eq i64 {odd}, 0')}, label %even, label %odd")
    e.lines += ["odd:", f"  ret i64 {ODD_ADDRESS}", "even:"]
    return Words(arguments, results, further)


def fits_layouts(e: FunctionEmitter, arguments: Sequence[Array | str], layouts: Sequence[str]) -> str:
    """Whether every array lies as its word says; an axis of one element may have any stride."""
    result = "true"
    for argument, layout in zip(arguments, layouts, strict=True):
        if isinstance(argument, str) or layout == "any":
            continue
        wanted = "1"
        axes = list(zip(argument.extents, argument.strides, strict=True))
        for extent, stride in reversed(axes if layout == "contiguous" else axes[-1:]):
            equal = e.emit(f"icmp eq i64 {stride}, {wanted}")
            short = e.emit(f"icmp sle i64 {extent}, 1")
            result = e.emit(f"and i1 {result}, {e.emit(f'or i1 {equal}, {short}')}")
            wanted = e.emit(f"mul i64 {wanted}, {extent}")
    return result


def _number(e: FunctionEmitter, word: Callable[[str], str], dtype: str) -> str:
    """A number argument in the type the loops expect."""
    if not is_float(dtype):
        value = word("i64")
        if dtype == "bool":
            return f"i1 {e.emit(f'trunc i64 {value} to i1')}"
        width = bits(dtype)
        return f"i64 {value}" if width == 64 else f"i{width} {e.emit(f'trunc i64 {value} to i{width}')}"
    value = word("double")
    if dtype == "f64":
        return f"double {value}"
    single = e.emit(f"fptrunc double {value} to float")
    if dtype == "f32":
        return f"float {single}"
    if dtype == "f16":
        return f"half {e.call('flowc.to_half.f32', 'half', [f'float {single}'])}"
    pattern = e.emit(f"lshr i32 {e.emit(f'bitcast float {single} to i32')}, 16")
    return f"i16 {e.emit(f'trunc i32 {pattern} to i16')}"
