"""Control of flows: branches, bounded loops, parallel maps, races, votes, attempts, limits, transactions.

Regions see the values around them. Each ends in `flow.yield`, whose operands are what the op needs from it.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, UnitAttr, i1, i64
from xdsl.dialects.utils import AbstractYieldOperation
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.traits import IsTerminator, Pure, RecursiveMemoryEffect, ReturnLike
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import EffectsAttr, LimitsAttr
from flowc.dialects.flow.types import IntType, ListType, StartedType

REGIONS = "`(` operands `)` attr-dict `:` functional-type(operands, results)"
RESULTS = "attr-dict `->` `(` type($res) `)`"


@irdl_op_definition
class YieldOp(AbstractYieldOperation[Attribute]):
    """Ends a region with the values that its op takes from it."""

    name = "flow.yield"
    traits = traits_def(IsTerminator(), ReturnLike(), Pure())


def yielded(region: Region) -> Sequence[SSAValue]:
    """The values that end a region of one block."""
    last = region.block.last_op
    return tuple(last.operands) if isinstance(last, YieldOp) else ()


def _require(region: Region, arguments: Sequence[Attribute], results: Sequence[Attribute], what: str) -> None:
    last = region.block.last_op
    if not isinstance(last, YieldOp):
        raise VerifyException(f"{what} must end in flow.yield")
    if tuple(region.block.arg_types) != tuple(arguments):
        raise VerifyException(f"{what} must take ({', '.join(map(str, arguments))})")
    if tuple(last.operand_types) != tuple(results):
        raise VerifyException(f"{what} must yield ({', '.join(map(str, results))})")


@irdl_op_definition
class IfOp(IRDLOperation):
    """One of two regions, by a condition. With `started`, what is marked `early` in them runs already."""

    name = "flow.if"
    condition = operand_def(i1)
    started = opt_operand_def(StartedType)
    res = var_result_def()
    then_region = region_def("single_block")
    else_region = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = REGIONS + " $then_region `else` $else_region"

    def __init__(
        self, condition: SSAValue, results: Sequence[Attribute], then: Region, otherwise: Region
    ) -> None:
        super().__init__(operands=[condition, None], result_types=[results], regions=[then, otherwise])

    def verify_(self) -> None:
        """Both regions take nothing and yield the results."""
        for region in self.regions:
            _require(region, (), self.result_types, "a branch of flow.if")


@irdl_op_definition
class ForOp(IRDLOperation):
    """The elements of a list in order.

    The body takes one and the carried values, yields whether to stop and the next.
    """

    name = "flow.for"
    iterable = operand_def(ListType)
    carried = var_operand_def()
    res = var_result_def()
    body = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = REGIONS + " $body"

    def __init__(self, iterable: SSAValue, carried: Sequence[SSAValue], body: Region) -> None:
        super().__init__(
            operands=[iterable, carried], result_types=[[value.type for value in carried]], regions=[body]
        )

    def verify_(self) -> None:
        """Carried values keep their types through body and results."""
        types = tuple(value.type for value in self.carried)
        if types != tuple(self.result_types):
            raise VerifyException("the results of flow.for are its carried values")
        element = self.iterable.type.element if isinstance(self.iterable.type, ListType) else i1
        _require(self.body, (element, *types), (i1, *types), "the body of flow.for")


@irdl_op_definition
class WhileOp(IRDLOperation):
    """At most `bound` rounds while the test holds.

    The body yields whether to stop and the next carried values.
    """

    name = "flow.while"
    bound = operand_def(IntType)
    carried = var_operand_def()
    res = var_result_def()
    test = region_def("single_block")
    body = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = REGIONS + " $test `do` $body"

    def __init__(self, bound: SSAValue, carried: Sequence[SSAValue], test: Region, body: Region) -> None:
        super().__init__(
            operands=[bound, carried], result_types=[[value.type for value in carried]], regions=[test, body]
        )

    def verify_(self) -> None:
        """Carried values keep their types through test, body and results."""
        types = tuple(value.type for value in self.carried)
        if types != tuple(self.result_types):
            raise VerifyException("the results of flow.while are its carried values")
        _require(self.test, types, (i1,), "the test of flow.while")
        _require(self.body, types, (i1, *types), "the body of flow.while")


class ElementwiseOp(IRDLOperation):
    """What runs a body for each element of lists: the lists, how many at once, the list of results."""

    inputs = var_operand_def(ListType)
    result = result_def(ListType)
    width = prop_def(IntegerAttr)
    filtered = opt_prop_def(UnitAttr)
    body = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = "`width` $width (`filtered` $filtered^)? " + REGIONS + " $body"

    def __init__(
        self,
        inputs: Sequence[SSAValue],
        element: Attribute,
        body: Region,
        *,
        width: int,
        filtered: bool = False,
    ) -> None:
        super().__init__(
            operands=[inputs],
            result_types=[ListType(element)],
            properties={"width": IntegerAttr(width, i64)} | ({"filtered": UnitAttr()} if filtered else {}),
            regions=[body],
        )

    def verify_(self) -> None:
        """The body takes an element of each list and yields an element of the result."""
        if not self.inputs or self.width.value.data < 1:
            raise VerifyException(f"{self.name} needs a list and a width of at least 1")
        elements = [value.type.element for value in self.inputs if isinstance(value.type, ListType)]
        keep = (i1,) if self.filtered is not None else ()
        _require(self.body, elements, (*keep, self.result.type.element), f"the body of {self.name}")


@irdl_op_definition
class MapOp(ElementwiseOp):
    """`body` for each element of lists of equal length, at most `width` at once; results in order.

    With `filtered` the body yields first whether to keep the value. Width 1 runs the elements one after the
    other.
    """

    name = "flow.map"


@irdl_op_definition
class RaceOp(IRDLOperation):
    """The value of the first region that succeeds; the others are cancelled."""

    name = "flow.race"
    res = var_result_def()
    arms = var_region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = RESULTS + " $arms"

    def __init__(self, results: Sequence[Attribute], arms: Sequence[Region]) -> None:
        super().__init__(result_types=[results], regions=[arms])

    def verify_(self) -> None:
        """At least one arm, each yielding the results."""
        if not self.arms:
            raise VerifyException("flow.race needs an arm")
        for arm in self.arms:
            _require(arm, (), self.result_types, "an arm of flow.race")


@irdl_op_definition
class VoteOp(IRDLOperation):
    """Asks until one answer leads by `lead` or `max` ballots are in; the plurality wins.

    The region takes the ballot's number.
    """

    name = "flow.vote"
    res = var_result_def()
    max = prop_def(IntegerAttr)
    lead = prop_def(IntegerAttr)
    ballot = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = "`max` $max `lead` $lead " + RESULTS + " $ballot"

    def __init__(self, result: Attribute, ballot: Region, *, max: int, lead: int) -> None:
        super().__init__(
            result_types=[[result]],
            properties={"max": IntegerAttr(max, i64), "lead": IntegerAttr(lead, i64)},
            regions=[ballot],
        )

    def verify_(self) -> None:
        """Sensible numbers, and a region that yields one answer."""
        if self.max.value.data < 1 or self.lead.value.data < 1:
            raise VerifyException("flow.vote needs max and lead of at least 1")
        if len(self.res) != 1:
            raise VerifyException("flow.vote has one result")
        _require(self.ballot, (IntType(),), self.result_types, "a ballot of flow.vote")


@irdl_op_definition
class AttemptOp(IRDLOperation):
    """The first region's values, or the second's where the first fails."""

    name = "flow.attempt"
    res = var_result_def()
    body = region_def("single_block")
    otherwise = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = RESULTS + " $body `else` $otherwise"

    def __init__(self, results: Sequence[Attribute], body: Region, otherwise: Region) -> None:
        super().__init__(result_types=[results], regions=[body, otherwise])

    def verify_(self) -> None:
        """Both regions yield the results."""
        for region in self.regions:
            _require(region, (), self.result_types, "a region of flow.attempt")


@irdl_op_definition
class LimitOp(IRDLOperation):
    """A region under limits of time, money, tokens, calls or memory."""

    name = "flow.limit"
    limits = prop_def(LimitsAttr)
    res = var_result_def()
    body = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = "$limits " + RESULTS + " $body"

    def __init__(self, limits: LimitsAttr, results: Sequence[Attribute], body: Region) -> None:
        super().__init__(result_types=[results], properties={"limits": limits}, regions=[body])

    def verify_(self) -> None:
        """The region yields the results."""
        _require(self.body, (), self.result_types, "the region of flow.limit")


@irdl_op_definition
class TransactionOp(IRDLOperation):
    """A region whose writes are taken back where it fails: their undos run, the latest write's first."""

    name = "flow.transaction"
    res = var_result_def()
    body = region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect())
    assembly_format = RESULTS + " $body"

    def __init__(self, results: Sequence[Attribute], body: Region) -> None:
        super().__init__(result_types=[results], regions=[body])

    def verify_(self) -> None:
        """The region yields the results, and each write in it names the tool that takes it back."""
        _require(self.body, (), self.result_types, "the region of flow.transaction")
        for op in self.body.walk():
            effects = op.properties.get("effects")
            for item in effects.data if isinstance(effects, EffectsAttr) else ():
                if item.kind == "writes" and item.undo is None:
                    raise VerifyException(f"flow.transaction cannot hold {op.name}, which nothing takes back")


def region_of(arguments: Sequence[Attribute] = ()) -> Region:
    """A region of one empty block."""
    return Region(Block(arg_types=arguments))
