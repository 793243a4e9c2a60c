"""The ways that are open for a kernel's code: which operators to recompute, how wide tiles are, which form
products take.

Only ways that differ are alternatives: a price at which the same operators are recomputed is the same way.
"""

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen
from xdsl.ir import Operation

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.fuse_array import fuse_kernel
from flowc.passes.kernel_choices import DEFAULT, NOTHING, Choices, choices_of, choose

RECOMPUTE = (0, 16, 64, NOTHING)
STRIPS = (64, 512)
NEAR = (0, 1 << 20, 1 << 24)

QUESTIONS: Mapping[str, str] = {"recompute": "fusion", "strip": "tile", "near": "product"}
"""What each choice is about, in a word."""


@frozen(eq=False)
class Way:
    """One way: a kernel fused so, and the choice by which it differs from the default, `name` for people."""

    choice: str
    name: str
    choices: Choices
    kernel: KernelOp


def default_way(kernel: KernelOp) -> Way:
    """The way in which a prepared kernel goes if nothing is decided; the kernel itself stays as it is."""
    return _way(kernel, "", "as usual", choices_of(kernel))


def alternatives(kernel: KernelOp, usual: Way) -> list[Way]:
    """The other ways of a prepared kernel, each of which differs in one choice.

    None for a kernel whose order of operations is bound, or for which choices were made already.
    """
    if {PRECISE, REPRODUCIBLE} & set(kernel.attributes) or choices_of(kernel) != DEFAULT:
        return []
    found = _fusions(kernel, usual)
    operators = list(usual.kernel.walk())
    if any(_goes_down(op) for op in operators):
        found += [
            Way("strip", f"{strip} columns", evolve(DEFAULT, strip=strip), usual.kernel) for strip in STRIPS
        ]
    if any(_may_be_packed(op) for op in operators):
        found += [Way("near", _near(near), evolve(DEFAULT, near=near), usual.kernel) for near in NEAR]
    return found


def name_of(choice: str, choices: Choices) -> str:
    """What a choice comes to, for a person."""
    match choice:
        case "recompute":
            return _fusion(choices.recompute)
        case "strip":
            return f"{choices.strip} columns"
        case "near":
            return _near(choices.near)
    return f"{choices.work} % of the work"


def marks(kernel: KernelOp) -> tuple[bool, ...]:
    """Which operators of a fused kernel are recomputed, in order."""
    return tuple("inline" in op.properties for op in kernel.walk())


def _fusions(kernel: KernelOp, usual: Way) -> list[Way]:
    seen = {marks(usual.kernel)}
    found = []
    for price in RECOMPUTE:
        way = _way(kernel, "recompute", _fusion(price), evolve(DEFAULT, recompute=price))
        if marks(way.kernel) not in seen:
            seen.add(marks(way.kernel))
            found.append(way)
    return found


def _way(kernel: KernelOp, choice: str, name: str, choices: Choices) -> Way:
    copy = kernel.clone()
    choose(copy, choices)
    fuse_kernel(copy)
    return Way(choice, name, choices, copy)


def _fusion(price: int) -> str:
    if price == NOTHING:
        return "store all"
    return f"recompute up to {price} operations" if price else "recompute what is used once"


def _near(near: int) -> str:
    return f"pack from {near >> 10:,} KB on" if near else "pack always"


def _goes_down(op: Operation) -> bool:
    """Whether an operator needs whole columns, or other lines that do not lie in one row."""
    match op:
        case ops.ReduceOp():
            last = len(shape_of(op.source.type)) - 1
            return last > 0 and last not in op.axes.get_values()
        case ops.ArgReduceOp() | ops.SoftmaxOp():
            return op.axis.value.data < len(shape_of(op.operands[0].type)) - 1
    return False


def _may_be_packed(op: Operation) -> bool:
    """Whether an operator is a product that has rows and columns, of floats."""
    if not isinstance(op, ops.ContractOp) or dtype_of(op.result.type) not in ("f32", "f64"):
        return False
    return min(len(shape_of(operand.type)) for operand in (op.left, op.right)) > 1


def changed(usual: Way, way: Way) -> Sequence[tuple[Operation, bool]]:
    """The operators that another way treats differently, and whether it recomputes them."""
    pairs = zip(usual.kernel.walk(), way.kernel.walk(), strict=True)
    return [
        (theirs, "inline" in theirs.properties)
        for ours, theirs in pairs
        if ("inline" in ours.properties) != ("inline" in theirs.properties)
    ]
