"""A module of the IR in the making: blocks, the values in sight, and operations drawn by recipes.

A recipe makes one operation of a name, with operands of what it asks for: a value in sight of that type, or
else another argument of the function around.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from attrs import define, field
from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from flowc.dialects.array.types import ShapeError
from flowc.dialects.flow.attributes import Json
from flowc.testing.strategies.choices import Choices

Recipe = Callable[["Making"], Operation]
Recipes = dict[str, Recipe]

IDENTIFIERS = ("x", "text", "größe", "_a1", "k2", "名")
"""Names as programs have them."""
TEXTS = ("", "a", 'say "{x}"', "tab\t\\ \n", "größe €", "{}", "\x00\x7f", "\u202e", "😀", "]>)")
"""Texts as constants have them."""
CONSTANTS: tuple[Json, ...] = (
    None, True, False, 0, 1, -3, 2**31, -(2**63), 10**30, 0.0, -0.0, 0.5, -1e-300, 1e22, 123456.789, 5e-324,
)  # fmt: skip


@define
class Making:
    """What is being made: `block` takes the next operation, `entry` the arguments of the function around.

    `end` makes what ends a region with values of some types. `budget` is how many operations may still be
    drawn; `undoable` says that each write has an undo.
    """

    choices: Choices
    entry: Block
    recipes: Recipes
    end: Callable[["Making", Sequence[Attribute]], Operation]
    budget: int = 8
    undoable: bool = False
    block: Block = field()
    visible: list[SSAValue] = field(factory=list)

    @block.default
    def _at_entry(self) -> Block:
        return self.entry

    def one(self, *options: Any) -> Any:
        """One of several."""
        return self.choices.one(options)

    def number(self, least: int, most: int) -> int:
        """A whole number."""
        return self.choices.number(least, most)

    def sometimes(self) -> bool:
        """True or false."""
        return self.choices.flag()

    def text(self) -> str:
        """Any text: one that is hard to write down, or a few characters from anywhere."""
        if self.sometimes():
            return str(self.one(*TEXTS))
        return "".join(chr(self.one(self.number(0, 127), self.number(0xA0, 0xD7FF))) for _ in self.times(5))

    def json(self, depth: int = 2) -> Json:
        """A JSON value."""
        match self.number(0, 6 if depth else 4):
            case 0 | 1 | 2:
                return self.choices.one(CONSTANTS)
            case 3 | 4:
                return self.text()
            case 5:
                return [self.json(depth - 1) for _ in self.times()]
        return {self.text(): self.json(depth - 1) for _ in self.times()}

    def times(self, most: int = 2, least: int = 0) -> range:
        """As many rounds as are drawn."""
        return range(self.number(least, most))

    def name(self) -> str:
        """A name as programs have them."""
        return str(self.one(*IDENTIFIERS))

    def symbol(self) -> str:
        """A name that nothing else at the top of a module has."""
        return f"{self.name()}{len(self.block.ops)}"

    def value(self, type_: Attribute) -> SSAValue:
        """A value of a type: one in sight, or a new argument of the function around."""
        return self.fitting(lambda known: known == type_, lambda: type_)

    def values(self, types: Sequence[Attribute]) -> list[SSAValue]:
        """A value of each type."""
        return [self.value(type_) for type_ in types]

    def fitting(self, fits: Callable[[Attribute], bool], type_: Callable[[], Attribute]) -> SSAValue:
        """A value in sight whose type fits, or a new argument of a type that does."""
        known = [value for value in self.visible if fits(value.type)]
        if known and self.number(0, 3):
            return known[self.number(0, len(known) - 1)]
        new = self.entry.insert_arg(type_(), len(self.entry.args))
        new.name_hint = f"p{len(self.entry.args)}"
        self.visible.append(new)
        return new

    def add(self, op: Operation) -> None:
        """Puts an operation at the end of the block."""
        op.location = FileLineColLoc(
            StringAttr("made.flow"), IntAttr(self.number(1, 99)), IntAttr(self.number(1, 9))
        )
        self.adorn(op)
        self.block.add_op(op)
        self.visible += op.results

    def made(self, op: Operation) -> SSAValue:
        """Puts an operation at the end of the block; gives its first result."""
        self.add(op)
        return op.results[0]

    def adorn(self, op: Operation) -> None:
        """Attributes beside those that an operation has by its definition."""
        if self.number(0, 3) == 0:
            attribute = self.one(
                UnitAttr(),
                StringAttr(self.name()),
                IntegerAttr(self.number(-5, 5), i64),
                FloatAttr(0.5, f64),
                ArrayAttr([StringAttr("secret"), StringAttr("größe")]),
            )
            op.attributes[self.one("labels", "noted", "flow.seen")] = attribute

    def step(self, chosen: str | None = None) -> None:
        """One more operation, by the recipe of a name or any; none where nothing that is drawn fits."""
        self.budget -= 1
        recipe = self.recipes[chosen or self.one(*self.recipes)]
        for _ in range(50 if chosen else 2):
            with suppress(ShapeError):
                self.add(recipe(self))
                break

    def steps(self, most: int) -> None:
        """Several more operations, as long as the budget has them."""
        for _ in self.times(most):
            if self.budget > 0:
                self.step()

    def inner(
        self,
        arguments: Sequence[Attribute],
        results: Sequence[Attribute],
        *,
        recipes: Recipes | None = None,
        first: str | None = None,
    ) -> Region:
        """A region that takes values of these types, and ends with values of those.

        Its operations are drawn by `recipes` where they are not those of the whole, one called `first` first.
        """
        block = Block(arg_types=arguments)
        with self._inside(block, recipes or self.recipes):
            if first is not None:
                self.step(first)
            self.steps(3)
            self.add(self.end(self, results))
        return Region(block)

    @contextmanager
    def _inside(self, block: Block, recipes: Recipes) -> Iterator[None]:
        outer = self.block, self.visible, self.recipes
        self.block, self.recipes = block, recipes
        self.visible = [*self.visible, *block.args]
        try:
            yield
        finally:
            self.block, self.visible, self.recipes = outer
