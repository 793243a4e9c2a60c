"""Building structured loops: index arithmetic that folds, counted loops with carried values, memory.

An index is a Python number while it is known, and an SSA value of type `index` once it is not, so that the
loops of a kernel with static extents come out with constants.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from attrs import frozen
from xdsl.dialects import arith, memref, scf, vector
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AnyFloat,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    LocationAttr,
    MemRefType,
    UnitAttr,
    VectorType,
    i1,
    i8,
    i64,
)
from xdsl.dialects.utils import FastMathFlag
from xdsl.ir import Attribute, Block, Operation, OpResult, Region, SSAValue
from xdsl.irdl import IRDLOperation

from flowc.dialects.loops import LANES, MASKED, PLAIN, ROLLED, UNPREDICTABLE, EndOp, ParallelOp, StepOp

Index = int | SSAValue


FEW = 8
"""As many neighbours as LLVM puts vectors together from, and takes them apart to, in registers: points,
colours."""


@frozen
class Range:
    """The positions from `low` to below `high` along an axis, at most `bound` of them; `single` where that is
    known to be one."""

    low: Index
    high: Index
    single: bool = False
    bound: Index | None = None

    @property
    def room(self) -> Index:
        """How many positions there are at most, known ahead of all loops."""
        return 1 if self.single else self.high if self.bound is None else self.bound

    @property
    def few(self) -> int:
        """How many positions there are if they are the first `FEW` or fewer, else 0."""
        return self.high if self.low == 0 and isinstance(self.high, int) and self.high <= FEW else 0


index_type = IndexType()
CONTRACT = arith.FastMathFlagsAttr([FastMathFlag.ALLOW_CONTRACT])
"""A product and a sum may become one fused operation; nothing else about a written expression changes."""
REASSOCIATE = arith.FastMathFlagsAttr([FastMathFlag.REASSOC, FastMathFlag.ALLOW_CONTRACT])
"""For the partial sums of a reduction, whose order is not the program's."""
EXTREME = arith.FastMathFlagsAttr([FastMathFlag.NO_SIGNED_ZEROS])
"""For minima and maxima, which do not tell -0.0 from 0.0."""


_PREDICATES = {name: IntegerAttr(n, i64) for n, name in enumerate(arith.CMPI_COMPARISON_OPERATIONS)}
"""Integer comparisons by name."""


@lru_cache(maxsize=4096)
def _number(value: int, type_: IntegerType | IndexType) -> Attribute:
    """A number as an attribute, which takes as long to make as an operation."""
    return IntegerAttr(value, type_)


def whole(size: Index) -> Range:
    """All positions of an axis."""
    return Range(0, size, size == 1)


