"""The state of one translation: where operators are written to, and the arrays made so far."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from attrs import Factory, define, field
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, LocationAttr, StringAttr, UnknownLoc
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.compiler.python.facts import Facts, NeedsFacts
from flowc.compiler.python.numeric.errors import PICKED, SHAPES, Refused
from flowc.compiler.python.numeric.nested import Closure
from flowc.compiler.python.numeric.orders import orders_of
from flowc.compiler.python.numeric.values import Array, Listed, Number, Origin, Storage, View, is_run_time
from flowc.dialects.array import build, inference, memory, ops
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import Extent, RefType, shape_of


@define
class Context:
    """Writes operators, and knows which arrays are memory.

    `mutable` are the origins of the arrays that some statement changes; `found` collects those for the next
    attempt, since an array must be memory from where it is made. `names` are integers that name an extent,
    `extents` the named extents, `open_extents` where they stand among the parameters. `picks` are masks with
    their true positions, `wholes` the vectors of which what is picked is the first part, and how much
    of them it is, `picked` the greatest that the named numbers of picked elements can be,
    `aligned` positions that were made as long as each other, by block and what they were made of; `rows` are
    values that the program wants in rows.
    """

    block: Block
    mutable: frozenset[Origin] = frozenset()
    names: dict[SSAValue, str] = field(factory=dict)
    extents: dict[str, Number] = field(factory=dict)
    found: set[Origin] = field(factory=set)
    location: LocationAttr = field(factory=UnknownLoc)
    depth: int = 0
    open_extents: frozenset[tuple[str, int]] = frozenset()
    sites: list[tuple[str, int, int]] = field(factory=list)
    counts: dict[Origin, int] = field(factory=dict)
    calls: list[object] = field(factory=list)
    limits: dict[str, frozenset[str]] = field(factory=dict)
    scopes: list[Callable[[], Mapping[str, object]]] = field(factory=list)
    picks: list[tuple[Block, SSAValue, SSAValue]] = field(factory=list)
    wholes: dict[SSAValue, tuple[SSAValue, SSAValue]] = field(factory=dict)
    picked: dict[str, SSAValue] = field(factory=dict)
    aligned: dict[tuple[object, ...], list[Array]] = field(factory=dict)
    rows: set[SSAValue] = field(factory=set)
    entry: Block = field(default=Factory(lambda self: self.block, takes_self=True))

    def at(self, path: str, line: int, column: int) -> None:
        """What is written from now on comes from there."""
        self.sites[-1:] = [(path, line, column)]
        self.location = FileLineColLoc(StringAttr(path), IntAttr(line), IntAttr(column))

    def emit(self, op: Operation) -> SSAValue:
        """Appends an op; gives its first result."""
        self.append(op)
        return op.results[0]

    def append(self, op: Operation) -> None:
        """Appends an op."""
        op.location = self.location
        self.block.add_op(op)

    def take(self, block: Block) -> None:
        """Moves all that was written into another block to here."""
        for op in list(block.ops):
            block.detach_op(op)
            self.block.add_op(op)

    @contextmanager
    def inside(self, block: Block, loops: int = 0) -> Iterator[Block]:
        """Writes into another block for a while; `loops` is how many loops that enters."""
        outer, self.block = self.block, block
        self.depth += loops
        try:
            yield block
        finally:
            self.block = outer
            self.depth -= loops

    def constant(self, value: bool | int | float, dtype: str) -> SSAValue:
        """A number of a dtype."""
        return self.emit(build.constant(value, dtype))

    def wrap(self, value: SSAValue, weak: bool = False) -> Number | Array:
        """What a program sees of a value: a number at rank 0, else a new array."""
        return self.array(value) if shape_of(value.type) else Number(value, weak)

    def array(self, value: SSAValue) -> Array:
        """A new array object that holds a value."""
        storage = self._storage(value.type)
        if storage.origin in self.mutable:
            storage.ref = self.emit(memory.variable(value))
        else:
            storage.value = value
        return Array(storage, value.type)

    def memory(self, value: SSAValue) -> Array:
        """A new array object in memory of its own that begins with a value."""
        storage = self._storage(value.type)
        storage.ref = self.emit(memory.variable(value))
        return Array(storage, value.type)

    def argument(self, value: SSAValue, name: str) -> Array:
        """The array object of an argument, which is memory if it is a reference."""
        referred = isinstance(value.type, RefType)
        type_ = value.type.value if isinstance(value.type, RefType) else value.type
        storage = self._storage(type_)
        storage.parameter, storage.given = name, True
        storage.ref, storage.value = (value, None) if referred else (None, value)
        return Array(storage, type_)

    def shown(self, array: Array, view: View) -> Array:
        """An argument as the caller sees it."""
        array.storage.shown = (view,)
        seen = self.view(array, view)
        assert isinstance(seen, Array)
        return seen

    def pinned(self, value: SSAValue) -> SSAValue:
        """The elements of a value in rows: a value of its own where the other lies otherwise."""
        if value in orders_of(self.block, self.rows):
            whole = SliceSpec((AxisSlice(),) * len(shape_of(value.type)))
            value = self.emit(build.slices(value, whole, []))
            self.rows.add(value)
        return value

    def fresh(self, type_: Attribute, extents: Sequence[SSAValue]) -> Array:
        """A new array in memory of unknown content."""
        storage = self._storage(type_)
        storage.ref = self.emit(memory.empty(list(extents), type_))
        return Array(storage, type_)

    def _storage(self, type_: Attribute) -> Storage:
        return Storage(self.next_origin(count=True), self.depth, type_)

    def next_origin(self, count: bool = False) -> Origin:
        """Where the next array comes from: the statement, through all calls, and its number among those made
        there. It is the same at every attempt."""
        site = tuple(self.sites)
        number = self.counts.get(site, 0)
        if count:
            self.counts[site] = number + 1
        return (*site, number)

    def value(self, array: Array) -> SSAValue:
        """The value of an array now."""
        storage = array.storage
        if storage.value is not None:
            value = storage.value
        elif storage.ref is not None:
            value = self.emit(memory.read(storage.ref))
        for view in array.views:
            value = self._shown(view(value))
        return value

    def _shown(self, view: Operation) -> SSAValue:
        """What a view shows; where it takes away an axis that the one before has added, what was there."""
        before = view.operands[0].owner
        if not isinstance(view, ops.IndexOp) or not isinstance(before, ops.ExpandOp):
            return self.emit(view)
        position = view.index.owner
        if view.axis != before.axis or not isinstance(position, ops.ConstantOp) or position.value.value.data:
            return self.emit(view)
        view.erase()
        return before.source

    def view(self, array: Array, *views: View) -> Array | Number:
        """A view of an array; an element as a number."""
        seen = (*array.views, *views)
        value = self.value(Array(array.storage, array.type, seen))
        return Array(array.storage, value.type, seen) if shape_of(value.type) else Number(value)

    def write(self, array: Array, value: SSAValue) -> None:
        """Changes what an array shows; one that is no memory yet will be at the next attempt."""
        self.require_unshared(array.storage)
        array.storage.writes += 1
        if array.storage.ref is None:
            self.found.add(array.storage.origin)
            return
        target = self.value(array)
        inference.broadcast_type(value.type, shape_of(target.type))
        self.append(memory.write(value, target))

    def limit(self, number: object, dtype: str) -> None:
        """Notes that a whole number of Python's, an argument, becomes an element of a narrower dtype."""
        if isinstance(number, Number) and number.weak and number.parameter and number.dtype == "i64":
            known = self.limits.get(number.parameter, frozenset())
            self.limits[number.parameter] = known | ({dtype} & NARROW)

    def copied(self, made: Array, *sources: Array) -> Array:
        """Notes that NumPy would show one of these where this is a copy: then neither may be changed."""
        shown = [source.storage for source in sources]
        made.storage.copied = tuple(storage for storage in shown if storage is not made.storage)
        return made

    def require_unshared(self, storage: Storage) -> None:
        """Raises Refused for a change that NumPy would show in another array, of which this one is a copy."""
        roots = storage.roots
        if any(root.given for root in roots if root is not storage) or any(
            other is not storage and not roots.isdisjoint(other.roots) for other in self.visible()
        ):
            raise Refused(
                "this change would be seen through another array",
                why="`reshape` and its kin copy here, and so does a name that the run binds to one array or "
                "another, where NumPy shows the same elements twice",
                help="change the array before, or go on with a copy: `x.copy()`",
            )

    def visible(self) -> Iterator[Storage]:
        """The storages that names stand for, here and in the functions that called this one."""
        for names in self.scopes:
            for value in names().values():
                yield from _storages(value)

    def extent(self, array: Array, axis: int) -> int | Number:
        """The extent of an axis: a number that is known, or one of the run."""
        known = self.known_extent(array.shape[axis])
        if known is not None:
            return known
        return Number(self.emit(build.dim(self.value(array), axis)), weak=True)

    def known_extent(self, extent: Extent) -> int | Number | None:
        """An extent of a type as a number, None where only the run knows it."""
        return extent if isinstance(extent, int) else self.extents.get(extent)

    def extents_of(self, array: Array) -> tuple[int | Number, ...]:
        """All extents of an array."""
        return tuple(self.extent(array, axis) for axis in range(len(array.shape)))

    def extent_value(self, extent: object) -> SSAValue:
        """An extent as an i64."""
        if isinstance(extent, bool) or not isinstance(extent, int):
            number = extent
            if not isinstance(number, Number) or number.dtype not in INTEGERS:
                raise Refused("an extent must be a whole number")
            if number.dtype == "i64":
                return number.value
            return self.emit(build.cast(number.value, "i64"))
        return self.constant(extent, "i64")

    def extent_name(self, extent: object) -> Extent:
        """What the type of an array can say of an extent: its number, its name, or nothing."""
        if isinstance(extent, int):
            return max(extent, 0)
        if isinstance(extent, Number):
            owner = extent.value.owner
            if isinstance(owner, ops.DimOp):
                return shape_of(owner.source.type)[owner.axis.value.data]
            return self.names.get(extent.value, "")
        return ""

    def equal_extents(self, first: Extent, second: Extent) -> bool | None:
        """Whether two extents are equal, None where only the run knows it. Those of arguments are exactly if
        they have one name."""
        if first == second:
            return True if first != "" else None
        if isinstance(first, int) and isinstance(second, int):
            return False
        given = [each in self.extents and not str(each).startswith(PICKED) for each in (first, second)]
        return False if all(given) else None

    def need_extents(self, title: str, help: str = "") -> NoReturn:
        """Asks for code that is made for the extents of this call; where it is, says what is wrong."""
        if self.open_extents:
            raise NeedsFacts(Facts(extents=self.open_extents))
        raise Refused(title, help=help, code=SHAPES)

    def static(self, value: object, what: str) -> object:
        """A value that must be known now, such as an axis. Raises NeedsFacts for a parameter."""
        if isinstance(value, Number) and value.parameter:
            raise NeedsFacts(Facts(values=frozenset([value.parameter])))
        if isinstance(value, tuple | list):
            return type(value)(self.static(item, what) for item in value)
        if is_run_time(value):
            raise Refused(f"{what} must be known when the code is made", help="write it as a number")
        return value


def _storages(value: object) -> Iterator[Storage]:
    if isinstance(value, Array):
        yield value.storage
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _storages(item)
    elif isinstance(value, Listed):
        yield value.array.storage
    elif isinstance(value, Closure):
        yield from _storages(list(value.names.values()))


NARROW = frozenset(("i8", "u8", "i16", "i32"))
INTEGERS = ("i8", "u8", "i16", "i32", "i64")
