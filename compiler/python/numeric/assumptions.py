"""What a kernel would gain from knowing more of a call: that extents are long enough for the slices taken
of them,
and which whole numbers are extents."""

from collections.abc import Iterator, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, i64

from flowc.compiler.python.facts import Facts
from flowc.compiler.python.numeric.parameters import Parameter
from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_extents import LEAST, ExtentAnalysis
from flowc.passes.extent_algebra import Expression

LONGEST = 64
"""No more than this is asked of an extent: shorter ones have code of their own, and there shall be few."""


def state(kernel: KernelOp, parameters: Sequence[Parameter]) -> None:
    """Writes what is known of the least extents into the kernel."""
    least: dict[str, int] = {}
    for parameter in parameters:
        for extent, number in zip(parameter.dims, parameter.least, strict=False):
            if isinstance(extent, str) and number:
                least[extent] = max(least.get(extent, 0), number)
    if least:
        kernel.attributes[LEAST] = DictionaryAttr({name: IntegerAttr(n, i64) for name, n in least.items()})


def wanted(kernel: KernelOp, parameters: Sequence[Parameter]) -> Facts:
    """What the kernel would gain from and is not told yet."""
    extents = ExtentAnalysis(kernel)
    known = {name: n.value.data for name, n in _stated(kernel)}
    needs: dict[str, int] = {}
    numbers: set[int] = set()
    for op in kernel.walk():
        if isinstance(op, ops.SliceOp):
            for axis in range(len(op.slices.axes)):
                need = extents.least_needed(op, axis)
                if need is not None and known.get(need[0], 0) < need[1] <= LONGEST:
                    needs[need[0]] = max(needs.get(need[0], 0), need[1])
            for bound in op.bounds:
                numbers |= set(_arguments(extents.scalar(bound)))
        elif isinstance(op, scf.ForOp):
            numbers |= {*_arguments(extents.scalar(op.lb)), *_arguments(extents.scalar(op.ub))}
    names = {kernel.arg_names[position] for position in numbers}
    return Facts(
        matches=frozenset(
            p.name for p in parameters if p.name in names and p.dtype == "int" and p.same is None
        ),
        least=frozenset(
            (parameter.name, axis, needs[extent])
            for parameter in parameters
            for axis, extent in enumerate(parameter.dims)
            if isinstance(extent, str) and extent in needs
        ),
    )


def _stated(kernel: KernelOp) -> Iterator[tuple[str, IntegerAttr]]:
    given = kernel.attributes.get(LEAST)
    if isinstance(given, DictionaryAttr):
        for name, number in given.data.items():
            if isinstance(number, IntegerAttr):
                yield name, number


def _arguments(expression: Expression) -> Iterator[int]:
    """The positions of the arguments that an expression names."""
    match expression:
        case ("scalar", int(position)):
            yield position
        case (str(), *parts):
            for part in parts:
                if isinstance(part, tuple):
                    yield from _arguments(part)
