"""The state of lowering: what is known of the program, and where the next operation goes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import define, field, frozen
from xdsl.dialects.builtin import ArrayAttr, FileLineColLoc, IntAttr, StringAttr, i1
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from flowc.compiler.checker.model import Checked, Labels
from flowc.compiler.lower.convert import converted_constant
from flowc.compiler.lower.types import ir_type
from flowc.compiler.syntax import Expression, Span
from flowc.dialects.array.types import dtype_of, is_array_type, shape_of
from flowc.dialects.flow.attributes import EffectItem, EffectsAttr, Json
from flowc.dialects.flow.compute import CastOp, ConstantOp
from flowc.dialects.flow.control import YieldOp, region_of
from flowc.runtime.plan import Effect
from flowc.runtime.types import Type

DEEPEST = 250
"""Regions nest no deeper than this: the parser bounds blocks, and this what expressions add to them."""


class TooDeep(Exception):
    """Control that nests deeper than a plan may; where it does."""

    def __init__(self, span: Span | None) -> None:
        super().__init__("control nests too deep")
        self.span = span


class Lower(Protocol):
    """Lowers an expression where it stands, its coercion included."""

    def __call__(self, frame: "Frame", expression: Expression) -> SSAValue:
        """The value of the expression."""


@frozen
class Lowering:
    """What all functions of a program share: the checked program, and the way to lower an expression."""

    checked: Checked
    expression: Lower
    locations: dict[tuple[int, int], FileLineColLoc] = field(factory=dict)
    types: dict[Type, Attribute] = field(factory=dict)
    label_sets: dict[Labels, ArrayAttr[StringAttr]] = field(factory=dict)

    def location(self, span: Span) -> FileLineColLoc:
        """The location of a span's beginning."""
        key = (span.line, span.column)
        found = self.locations.get(key)
        if found is None:
            path = StringAttr(self.checked.source.path)
            found = self.locations[key] = FileLineColLoc(path, IntAttr(span.line), IntAttr(span.column))
        return found

    def labels(self, labels: Labels) -> ArrayAttr[StringAttr]:
        """Labels as an attribute, in a fixed order, made once."""
        found = self.label_sets.get(labels)
        if found is None:
            found = self.label_sets[labels] = ArrayAttr([StringAttr(label) for label in sorted(labels)])
        return found

    def type(self, type_: Type) -> Attribute:
        """The IR's type, made once."""
        found = self.types.get(type_)
        if found is None:
            found = self.types[type_] = ir_type(type_)
        return found


@define
class Frame:
    """A place in a body: the block that grows, the variables seen there, those assigned since it began.

    `native` is true in kernels, where every number is an array of rank 0 and `int` is i64.
    """

    lowering: Lowering
    block: Block
    variables: dict[str, SSAValue]
    result_type: Attribute
    native: bool = False
    changed: set[str] = field(factory=set)
    span: Span | None = None
    depth: int = 0

    def text_function(self, name: str) -> str:
        """The function that gives values as text, as the language of the source writes them."""
        return f"python_{name}" if self.checked.program.python and name in ("str", "format") else name

    @property
    def checked(self) -> Checked:
        """The checked program."""
        return self.lowering.checked

    def value(self, expression: Expression) -> SSAValue:
        """Lowers an expression here."""
        return self.lowering.expression(self, expression)

    def type_of(self, expression: Expression) -> Type:
        """The checker's type of an expression, before coercion."""
        return self.checked.types[id(expression)]

    def add(self, op: Operation) -> Operation:
        """Appends an operation with the location of what is being lowered."""
        if self.span is not None:
            op.location = self.lowering.location(self.span)
        self.block.add_op(op)
        return op

    def emit(self, op: Operation) -> SSAValue:
        """Appends an operation and gives its one result."""
        return self.add(op).results[0]

    def constant(self, value: Json, type_: Attribute) -> SSAValue:
        """A constant."""
        return self.emit(ConstantOp(value, type_))

    def truth(self, value: bool) -> SSAValue:
        """A constant bool."""
        return self.constant(value, i1)

    def inner(self, block: Block) -> "Frame":
        """A frame for a region of an operation here; it sees the variables, its assignments stay its own."""
        if self.depth >= DEEPEST:
            raise TooDeep(self.span)
        variables = dict(self.variables)
        return Frame(
            self.lowering, block, variables, self.result_type, self.native, set(), self.span, self.depth + 1
        )

    def yielding(
        self, type_: Attribute, produce: Callable[["Frame"], SSAValue], arguments: Sequence[Attribute] = ()
    ) -> Region:
        """A region of an operation here that ends with the value that `produce` lowers in it."""
        region = region_of(arguments)
        inner = self.inner(region.block)
        inner.add(YieldOp(inner.converted(produce(inner), type_)))
        return region

    def assign(self, name: str, value: SSAValue) -> None:
        """Binds a variable; the value takes its name, if IR text can write it, for readers of the IR."""
        if value.name_hint is None and name.isascii() and value.is_valid_name(name):
            value.name_hint = name
        self.variables[name] = value
        self.changed.add(name)

    def converted(self, value: SSAValue, type_: Attribute) -> SSAValue:
        """The value as `type_`; itself where that says the same, or less of an array's extents."""
        if value.type == type_:
            return value
        if isinstance(value.owner, ConstantOp):
            folded = converted_constant(value.owner.value.value, value.type, type_)
            if folded is not None:
                return self.emit(folded)
        return self.emit(CastOp(value, type_))

    def fitted(self, value: SSAValue, type_: Attribute) -> SSAValue:
        """The value as `type_`, except that an array may keep extents that are known better."""
        same_kind = is_array_type(value.type) and is_array_type(type_)
        if (
            same_kind
            and dtype_of(value.type) == dtype_of(type_)
            and bool(shape_of(type_)) == bool(shape_of(value.type))
        ):
            return value
        return self.converted(value, type_)


def effects_attribute(effects: tuple[Effect, ...]) -> EffectsAttr:
    """The effects of a declaration; `pure` is the empty list."""
    return EffectsAttr(
        tuple(
            EffectItem(effect.kind, effect.resource, effect.idempotent, effect.undo)
            for effect in effects
            if effect.kind != "pure"
        )
    )
