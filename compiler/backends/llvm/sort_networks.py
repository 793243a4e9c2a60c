"""Functions that sort keys of up to 32 vectors in memory, as LLVM text that an optimiser leaves as it is.

Keys are loaded as rows. Rows are sorted as columns first, by Batcher's network (Sorting networks and their
applications, 1968), which needs no shuffles. Neighbouring columns are then merged, two, four, ... at a time,
by a bitonic network: an exchange between a column and the mirror image of the other makes two halves,
exchanges across columns and then across rows sort each. At last, shuffles bring the columns into the order of
memory.

There is a network for 2, 4, 8 and 16 rows. Of more, the first 16 and the others are sorted by themselves; an
exchange with each other's mirror image then makes two bitonic sequences of them, which are sorted at last.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from flowc.compiler.backends.llvm.function import FunctionEmitter, shuffled
from flowc.passes.array_to_loops.irregular.partition import SORTED

PART = SORTED // 2
"""The rows of the largest network, and of the parts that are merged."""
SIZES = (2, 4, 8, PART)
"""The rows of each network."""
PREFIX = "flowc_sort_i"

Rows = list[str]


def function_name(width: int, lanes: int) -> str:
    """The function that sorts keys of `width` bits by vectors of so many: `void (ptr, i64 count)`."""
    return f"{PREFIX}{width}_{lanes}"


def declaration(name: str) -> str:
    """What a module says of the function that it calls."""
    return f"declare hidden void @{name}(ptr, i64)"


def definitions(called: Iterable[str], attributes: str) -> str:
    """The text of the functions among the declarations `called`; a module of its own."""
    names = sorted(line.split("@")[1].split("(")[0] for line in called if f"@{PREFIX}" in line)
    written = [_definition(name, attributes) for name in names]
    declared = sorted({line for _, lines in written for line in lines})
    return "\n".join([*declared, *(text for text, _ in written)])


@cache
def _definition(name: str, attributes: str) -> tuple[str, frozenset[str]]:
    """The text of a function and of those that it is made of, and the declarations that they need."""
    width, lanes = map(int, name.removeprefix(PREFIX).split("_"))
    functions = [write(name, width, lanes) for write in (_sort, _merge, _finish)]
    head = f"(ptr %keys, i64 %count) noinline nounwind {attributes}"
    texts = [e.text(f"define hidden void @{e.name}{head}") for e in functions]
    return "\n".join(texts), frozenset(line for e in functions for line in e.called)


def exchanges(count: int) -> Iterator[tuple[int, int]]:
    """The pairs that Batcher's odd-even merge sort of a power of two compares, in order."""
    block = 1
    while block < count:
        distance = block
        while distance:
            for first in range(distance % block, count - distance, 2 * distance):
                for one in range(first, min(first + distance, count - distance)):
                    if one // (2 * block) == (one + distance) // (2 * block):
                        yield one, one + distance
            distance //= 2
        block *= 2


