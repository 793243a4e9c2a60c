"""A module of LLVM IR from a module of kernels: two forms of each kernel, and the C function that chooses
one.

The first form reads arrays whose last axis is contiguous, which is what vector loads want; the second takes
any strides. The C function unpacks the words described in `flowc.runtime.kernels`.
"""

from collections.abc import Callable, Iterable

from attrs import frozen
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    ArrayAttr,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    LocationAttr,
    ModuleOp,
    NameLoc,
)
from xdsl.ir import Attribute, SSAValue

from flowc.compiler.backends.llvm.emit import emit_function
from flowc.compiler.backends.llvm.function import FunctionEmitter
from flowc.compiler.backends.llvm.mathematics import definitions
from flowc.compiler.backends.llvm.target import Target
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import ShapeError, bits, dtype_of, is_float, shape_of
from flowc.passes.array_extents import Expression, ExtentAnalysis
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.runtime.kernels import Extent, KernelSignature, Parameter, Result, symbol


@frozen
class LlvmModule:
    """LLVM IR text and what a caller must know of the kernels in it."""

    text: str
    signatures: tuple[KernelSignature, ...]


def kernels_of(module: ModuleOp) -> list[KernelOp]:
    """The kernels of a module in order."""
    return [op for op in module.ops if isinstance(op, KernelOp)]


def emit_module(module: ModuleOp, target: Target) -> LlvmModule:
    """The LLVM IR of all kernels of a module."""
    parts: list[str] = []
    called: set[str] = set()
    signatures = []
    for kernel in kernels_of(module):
        texts, calls, signature = _emit_kernel(kernel, target)
        parts += texts
        called |= calls
        signatures.append(signature)
    bodies, declared = definitions(called, target.attributes)
    lines = [f'target triple = "{target.triple}"', *sorted(declared), *bodies, *parts]
    return LlvmModule("\n".join(lines) + "\n", tuple(signatures))


def _emit_kernel(kernel: KernelOp, target: Target) -> tuple[list[str], set[str], KernelSignature]:
    name = kernel.sym_name.data
    forms = [True, False] if any(shape_of(type_) for type_ in kernel.function_type.inputs) else [True]
    texts: list[str] = []
    called: set[str] = set()
    sites: list[LocationAttr] = []
    functions: list[tuple[str, func.FuncOp]] = []
    for unit_stride in forms:
        inner = f'"{symbol(name)}.{"unit" if unit_stride else "strided"}"'
        function, checks = lower_kernel(kernel, name, target.vector_bits, unit_stride)
        emitted = emit_function(function, inner, f"noinline {target.attributes}")
        texts.append("\n".join(emitted.lines))
        called |= emitted.called
        sites = checks.sites
        functions.append((inner, function))
    texts.append(_entry(kernel, functions, target))
    return texts, called, signature_of(kernel, sites)


def signature_of(kernel: KernelOp, sites: Iterable[LocationAttr] = ()) -> KernelSignature:
    """What a caller must know; raises ShapeError where a result's extent depends on computed values."""
    extents = ExtentAnalysis(kernel)
    parameters = tuple(
        Parameter(name, dtype_of(type_), shape_of(type_))
        for name, type_ in zip(kernel.arg_names, kernel.function_type.inputs, strict=True)
    )
    names: dict[Expression, str] = {}
    for position, parameter in enumerate(parameters):
        for axis, dimension in enumerate(parameter.dims):
            if isinstance(dimension, str) and dimension:
                names[("dim", position, axis)] = dimension
    results = []
    for value, type_ in zip(kernel.returned, kernel.function_type.outputs, strict=True):
        dims: list[Extent] = []
        for expression in extents.shape(value):
            _refuse_computed(kernel, expression)
            dims.append(names.get(expression, expression))
        results.append(Result(dtype_of(type_), tuple(dims)))
    return KernelSignature(kernel.sym_name.data, parameters, tuple(results), tuple(map(line_of, sites)))


