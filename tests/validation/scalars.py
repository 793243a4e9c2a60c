"""The scalar rules of kernels, run on symbolic elements: what a lowering builds becomes terms."""

from collections.abc import Callable, Sequence

import z3
from xdsl.dialects.builtin import Float32Type, UnknownLoc, f32
from xdsl.ir import Block, SSAValue

from flowc.dialects.array.kinds import arity
from flowc.dialects.array.types import is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import LoopBuilder
from tests.validation import scalar_meaning
from tests.validation.machine import Machine, Term
from tests.validation.prover import SECONDS, prove

Build = Callable[[LoopBuilder, Sequence[SSAValue]], SSAValue]


def built(
    build: Build, dtypes: Sequence[str], machine: Machine | None = None
) -> tuple[list[Term], Term, Machine]:
    """What a lowering makes of leaves `x0`, `x1`, ... held as these dtypes: the leaves, its result, and the
    machine that ran it.
    """
    machine = machine or Machine()
    block = Block(arg_types=[scalars.held_type(dtype) for dtype in dtypes])
    leaves = [machine.fresh(f"x{number}", value) for number, value in enumerate(block.args)]
    result = build(LoopBuilder(block, UnknownLoc()), block.args)
    machine.run(block)
    return leaves, machine.values[result], machine


def prove_operator(kind: str, dtype: str, seconds: float = SECONDS) -> None:
    """An elementwise operator gives what it means for all elements, and nothing that LLVM leaves open."""
    count = arity[kind]
    leaves, result, machine = built(lambda b, xs: scalars.apply(b, kind, dtype, xs), [dtype] * count)
    if dtype == "bool":
        claim = scalar_meaning.of_bools(kind, leaves, result)
    elif is_float(dtype):
        claim = scalar_meaning.of_floats(kind, leaves, result)
    else:
        claim = scalar_meaning.of_integers(kind, dtype != "u8", leaves, result)
    _prove(f"{kind} of {dtype}", claim, leaves, result, machine, seconds)


def prove_conversion(source: str, target: str, seconds: float = SECONDS) -> None:
    """A conversion gives the value as the other dtype, for all values."""
    leaves, result, machine = built(lambda b, xs: scalars.convert(b, xs[0], source, target), [source])
    claim = scalar_meaning.converted(source, target, leaves[0], result)
    _prove(f"{source} as {target}", claim, leaves, result, machine, seconds)


def _prove(
    name: str,
    claim: Term,
    leaves: Sequence[Term],
    result: Term,
    machine: Machine,
    seconds: float,
) -> None:
    shown = {f"x{number}": leaf for number, leaf in enumerate(leaves)} | {"result": result}
    for condition in machine.defined:
        prove(condition, shown=shown, name=f"{name}: that it is defined", seconds=seconds)
    prove(claim, shown=shown, name=name, seconds=seconds)


def prove_power(exponent: float, seconds: float = SECONDS) -> None:
    """A power that is written out: as C's `pow` has it, also of zeros, infinities and NaN. The steps are
    those of f32, taken in a small format.
    """

    def build(b: LoopBuilder, xs: Sequence[SSAValue]) -> SSAValue:
        return scalars.apply(b, "pow", "f32", [xs[0], b.constant(exponent, f32)])

    machine = Machine(formats={Float32Type: z3.FPSort(4, 5)})
    leaves, result, _ = built(build, ["f32"], machine)
    wanted = scalar_meaning.POWERS[exponent](leaves[0])
    _prove(f"x ** {exponent}", wanted == result, leaves, result, machine, seconds)
