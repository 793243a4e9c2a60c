"""From a function under `@jit` and the types of a call to native code."""

from collections.abc import Callable
from typing import Any

from flowc.compiler.backends.llvm import compile_kernels
from flowc.compiler.checker import check_kernel
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import room
from flowc.compiler.lower import lower
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.program import build_kernel
from flowc.compiler.python.specialise import ArgumentType
from flowc.runtime.kernels import load
from flowc.runtime.types import Array, Scalar, Type


def compile_native(
    definition: Definition[..., Any], names: tuple[str, ...], types: tuple[ArgumentType, ...]
) -> Callable[..., Any]:
    """The native code of a function for such arguments; raises CompileError where there can be none."""
    fixed = {name: type_.value for name, type_ in zip(names, types, strict=True) if type_.value is not None}
    built = build_kernel(definition, fixed)
    try:
        with room():
            given = [_type(type_) for type_ in types if type_.value is None]
            checked = check_kernel(built.kernel, given, built.source, program=built.program)
            compiled = compile_kernels(lower(checked))
    except CompileError as error:
        raise built.sources.relocate(error) from None
    kernel = load(compiled.object_code, compiled.signatures)[built.kernel.name]
    if not fixed:
        return kernel
    kept = [position for position, type_ in enumerate(types) if type_.value is None]
    return lambda *arguments: kernel(*[arguments[position] for position in kept])


def _type(argument: ArgumentType) -> Type:
    return Array(argument.dtype, argument.dims) if argument.dims else Scalar(argument.dtype)
