"""Embeddings made together: those of one moment of a block, and those of a map's elements, in one request.

Equal texts have equal embeddings, whatever they are sent with, so that one call for all texts gives the
rows that the single calls would have given.
"""

from collections.abc import Sequence

from attrs import define
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, i64
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import EmbedOp
from flowc.dialects.array import build
from flowc.dialects.array.ops import ConstantOp as NumberOp
from flowc.dialects.array.ops import IndexOp
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.flow.compute import ApplyOp, CastOp, ConstantOp, ListOp
from flowc.dialects.flow.control import MapOp, YieldOp, region_of
from flowc.dialects.flow.types import IntType, ListType, StrType
from flowc.passes.facts import blocks_inside, flows_of, is_dispatched, reads
from flowc.passes.framework import Findings, block_of, line_of, place_before, place_last
from flowc.passes.order import is_guarded

TEXTS = ListType(StrType())


def batch_embeds(module: ModuleOp, findings: Findings) -> None:
    """Joins embeddings in the flows that data and effects order; says which maps keep theirs, and why."""
    for function in flows_of(module).values():
        if "parallel" in function.attributes:
            blocks = list(blocks_inside(function))
            for block in blocks:
                _of_one_moment(block, findings)
            for block in reversed(blocks):
                for op in list(block.ops):
                    if isinstance(op, MapOp):
                        _of_elements(op, findings)


def _items(embed: EmbedOp) -> Sequence[SSAValue]:
    """The texts of an embedding, where they are known one by one."""
    owner = embed.texts.owner
    return tuple(owner.items) if isinstance(owner, ListOp) else ()


def _ancestors(values: Sequence[SSAValue], block: Block) -> list[Operation]:
    """The operations of a block that values depend on, in order."""
    found: set[Operation] = set()
    pending = list(values)
    while pending:
        owner = pending.pop().owner
        if not isinstance(owner, Operation) or owner in found or owner.parent is not block:
            continue
        found.add(owner)
        pending += reads(owner)
    return [op for op in block.ops if op in found] if found else []


# ---- several embeddings of one block


def _of_one_moment(block: Block, findings: Findings) -> None:
    """Joins the embeddings that can start at the same time: their texts need the same calls."""
    embeds = [op for op in block.ops if isinstance(op, EmbedOp) and _items(op)]
    if len(embeds) < 2 or is_guarded(block):
        return
    groups: dict[object, list[EmbedOp]] = {}
    for embed in embeds:
        needed = _ancestors(_items(embed), block)
        calls = frozenset(op for op in needed if is_dispatched(op))
        groups.setdefault((calls, embed.model, embed.result.type), []).append(embed)
    for group in groups.values():
        if len(group) > 1:
            _join(group, block)
            findings.fired += 1
            lines = ", ".join(str(line) for line in sorted({line_of(embed) for embed in group}))
            findings.remark(group[0], f"one request for {len(group)} embeddings, of line {lines}")


def _join(group: Sequence[EmbedOp], block: Block) -> None:
    first = group[0]
    items = [item for embed in group for item in _items(embed)]
    for op in _ancestors(items, block):
        if not op.is_before_in_block(first):
            block.detach_op(op)
            block.insert_op_before(op, first)
    texts = place_before(first, ListOp(items, TEXTS))
    made = place_before(first, EmbedOp(texts.result, first.result.type))
    _like(made, group)
    start = 0
    for embed in group:
        count = len(_items(embed))
        _take_rows(embed, _Rows(made.result, start, count))
        start += count


def _like(made: EmbedOp, group: Sequence[EmbedOp]) -> None:
    """Gives an embedding the model of those it stands for, all their labels, and what all of them have."""
    first = group[0]
    if first.model is not None:
        made.properties["model"] = first.model
    for name, value in first.attributes.items():
        if all(each.attributes.get(name) == value for each in group):
            made.attributes[name] = value
    labels = [each.attributes.get("labels") for each in group]
    found = {label.data for each in labels if isinstance(each, ArrayAttr) for label in each.data}
    if found:
        made.attributes["labels"] = ArrayAttr([StringAttr(label) for label in sorted(found)])
    else:
        made.attributes.pop("labels", None)


# ---- the embeddings of a map's elements


def _of_elements(op: MapOp, findings: Findings) -> None:
    """Embeds the texts of all elements of a map before it."""
    block = op.body.block
    embeds = [inner for inner in block.ops if isinstance(inner, EmbedOp)]
    if not embeds:
        return
    embed = embeds[0]
    hindrance = _hindrance(op, embeds)
    if hindrance:
        findings.remark(embed, f"texts are embedded element by element: {hindrance}")
        return
    items = _items(embed)
    made = place_before(op, EmbedOp(_texts_of(op, items), embed.result.type))
    _like(made, embeds)
    positions = _positions(op)
    start = _scaled(embed, positions, len(items))
    _take_rows(embed, _Rows(made.result, start, len(items)))
    findings.fired += 1
    findings.remark(embed, "one request embeds the texts of all elements")


