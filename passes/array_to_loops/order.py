"""The order of operations in kernels that ask for one: as written (`array.precise`), or the same on every
machine (`array.reproducible`).

Nothing is left to LLVM: no operation may be reassociated or contracted. So that reductions are vectors all
the same, the order of a sum is one that vectors of any width can keep: element i of a block goes to lane i
modulo `LANES`, and lanes are added to one another by halves.

A step of a matrix product is a multiplication and an addition, each rounded, where operations are those that
are written; else it is one fused operation on every machine, as are those inside elementary functions.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, math, memref, scf, vector
from xdsl.dialects.builtin import IntegerType, UnitAttr, VectorType, f32, f64, i1, i8
from xdsl.dialects.utils import FastMathFlag
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.passes.array_to_loops.builder import LoopBuilder

LANES = 64
"""How many partial results a block of a reduction has: four vectors of the widest machine, for f32."""

_NONE = arith.FastMathFlagsAttr("none")
_COMBINING = (
    arith.AddfOp, arith.MulfOp, arith.MinimumfOp, arith.MaximumfOp, arith.AddiOp, arith.MuliOp, arith.AndIOp,
    arith.OrIOp, arith.MinSIOp, arith.MaxSIOp, arith.MinUIOp, arith.MaxUIOp,
)  # fmt: skip


def keep_order(kernel: KernelOp, function: Operation) -> None:
    """Fixes the order of every operation of a lowered kernel that asks for one."""
    precise, reproducible = (name in kernel.attributes for name in (PRECISE, REPRODUCIBLE))
    if not precise and not reproducible:
        return
    for op in list(function.walk()):
        if isinstance(op, scf.ForOp) and (steps := _steps_of(op)):
            _in_lanes(op, steps)
        elif isinstance(op, vector.FMAOp):
            _product_step(op, not precise)
    for op in function.walk():
        if "fastmath" in op.properties:
            op.properties["fastmath"] = _NONE
        if reproducible and op.dialect_name() == "math":
            op.attributes[REPRODUCIBLE] = UnitAttr()


def _product_step(op: vector.FMAOp, fused: bool) -> None:
    if fused:
        Rewriter.replace_op(op, math.FmaOp(op.lhs, op.rhs, op.acc))
        return
    product = arith.MulfOp(op.lhs, op.rhs)
    Rewriter.replace_op(op, [product, arith.AddfOp(op.acc, product.result)])


@frozen
class _Step:
    """How one carried value of a loop takes in an element: `op` combines `carried` with it."""

    op: Operation
    carried: SSAValue

    @property
    def stored(self) -> Attribute:
        """The type of a lane in memory."""
        return i8 if self.carried.type == i1 else self.carried.type


def _steps_of(loop: scf.ForOp) -> list[_Step]:
    """The steps of a loop that does nothing with what it carries but reduce, sums or products of floats among
    it; none for another loop."""
    last = loop.body.block.last_op
    assert isinstance(last, scf.YieldOp)
    steps = [
        _step(carried, result)
        for carried, result in zip(loop.body.block.args[1:], last.operands, strict=True)
    ]
    found = [step for step in steps if step is not None]
    free = any(_is_free(step.op) for step in found)
    return found if free and len(found) == len(steps) else []


def _step(carried: SSAValue, result: SSAValue) -> _Step | None:
    op = result.owner
    if not isinstance(op, _COMBINING) or len(list(carried.uses)) != 1 or len(list(result.uses)) != 1:
        return None
    return _Step(op, carried) if carried in op.operands else None


def _is_free(op: Operation) -> bool:
    flags = op.properties.get("fastmath")
    return isinstance(flags, arith.FastMathFlagsAttr) and FastMathFlag.REASSOC in flags.data


def _rounds(loop: scf.ForOp) -> int | None:
    """How many elements a loop takes, if it is known."""
    low, high = _known(loop.lb), _known(loop.ub)
    return None if low is None or high is None else max(high - low, 0)


def _lanes_of(rounds: int | None) -> int:
    """How many lanes have an element: the others of `LANES` would change nothing."""
    return LANES if rounds is None else min(LANES, max(2, 1 << (rounds - 1).bit_length()))


def _known(value: SSAValue) -> int | None:
    op = value.owner
    if isinstance(op, arith.ConstantOp) and hasattr(op.value, "value"):
        return int(op.value.value.data)
    return None


def _in_lanes(loop: scf.ForOp, steps: Sequence[_Step]) -> None:
    """Makes two loops of one: over parts of `LANES` elements, in each over the lanes, which lie in memory."""
    outside = Block()
    b = LoopBuilder(outside, loop.location)
    rounds = _rounds(loop)
    count = _lanes_of(rounds)
    lanes = [b.insert(memref.AllocaOp.get(step.stored, 64, shape=[count])) for step in steps]
    neutral = [_neutral(b, step) for step in steps]

    def clear(at: tuple[SSAValue, ...]) -> None:
        for lane, value in zip(lanes, neutral, strict=True):
            b.store(value, lane, at)

    def part(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        filled = rounds if rounds is not None and rounds <= LANES else b.min(LANES, b.sub(loop.ub, low))
        b.loop(0, filled, (), lambda lane, _: element(b.index(b.add(low, lane)), lane))
        return ()

    def element(i: SSAValue, lane: SSAValue) -> Sequence[SSAValue]:
        body = loop.body.block
        last = body.last_op
        assert isinstance(last, scf.YieldOp)
        before = [_held(b, step, b.load(memory, [lane])) for step, memory in zip(steps, lanes, strict=True)]
        for argument, value in zip(list(body.args), [i, *before], strict=True):
            argument.replace_all_uses_with(value)
        results = list(last.operands)
        Rewriter.erase_op(last)
        for op in list(body.ops):
            b.block.add_op(body.detach_op(op))
        for step, memory, value in zip(steps, lanes, results, strict=True):
            b.store(_stored(b, step, value), memory, [lane])
        return ()

    b.nest([count], clear)
    b.loop(loop.lb, loop.ub, (), part, step=LANES)
    results = [
        _combined(b, step, start, _by_halves(b, step, memory, count))
        for step, start, memory in zip(steps, loop.iter_args, lanes, strict=True)
    ]
    made = [outside.detach_op(op) for op in list(outside.ops)]
    Rewriter.insert_op(made, InsertPoint.before(loop))
    for result, value in zip(loop.results, results, strict=True):
        result.replace_all_uses_with(value)
    Rewriter.erase_op(loop)


def _held(b: LoopBuilder, step: _Step, value: SSAValue) -> SSAValue:
    return value if step.carried.type != i1 else b.compare("ne", value, b.constant(0, i8))


def _stored(b: LoopBuilder, step: _Step, value: SSAValue) -> SSAValue:
    return value if step.carried.type != i1 else b.insert(arith.ExtUIOp(value, i8))


def _combined(b: LoopBuilder, step: _Step, before: SSAValue, value: SSAValue) -> SSAValue:
    kind, flags = type(step.op), step.op.properties
    return b.insert(kind.create(operands=[before, value], result_types=[before.type], properties=flags))


def _by_halves(b: LoopBuilder, step: _Step, lanes: SSAValue, count: int) -> SSAValue:
    """Adds the second half of the lanes to the first, until one is left."""
    half = count // 2
    while half > 1:
        type_ = VectorType(step.stored, [half])
        first, second = (b.insert(vector.LoadOp(lanes, [b.index(place)], type_)) for place in (0, half))
        b.append(vector.StoreOp(_combined(b, step, first, second), lanes, [b.index(0)]))
        half //= 2
    value = _combined(b, step, b.load(lanes, [0]), b.load(lanes, [1]))
    return _held(b, step, value)


def _neutral(b: LoopBuilder, step: _Step) -> SSAValue:
    """What changes nothing in a lane; -0.0 is that of a sum, as 0.0 + -0.0 is not -0.0."""
    type_ = step.stored
    if type_ in (f32, f64):
        kinds: dict[type[Operation], float] = {
            arith.AddfOp: -0.0,
            arith.MulfOp: 1.0,
            arith.MinimumfOp: float("inf"),
            arith.MaximumfOp: float("-inf"),
        }
        return b.constant(kinds[type(step.op)], type_)
    assert isinstance(type_, IntegerType)
    low, high = -(1 << type_.width.data - 1), (1 << type_.width.data - 1) - 1
    whole: dict[type[Operation], int] = {
        arith.MuliOp: 1,
        arith.AndIOp: 1 if step.carried.type == i1 else -1,
        arith.MinSIOp: high,
        arith.MaxSIOp: low,
        arith.MinUIOp: -1,
    }
    return b.constant(whole.get(type(step.op), 0), type_)