def line_of(location: Attribute) -> int:
    """The source line of a location, 0 where unknown."""
    match location:
        case FileLineColLoc():
            return location.line.data
        case FusedLoc():
            return next((line for part in _parts(location) if (line := line_of(part))), 0)
        case CallSiteLoc():
            return line_of(location.callee)
        case NameLoc():
            return line_of(location.location)
    return 0


def _parts(location: FusedLoc) -> Iterable[Attribute]:
    return location.locations.data if isinstance(location.locations, ArrayAttr) else ()


def _refuse_computed(kernel: KernelOp, expression: object) -> None:
    if isinstance(expression, SSAValue):
        raise ShapeError(
            f"an extent of a result of kernel `{kernel.sym_name.data}` depends on values it "
            "computes; pass it as an argument instead"
        )
    if isinstance(expression, tuple):
        for part in expression:
            _refuse_computed(kernel, part)


def _entry(kernel: KernelOp, functions: list[tuple[str, func.FuncOp]], target: Target) -> str:
    """The C function: unpacks the words, looks at the last strides, calls the form that fits."""
    e = FunctionEmitter(target.attributes)
    place = 0

    def word(kind: str) -> str:
        nonlocal place
        address = e.emit(f"getelementptr inbounds i64, ptr %words, i64 {place}")
        place += 1
        return e.emit(f"load {kind}, ptr {address}")

    arguments: list[str] = []
    contiguous = "true"
    for type_ in kernel.function_type.inputs:
        shape = shape_of(type_)
        if not shape:
            arguments.append(_number(e, word, dtype_of(type_)))
            continue
        arguments.append(f"ptr {word('ptr')}")
        extents = [word("i64") for _ in shape]
        strides = [word("i64") for _ in shape]
        arguments += [f"i64 {text}" for text in (*extents, *strides)]
        unit = e.emit(f"icmp eq i64 {strides[-1]}, 1")
        short = e.emit(f"icmp sle i64 {extents[-1]}, 1")
        contiguous = e.emit(f"and i1 {contiguous}, {e.emit(f'or i1 {unit}, {short}')}")
    for type_ in kernel.function_type.outputs:
        arguments.append(f"ptr {word('ptr')}")
        arguments += [f"i64 {word('i64')}" for _ in shape_of(type_)]
    calls = [f"call i64 @{name}({', '.join(arguments)})" for name, _ in functions]
    head = [
        f'define i64 @"{symbol(kernel.sym_name.data)}"(ptr noalias %words) {target.attributes} {{',
        "entry:",
    ]
    if len(calls) == 1:
        return "\n".join([*head, *e.lines, f"  %r = {calls[0]}", "  ret i64 %r", "}"])
    tail = [f"  br i1 {contiguous}, label %unit, label %strided"]
    for label, call in zip(("unit", "strided"), calls, strict=True):
        tail += [f"{label}:", f"  %r.{label} = {call}", f"  ret i64 %r.{label}"]
    return "\n".join([*head, *e.lines, *tail, "}"])


def _number(e: FunctionEmitter, word: Callable[[str], str], dtype: str) -> str:
    """A number argument in the type the loops expect."""
    if not is_float(dtype):
        value = word("i64")
        if dtype == "bool":
            return f"i1 {e.emit(f'trunc i64 {value} to i1')}"
        return (
            f"i64 {value}"
            if dtype == "i64"
            else f"i{bits(dtype)} {e.emit(f'trunc i64 {value} to i{bits(dtype)}')}"
        )
    value = word("double")
    if dtype == "f64":
        return f"double {value}"
    single = e.emit(f"fptrunc double {value} to float")
    if dtype == "f32":
        return f"float {single}"
    if dtype == "f16":
        return f"half {e.emit(f'fptrunc float {single} to half')}"
    pattern = e.emit(f"lshr i32 {e.emit(f'bitcast float {single} to i32')}, 16")
    return f"i16 {e.emit(f'trunc i32 {pattern} to i16')}"