def _hindrance(op: MapOp, embeds: Sequence[EmbedOp]) -> str:
    """Why the texts of a map cannot be embedded together; nothing where they can."""
    items = _items(embeds[0])
    if op.width.value.data == 1:
        return "they run in order"
    if len(embeds) > 1:
        return "each element has several embeddings, one of which may need another call first"
    if not items:
        return "each has a list of its own; `[embed([x])[0] for x in xs]` is joined"
    needed = _ancestors(items, op.body.block)
    if any(is_dispatched(each) or each.regions for each in needed):
        return "the text of each is the result of a call; make those in a comprehension before"
    if any(isinstance(use.operation, YieldOp) for use in embeds[0].result.uses):
        return "each keeps its array whole; take the row, `[0]`"
    return ""


def _texts_of(op: MapOp, items: Sequence[SSAValue]) -> SSAValue:
    """The texts of all elements as one list: the map's own input, or a map that makes them."""
    block = op.body.block
    if len(items) == 1 and items[0] in block.args:
        return op.inputs[block.args.index(items[0])]
    region = region_of(block.arg_types)
    values: dict[SSAValue, SSAValue] = dict(zip(block.args, region.block.args, strict=True))
    for each in _ancestors(items, block):
        region.block.add_op(each.clone(values))
    texts = [values.get(item, item) for item in items]
    result = texts[0]
    if len(texts) > 1:
        result = place_last(region.block, ListOp(texts, TEXTS), op).results[0]
    place_last(region.block, YieldOp(result), op)
    fork = place_before(op, MapOp(list(op.inputs), result.type, region, width=op.width.value.data))
    if len(texts) == 1:
        return fork.result
    return place_before(op, ApplyOp("flatten", [fork.result], TEXTS)).result


def _positions(op: MapOp) -> SSAValue:
    """The number of its element inside a map, which gets another list for it."""
    count = place_before(op, ApplyOp("len", [op.inputs[0]], IntType()))
    numbers = place_before(op, ApplyOp("range", [count.result], ListType(IntType())))
    op.operands = [*op.operands, numbers.result]
    position = op.body.block.insert_arg(IntType(), len(op.body.block.args))
    position.name_hint, position.location = "position", op.location
    return position


def _scaled(embed: EmbedOp, position: SSAValue, count: int) -> SSAValue:
    if count == 1:
        return position
    size = place_before(embed, ConstantOp(count, IntType()))
    return place_before(embed, ApplyOp("mul", [position, size.result], IntType())).result


# ---- rows


@define
class _Rows:
    """Some rows of an array: `count` of them from `start`, a number or an integer value."""

    array: SSAValue
    start: SSAValue | int
    count: int


def _take_rows(embed: EmbedOp, rows: _Rows) -> None:
    """Puts rows of a larger array in the place of an embedding of its own."""
    for use in list(embed.result.uses):
        user = use.operation
        row = _constant_row(user)
        if isinstance(user, IndexOp) and row is not None and 0 <= row < rows.count:
            index = build.index(rows.array, _number(user, rows.start, row))
            index.result.name_hint = user.result.name_hint
            place_before(user, index)
            user.result.replace_all_uses_with(index.result)
            block_of(user).erase_op(user)
    if embed.result.first_use is not None:
        bounds = [_number(embed, rows.start, more) for more in (0, rows.count)]
        taken = build.slices(rows.array, SliceSpec((AxisSlice("$0", "$1"),)), bounds)
        place_before(embed, taken)
        embed.result.replace_all_uses_with(taken.result)
    block_of(embed).erase_op(embed)


def _constant_row(user: Operation) -> int | None:
    """The row that an operation takes of an array, where that is a number."""
    if not isinstance(user, IndexOp) or user.axis.value.data != 0:
        return None
    owner = user.index.owner
    return int(owner.value.value.data) if isinstance(owner, NumberOp) else None


def _number(before: Operation, start: SSAValue | int, more: int) -> SSAValue:
    """`start + more` as an i64, before an operation."""
    if isinstance(start, int):
        return place_before(before, build.constant(start + more, "i64")).result
    if more:
        added = place_before(before, ConstantOp(more, IntType()))
        start = place_before(before, ApplyOp("add", [start, added.result], IntType())).result
    return place_before(before, CastOp(start, i64)).result