def _sort(name: str, width: int, lanes: int) -> FunctionEmitter:
    """Sorts all keys, by the smallest network that has room for them."""
    e = FunctionEmitter("", name)
    network = _Network(e, width, lanes)
    for rows in SIZES:
        fits, here, more = e.emit(f"icmp ule i64 %count, {rows * lanes}"), e.fresh("sort"), e.fresh("more")
        e.do(f"br i1 {fits}, label {here}, label {more}")
        e.open(here)
        network.over(rows, 0 if rows == SIZES[0] else rows // 2, network.sorted)
        e.do("ret void")
        e.open(more)
    e.do(f"call void @{name}_merge(ptr %keys, i64 %count)")
    e.do("ret void")
    return e


def _merge(name: str, width: int, lanes: int) -> FunctionEmitter:
    """Sorts more keys than networks have room for."""
    e = FunctionEmitter("", f"{name}_merge")
    network = _Network(e, width, lanes)
    others, left = network.place("%keys", PART * lanes), e.emit(f"sub i64 %count, {PART * lanes}")
    parts = f"ptr %keys, i64 {PART * lanes}", f"ptr {others}, i64 {left}"
    for part in parts:
        e.do(f"call void @{name}({part})")
    start = e.label
    e.do("br label %exchange")
    e.open("%exchange")
    e.do(f"%i = phi i64 [ 0, {start} ], [ %next, %exchange ]")
    low = network.place("%keys", e.emit(f"sub i64 {(PART - 1) * lanes}, %i"))
    high = network.place(others, "%i")
    inside = network.before(network.every(e.emit(f"sub i64 {left}, %i")))
    lesser, greater = network.ordered(network.load(low), network.mirrored(network.load(high, inside)))
    network.store(lesser, low)
    network.store(network.mirrored(greater), high, inside)
    e.do(f"%next = add i64 %i, {lanes}")
    e.do(f"br i1 {e.emit(f'icmp slt i64 %next, {left}')}, label %exchange, label %finish")
    e.open("%finish")
    for part in parts:
        e.do(f"call void @{name}_finish({part})")
    e.do("ret void")
    return e


def _finish(name: str, width: int, lanes: int) -> FunctionEmitter:
    """Sorts a bitonic sequence that has room in one network."""
    e = FunctionEmitter("", f"{name}_finish")
    network = _Network(e, width, lanes)
    network.over(PART, 0, network.finished)
    e.do("ret void")
    return e


class _Network:
    """Exchanges of rows of keys."""

    def __init__(self, e: FunctionEmitter, width: int, lanes: int) -> None:
        self._e = e
        self._key = f"i{width}"
        self._suffix = f"v{lanes}{self._key}"
        self._type = f"<{lanes} x {self._key}>"
        self._align = width // 8
        self._masks: dict[int, str] = {}
        self.lanes = lanes

    def place(self, pointer: str, offset: int | str) -> str:
        """The pointer to a key."""
        return self._e.emit(f"getelementptr {self._key}, ptr {pointer}, i64 {offset}")

    def every(self, place: str) -> str:
        """A place in all lanes, to compare with `before`."""
        narrow = self._e.emit(f"trunc i64 {place} to i32")
        one = self._e.emit(f"insertelement <{self.lanes} x i32> poison, i32 {narrow}, i64 0")
        return shuffled(self._e, f"<{self.lanes} x i32>", one, one, [0] * self.lanes)

    def before(self, place: str, row: int = 0) -> str:
        """The lanes of a row that stand before a place (of `every`), which may be negative or behind all."""
        order = ", ".join(f"i32 {row * self.lanes + lane}" for lane in range(self.lanes))
        return self._e.emit(f"icmp sgt <{self.lanes} x i32> {place}, <{order}>")

    def load(self, pointer: str, mask: str = "") -> str:
        """A row; keys outside of a mask are the greatest."""
        if not mask:
            return self._e.emit(f"load {self._type}, ptr {pointer}, align {self._align}")
        greatest = ", ".join([f"{self._key} -1"] * self.lanes)
        head = [f"ptr {pointer}", f"i32 {self._align}", f"<{self.lanes} x i1> {mask}"]
        arguments = [*head, f"{self._type} <{greatest}>"]
        types = ", ".join(["ptr", "i32", f"<{self.lanes} x i1>", self._type])
        name = f"llvm.masked.load.{self._suffix}.p0"
        self._e.called.add(f"declare {self._type} @{name}({types})")
        return self._e.emit(f"call {self._type} @{name}({', '.join(arguments)})")

    def store(self, row: str, pointer: str, mask: str = "") -> None:
        """Stores the keys of a mask, or all."""
        if not mask:
            self._e.do(f"store {self._type} {row}, ptr {pointer}, align {self._align}")
            return
        masks = f"<{self.lanes} x i1>"
        name = f"llvm.masked.store.{self._suffix}.p0"
        self._e.called.add(f"declare void @{name}({self._type}, ptr, i32, {masks})")
        arguments = f"{self._type} {row}, ptr {pointer}, i32 {self._align}, {masks} {mask}"
        self._e.do(f"call void @{name}({arguments})")

    def over(self, rows: int, full: int, change: Callable[[Rows], Rows]) -> None:
        """Changes the rows of all keys, of which the first ones are known to be full."""
        places = [self.place("%keys", row * self.lanes) for row in range(rows)]
        end = self.every("%count")
        masks = [""] * full + [self.before(end, row) for row in range(full, rows)]
        sources = places[:full] + [self._used(row, places[row]) for row in range(full, rows)]
        found = change([self.load(place, mask) for place, mask in zip(sources, masks, strict=True)])
        for row, place, mask in zip(found, places, masks, strict=True):
            self.store(row, place, mask)

    def _used(self, row: int, place: str) -> str:
        """Where to load a row from, of which a mask may hide all: where it has not just been stored, as to
        load what a mask has stored waits for memory."""
        begun = self._e.emit(f"icmp ugt i64 %count, {row * self.lanes}")
        return self._e.emit(f"select i1 {begun}, ptr {place}, ptr %keys")

    def sorted(self, rows: Rows) -> Rows:
        """All keys in order."""
        rows = list(rows)
        for one, other in exchanges(len(rows)):
            rows[one], rows[other] = self.ordered(rows[one], rows[other])
        span = 1
        while span < self.lanes:
            self._merge(rows, span)
            span *= 2
        for _ in range(len(rows).bit_length() - 1):
            rows = self._interleaved(rows)
        return rows

    def finished(self, rows: Rows) -> Rows:
        """The keys of a bitonic sequence in order."""
        rows = list(rows)
        self._across_rows(rows)
        self._across_columns(rows, self.lanes)
        return rows

    def ordered(self, one: str, other: str) -> tuple[str, str]:
        """The lesser and the greater, lane by lane."""
        operands = [f"{self._type} {one}", f"{self._type} {other}"]
        lesser, greater = (
            self._e.call(f"llvm.{kind}.{self._suffix}", self._type, operands) for kind in ("umin", "umax")
        )
        return lesser, greater

    def mirrored(self, row: str) -> str:
        """The keys of a row the other way round."""
        return self._moved(row, row, list(reversed(range(self.lanes))))

    def _merge(self, rows: Rows, span: int) -> None:
        """Merges pairs of sorted blocks of `span` columns."""
        lanes = range(self.lanes)
        mirror = [lane ^ (2 * span - 1) for lane in lanes]
        swapped = [place + (0 if place & span else self.lanes) for place in mirror]
        for one in range(len(rows) // 2):
            other = len(rows) - 1 - one
            lesser, greater = self.ordered(rows[one], self._moved(rows[other], rows[other], mirror))
            rows[one] = self._chosen(greater, lesser, span)
            rows[other] = self._moved(lesser, greater, swapped)
        self._across_columns(rows, span)
        self._across_rows(rows)

    def _across_columns(self, rows: Rows, span: int) -> None:
        """Orders columns that stand half a span, a quarter, ... apart."""
        distance = span // 2
        while distance:
            places = [lane ^ distance for lane in range(self.lanes)]
            for number, row in enumerate(rows):
                lesser, greater = self.ordered(row, self._moved(row, row, places))
                rows[number] = self._chosen(greater, lesser, distance)
            distance //= 2

    def _across_rows(self, rows: Rows) -> None:
        """Orders rows that stand half of all, a quarter, ... apart."""
        distance = len(rows) // 2
        while distance:
            for one in range(len(rows)):
                if not one & distance:
                    rows[one], rows[one + distance] = self.ordered(rows[one], rows[one + distance])
            distance //= 2

    def _interleaved(self, rows: Rows) -> Rows:
        """The lanes of the first half of the rows, each followed by that of the second half."""
        half, found = len(rows) // 2, []
        for one, other in zip(rows[:half], rows[half:], strict=True):
            for start in (0, self.lanes // 2):
                places = [start + lane // 2 + self.lanes * (lane % 2) for lane in range(self.lanes)]
                found.append(self._moved(one, other, places))
        return found

    def _moved(self, one: str, other: str, places: Sequence[int]) -> str:
        """Lanes of two rows: those from `lanes` on are the other's."""
        return shuffled(self._e, self._type, one, other, places)

    def _chosen(self, one: str, other: str, bit: int) -> str:
        """The lanes of `one` whose number has a bit, else of `other`.

        LLVM knows nothing of the mask: what it takes for a constant shuffle, it keeps apart from the
        instruction that computes `one`, which could do both.
        """
        if bit not in self._masks:
            bits = sum(1 << lane for lane in range(self.lanes) if lane & bit)
            hidden, mask = self._e.fresh(), self._e.fresh()
            self._e.scratch.append(f'  {hidden} = call i{self.lanes} asm "", "=r,0"(i{self.lanes} {bits})')
            self._e.scratch.append(f"  {mask} = bitcast i{self.lanes} {hidden} to <{self.lanes} x i1>")
            self._masks[bit] = mask
        mask = f"<{self.lanes} x i1> {self._masks[bit]}"
        return self._e.emit(f"select {mask}, {self._type} {one}, {self._type} {other}")