class LoopBuilder:
    """Appends ops to a block, giving each the location of the array op that it comes from.

    `precise` says that what is written must not be replaced by what is about equal.
    """

    def __init__(self, block: Block, location: LocationAttr, precise: bool = False) -> None:
        self.block = block
        self.location = location
        self.precise = precise
        self._indices: dict[tuple[Block, int], SSAValue] = {}

    def insert(self, op: Operation) -> SSAValue:
        """Appends an op; gives its first result."""
        self.append(op)
        return op.results[0]

    def append(self, op: Operation) -> None:
        """Appends an op without results."""
        op.location = self.location
        self.block.add_op(op)

    def made(
        self,
        kind: type[IRDLOperation],
        operands: Sequence[SSAValue],
        type_: Attribute,
        **properties: Attribute,
    ) -> OpResult:
        """The result of a new op, whose form is taken on trust: what `kind` would check and sort by its
        definition takes most of the time of making one."""
        op = kind.create(
            operands=operands, result_types=(type_,), properties=properties, location=self.location
        )
        self.block.add_op(op)
        return op.results[0]

    def index(self, value: Index) -> SSAValue:
        """The index as an SSA value. A number is written once a block, which only grows meanwhile: equal ones
        there are one value, so positions are not told apart by theirs.
        """
        if isinstance(value, SSAValue):
            return value
        key = (self.block, value)
        found = self._indices.get(key)
        if found is None:
            found = self.made(arith.ConstantOp, (), index_type, value=_number(value, index_type))
            self._indices[key] = found
        return found

    def _of_indices(self, kind: type[IRDLOperation], a: Index, b: Index) -> SSAValue:
        """An operation of two indices."""
        first = self.index(a)
        return self.made(kind, (first, self.index(b)), first.type)

    def constant(self, value: int | float, type_: Attribute) -> SSAValue:
        """A number of an element type."""
        if isinstance(type_, AnyFloat):
            return self.made(arith.ConstantOp, (), type_, value=FloatAttr(float(value), type_))
        if not isinstance(type_, IntegerType | IndexType):
            raise TypeError(f"{type_} has no numbers")
        return self.made(arith.ConstantOp, (), type_, value=_number(int(value), type_))

    def add(self, a: Index, b: Index) -> Index:
        """a + b."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._of_indices(arith.AddiOp, a, b)

    def sub(self, a: Index, b: Index) -> Index:
        """a - b."""
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if b == 0 else self._of_indices(arith.SubiOp, a, b)

    def mul(self, a: Index, b: Index) -> Index:
        """a * b."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self._of_indices(arith.MuliOp, a, b)

    def product(self, factors: Iterable[Index]) -> Index:
        """All factors multiplied; 1 without any."""
        total: Index = 1
        for factor in factors:
            total = self.mul(total, factor)
        return total

    def floordiv(self, a: Index, b: int) -> Index:
        """a // b for a positive b."""
        if isinstance(a, int):
            return a // b
        return a if b == 1 else self._of_indices(arith.FloorDivSIOp, a, b)

    def quotient(self, a: Index, b: Index) -> Index:
        """a // b for numbers that are not negative and a b that is not 0."""
        if isinstance(a, int) and isinstance(b, int):
            return a // b
        return a if b == 1 else self._of_indices(arith.DivUIOp, a, b)

    def remainder(self, a: Index, b: Index) -> Index:
        """a % b for numbers that are not negative and a b that is not 0."""
        if isinstance(a, int) and isinstance(b, int):
            return a % b
        return 0 if b == 1 else self._of_indices(arith.RemUIOp, a, b)

    def ceiling(self, a: Index, b: Index) -> Index:
        """a / b rounded up, for numbers that are not negative and a b that is not 0."""
        return self.quotient(self.add(a, self.sub(b, 1)), b)

    def min(self, a: Index, b: Index) -> Index:
        """The smaller."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self._of_indices(arith.MinSIOp, a, b)

    def max(self, a: Index, b: Index) -> Index:
        """The larger."""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self._of_indices(arith.MaxSIOp, a, b)

    def wrap(self, a: Index, extent: Index) -> Index:
        """A position counted from the end where it is negative."""
        if isinstance(a, int) and a >= 0:
            return a
        below = self.compare("slt", self.index(a), self.index(0))
        return self.select(below, self.index(self.add(a, extent)), self.index(a))

    def step(self, extent: Index) -> Index:
        """The step along an axis that stretches where it is 1 long."""
        return int(extent != 1) if isinstance(extent, int) else self.insert(StepOp(extent))

    def compare(self, predicate: str, a: SSAValue, b: SSAValue) -> SSAValue:
        """An integer comparison."""
        return self.made(arith.CmpiOp, (a, b), i1, predicate=_PREDICATES[predicate])

    def select(
        self, condition: SSAValue, a: SSAValue, b: SSAValue, *, unpredictable: bool = False
    ) -> SSAValue:
        """a if condition else b; an `unpredictable` one never becomes a branch."""
        result = self.made(arith.SelectOp, (condition, a, b), a.type)
        if unpredictable:
            result.op.attributes[UNPREDICTABLE] = UnitAttr()
        return result

    def convert(self, operation: type[IRDLOperation], value: SSAValue, target: Attribute) -> SSAValue:
        """A conversion of one number to another type."""
        return self.made(operation, (value,), target)

    def to_index(self, value: SSAValue) -> SSAValue:
        """An integer of any width as an index."""
        return self.made(arith.IndexCastOp, (value,), index_type)

    def to_integer(self, value: Index) -> SSAValue:
        """An index as an i64."""
        return self.made(arith.IndexCastOp, (self.index(value),), i64)

    def loop(
        self,
        low: Index,
        high: Index,
        carried: Sequence[SSAValue],
        body: Callable[[SSAValue, tuple[SSAValue, ...]], Sequence[SSAValue]],
        step: Index = 1,
        plain: bool = False,
        rolled: bool = False,
        lanes: int = 0,
        masked: bool = False,
    ) -> tuple[SSAValue, ...]:
        """`for i in range(low, high, step)`: the body maps the carried values; gives them after the last
        round. A `plain` loop is left as it is written, neither made vectors of nor unrolled: it is short, or
        its body has vectors already. The rounds of a `rolled` one, of a number known now, become vectors.
        A vector is made of `lanes` rounds, if that is not 0; the last of a `masked` loop of fewer."""
        first, end, stride = self.index(low), self.index(high), self.index(step)
        inner = Block(arg_types=[index_type, *(value.type for value in carried)])
        outer, self.block = self.block, inner
        results = body(inner.args[0], tuple(inner.args[1:]))
        self.append(scf.YieldOp.create(operands=results))
        self.block = outer
        loop = scf.ForOp.create(
            operands=(first, end, stride, *carried),
            result_types=[value.type for value in carried],
            regions=(Region(inner),),
        )
        for name, wanted in ((PLAIN, plain), (ROLLED, rolled), (MASKED, masked)):
            if wanted:
                loop.attributes[name] = UnitAttr()
        if lanes:
            loop.attributes[LANES] = IntegerAttr(lanes, i64)
        self.append(loop)
        return tuple(loop.results)

    def by_steps(self, count: Index, steps: int, body: Callable[[SSAValue, int], None]) -> None:
        """Runs `body` for the positions below `count`, so many at once, and the last ones one by one."""
        even = self.mul(self.floordiv(count, steps), steps)

        def several(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            body(i, steps)
            return ()

        def single(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            body(i, 1)
            return ()

        self.loop(0, even, (), several, step=steps)
        self.loop(even, count, (), single)

    def repeat(
        self,
        carried: Sequence[SSAValue],
        test: Callable[[tuple[SSAValue, ...]], tuple[SSAValue, Sequence[SSAValue]]],
        body: Callable[[tuple[SSAValue, ...]], Sequence[SSAValue]],
    ) -> tuple[SSAValue, ...]:
        """While `test` of the carried values says so, `body` maps what it passes on to the next; gives what
        it passed on at the end."""
        outer = self.block
        before = self.block = Block(arg_types=[value.type for value in carried])
        condition, passed = test(tuple(before.args))
        self.append(scf.ConditionOp(condition, *passed))
        types = [value.type for value in passed]
        after = self.block = Block(arg_types=types)
        self.append(scf.YieldOp(*body(tuple(after.args))))
        self.block = outer
        loop = scf.WhileOp(carried, types, Region(before), Region(after))
        self.append(loop)
        return tuple(loop.results)

    def sweep(
        self, ranges: Sequence[Range], body: Callable[[tuple[Index, ...]], None], plain: bool = False
    ) -> None:
        """A perfect nest of loops over `ranges`, the last innermost. There is none for a single position, nor
        for a few of the last: then the loop around them has the vectors. `plain` as for `loop`."""

        def level(at: tuple[Index, ...]) -> None:
            if len(at) == len(ranges):
                body(at)
                return
            here = ranges[len(at)]
            if here.single:
                level((*at, here.low))
                return
            if at and len(at) == len(ranges) - 1 and here.few:
                for k in range(here.few):
                    level((*at, k))
                return

            def inside(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                level((*at, i))
                return ()

            self.loop(here.low, here.high, (), inside, plain=plain)

        level(())

    def nest(
        self, extents: Sequence[Index], body: Callable[[tuple[SSAValue, ...]], None], plain: bool = False
    ) -> None:
        """A perfect nest of loops from 0 over `extents`, the last innermost; `plain` as for `loop`."""

        def level(indices: tuple[SSAValue, ...]) -> None:
            if len(indices) == len(extents):
                body(indices)
                return

            if extents[len(indices)] == 1:
                level((*indices, self.index(0)))
                return

            def inside(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                level((*indices, i))
                return ()

            self.loop(0, extents[len(indices)], (), inside, plain=plain)

        level(())

    def parallel(
        self, extent: Index, grain: Index, work: Index, body: Callable[[SSAValue, SSAValue], None]
    ) -> None:
        """Runs `body(low, high)` for the chunks of `range(extent)`, `grain` long, perhaps at once.

        `work` estimates the nanoseconds of the whole range. Chunks write disjoint memory.
        """
        size, part, cost = self.index(extent), self.index(grain), self.index(work)
        inner = Block(arg_types=[index_type, index_type])
        outer, self.block = self.block, inner
        body(inner.args[0], inner.args[1])
        self.append(EndOp())
        self.block = outer
        self.append(ParallelOp(size, part, cost, Region(inner)))

    def branch(
        self,
        condition: SSAValue,
        then: Callable[[], Sequence[SSAValue]],
        otherwise: Callable[[], Sequence[SSAValue]],
    ) -> tuple[SSAValue, ...]:
        """`if condition: then() else: otherwise()`; gives what the taken side gives."""
        blocks = []
        types: list[Attribute] = []
        outer = self.block
        for side in (then, otherwise):
            self.block = Block()
            blocks.append(self.block)
            results = side()
            types = [value.type for value in results]
            self.append(scf.YieldOp.create(operands=results))
        self.block = outer
        regions = [Region(block) for block in blocks]
        op = scf.IfOp.create(operands=(condition,), result_types=types, regions=regions)
        self.append(op)
        return tuple(op.results)

    def either(
        self, condition: SSAValue | bool, then: Callable[[], None], otherwise: Callable[[], None]
    ) -> None:
        """`branch` of sides that give nothing; one of them alone where the condition is known."""
        if isinstance(condition, bool):
            (then if condition else otherwise)()
            return

        def side(build: Callable[[], None]) -> Callable[[], Sequence[SSAValue]]:
            def run() -> Sequence[SSAValue]:
                build()
                return ()

            return run

        self.branch(condition, side(then), side(otherwise))

    def total(self, value: SSAValue) -> SSAValue:
        """The sum of the numbers of a vector, in any order."""
        assert isinstance(value.type, VectorType)
        kind = vector.CombiningKindAttr(vector.CombiningKindFlag.ADD)
        element = value.type.get_element_type()
        op = vector.ReductionOp.create(
            operands=[value], result_types=[element], properties={"kind": kind, "fastmath": REASSOCIATE}
        )
        return self.insert(op)

    def allocate(self, element: Attribute, extents: Sequence[Index]) -> SSAValue:
        """Fresh memory on the heap, aligned to a cache line."""
        stored = i8 if element == i1 else element
        sizes = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in extents]
        dynamic = [extent for extent in extents if isinstance(extent, SSAValue)]
        return self.insert(memref.AllocOp(dynamic, (), MemRefType(stored, sizes), IntegerAttr(64, i64)))

    def load(self, buffer: SSAValue, indices: Sequence[Index]) -> SSAValue:
        """An element as it is stored."""
        assert isinstance(buffer.type, MemRefType)
        places = [self.index(i) for i in indices]
        return self.made(memref.LoadOp, (buffer, *places), buffer.type.get_element_type())

    def store(self, value: SSAValue, buffer: SSAValue, indices: Sequence[Index]) -> None:
        """Stores an element as it is."""
        places = [self.index(i) for i in indices]
        self.append(memref.StoreOp.create(operands=(value, buffer, *places)))
