"""What is put in order: the keys of numbers, alone or with the positions where they stand.

A key of 32 bits and its position are one number of 64 bits, whose order is that of both; a key of 64 bits and
its position are two. Positions have 31 bits.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.array.types import bits, is_float
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.irregular.keys import KeyForm, decode, encode, key_form

MOST_POSITIONS = 1 << 31
"""How many positions can be told apart."""
Item = tuple[SSAValue, ...]
"""The words of an item."""


@frozen
class ItemForm:
    """How items look: the form of their keys, whether they have positions, and whether large numbers come
    first. Keys that differ do so in a bit from `lowest` on."""

    key: KeyForm
    positions: bool
    falling: bool = False
    lowest: int = 0

    @property
    def words(self) -> tuple[IntegerType, ...]:
        """The types of an item's words."""
        if not self.positions:
            return (_integer(self.key.width),)
        return (i64,) if self.key.width == 32 else (i64, i32)


def item_form(dtype: str, *, positions: bool, falling: bool = False, halves: bool = False) -> ItemForm:
    """The form of items whose numbers are of a dtype; `halves` says that numbers of a half format have been
    rounded to it, so that they have few bits in whatever they are held."""
    lowest = {"bf16": 16, "f16": 13}.get(dtype, 0) if halves else 0
    return ItemForm(key_form(dtype), positions, falling, lowest)


def encoded(b: LoopBuilder, form: ItemForm, value: SSAValue) -> SSAValue:
    """The key of a held number. Where equal numbers keep their order, 0.0 equals -0.0."""
    key = encode(b, form.key, value, zeros_equal=form.positions)
    return _inverted(b, key) if form.falling else key


def decoded(b: LoopBuilder, form: ItemForm, key: SSAValue) -> SSAValue:
    """The held number whose key it is."""
    return decode(b, form.key, _inverted(b, key) if form.falling else key)


def packed(b: LoopBuilder, form: ItemForm, key: SSAValue, position: Index) -> Item:
    """The item of a key and the position where its number stands."""
    if not form.positions:
        return (key,)
    place = b.convert(arith.IndexCastOp, b.index(position), i32)
    if form.key.width == 64:
        return key, place
    high = b.insert(arith.ShLIOp(b.convert(arith.ExtUIOp, key, i64), b.constant(32, i64)))
    return (b.insert(arith.OrIOp(high, b.convert(arith.ExtUIOp, place, i64))),)


def key_of(b: LoopBuilder, form: ItemForm, item: Item) -> SSAValue:
    """The key of an item."""
    if form.positions and form.key.width == 32:
        return b.convert(arith.TruncIOp, b.insert(arith.ShRUIOp(item[0], b.constant(32, i64))), i32)
    return item[0]


def position_of(b: LoopBuilder, form: ItemForm, item: Item) -> SSAValue | None:
    """The position of an item, as i32; None where items have none."""
    if not form.positions:
        return None
    return b.convert(arith.TruncIOp, item[0], i32) if form.key.width == 32 else item[1]


def before(b: LoopBuilder, one: Item, other: Item) -> SSAValue:
    """Whether an item comes before another one; no item comes before its equal."""
    found = b.compare("ult", one[-1], other[-1])
    for word, its in zip(reversed(one[:-1]), reversed(other[:-1]), strict=True):
        same = b.insert(arith.AndIOp(b.compare("eq", word, its), found))
        found = b.insert(arith.OrIOp(b.compare("ult", word, its), same))
    return found


def last(b: LoopBuilder, form: ItemForm) -> Item:
    """What no item comes behind, for places without one."""
    return tuple(b.constant(-1, word) for word in form.words)


def digits(form: ItemForm, width: int) -> range:
    """The lowest bits of the digits of keys, the least digit first."""
    key = form.key
    used = key.width if is_float(key.dtype) else max(bits(key.dtype), width)
    return range(form.lowest, used, width)


def _inverted(b: LoopBuilder, key: SSAValue) -> SSAValue:
    return b.insert(arith.XOrIOp(key, b.constant(-1, key.type)))


def _integer(width: int) -> IntegerType:
    return i64 if width == 64 else i32


def select(b: LoopBuilder, condition: SSAValue, one: Sequence[SSAValue], other: Sequence[SSAValue]) -> Item:
    """The words of one item if a condition holds, else those of the other."""
    return tuple(b.select(condition, x, y) for x, y in zip(one, other, strict=True))
