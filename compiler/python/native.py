"""From a function under `@jit` and the types of a call to object code."""

from typing import Any

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp, UnitAttr

from flowc.compiler.backends.llvm import KernelObject, Options, compile_kernels
from flowc.compiler.driver import room
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.numeric import Built, build
from flowc.compiler.python.numeric.parameters import Parameter
from flowc.compiler.python.specialise import ArgumentType
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp


@frozen
class Compiled:
    """A function as native code, and as the kernel that it was."""

    code: KernelObject
    built: Built


def compile_native(
    definition: Definition[..., Any],
    names: tuple[str, ...],
    types: tuple[ArgumentType, ...],
    mode: Mode,
    cached: bool,
) -> Compiled:
    """The native code of a function for such arguments; `cached` keeps it on disk by its kernel's text.

    Raises CompileError where there can be none, and NeedsFacts where more must be known of the arguments.
    """
    with room():
        built = built_of(definition, names, types, mode)
        layouts = [type_.layout for type_ in types if not type_.known]
        layouts += ["contiguous"] * len(built.captured)
        options = Options(level=mode.level, cached=cached, layouts=tuple(layouts))
        return Compiled(compile_kernels(ModuleOp([built.kernel]), options), built)


def kernel_of(
    definition: Definition[..., Any], names: tuple[str, ...], types: tuple[ArgumentType, ...], mode: Mode
) -> ModuleOp:
    """The function as a module with one kernel; raises CompileError where it cannot be one."""
    with room():
        return ModuleOp([built_of(definition, names, types, mode).kernel])


def built_of(
    definition: Definition[..., Any], names: tuple[str, ...], types: tuple[ArgumentType, ...], mode: Mode
) -> Built:
    """The function as a kernel with all that belongs to it."""
    parameters = [
        Parameter(
            name, type_.dtype, type_.dims, type_.value, type_.known, type_.same, type_.least, type_.turned
        )
        for name, type_ in zip(names, types, strict=True)
    ]
    built = build(definition, parameters, mode.in_rows)
    _mark(built.kernel, mode)
    return built


def _mark(kernel: KernelOp, mode: Mode) -> None:
    for name, wanted in ((PRECISE, mode.precise), (REPRODUCIBLE, mode.reproducible)):
        if wanted:
            kernel.attributes[name] = UnitAttr()
