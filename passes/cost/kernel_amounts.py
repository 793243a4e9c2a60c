"""How much a call of a kernel does, loop by loop: a matrix, evaluated for the extents of the call.

All amounts are sums of products of extents, so they are laid out once for a kernel; a call then takes a few
operations on small arrays.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from flowc.passes.array_account import Sizes
from flowc.passes.array_extents import Expression
from flowc.passes.cost.kernel_work import ACCESS, OPERATORS, KernelWork, LoopWork, Product

COLUMNS = ("elements", "inner", "picked from", "written", *ACCESS, *OPERATORS)
"""What is counted of a loop: elements of its largest array, how many of them are a row, bytes of arrays that
are picked from, bytes written, bytes read by kind of access, and the amount of each operator."""
ELEMENTS, INNER, PICKED_FROM, WRITTEN = 0, 1, 2, 3
READS = slice(4, 4 + len(ACCESS))
MOVED = slice(WRITTEN, READS.stop)
WORK = slice(READS.stop, len(COLUMNS))


@frozen(eq=False)
class KernelCounts:
    """The amounts of a kernel, for any extents.

    A term is one of `factors` times the product of the extents at its `places`, the last of which is 1.
    `sums` (loops * COLUMNS x terms) adds terms up; those from `arguments` on are the bytes of arrays.
    `product` are the places of the rows, the inner extent and the columns of a product of matrices. `fixed`
    has for each loop the bytes of its widest element, whether it works on integers alone, and whether it
    reduces.
    """

    extents: tuple[Expression, ...]
    factors: NDArray[np.float64]
    places: NDArray[np.intp]
    sums: NDArray[np.float64]
    arguments: int
    product: NDArray[np.intp]
    fixed: Sequence[tuple[float, bool, bool]]


@frozen(eq=False)
class Amounts:
    """The amounts of a call: loops x COLUMNS; the bytes of each argument and result; rows, inner extent and
    columns of a product; `fixed` as KernelCounts has it."""

    loops: NDArray[np.float64]
    arguments: NDArray[np.float64]
    product: NDArray[np.float64]
    fixed: Sequence[tuple[float, bool, bool]]


def amounts(counts: KernelCounts, sizes: Sizes) -> Amounts:
    """The amounts of a call in which extents have these sizes."""
    known = [max(extent if isinstance(extent, int) else sizes(extent), 1) for extent in counts.extents]
    extents = np.array([*known, 1], np.float64)
    terms = counts.factors * np.multiply.reduce(extents[counts.places], axis=1)
    loops = (counts.sums @ terms).reshape(-1, len(COLUMNS))
    return Amounts(loops, terms[counts.arguments :], extents[counts.product], counts.fixed)


def kernel_counts(work: KernelWork) -> KernelCounts:
    """The amounts of a kernel that does this work."""
    table = _Table()
    for loop in work.loops:
        table.loop(loop)
    arguments = len(table.terms)
    for each in work.arguments:
        table.place(each)
    products = [each.extents for loop in work.loops for name, each in loop.work if name == "product"]
    fixed = [(loop.element_bytes, loop.integers, loop.reduced) for loop in work.loops]
    return table.counts(arguments, _matrix(products[0]) if products else (1, 1, 1), fixed)


def _matrix(extents: Sequence[Expression]) -> tuple[Expression, ...]:
    """Rows, inner extent and columns of a product; the last of its extents is the inner one."""
    *outer, inner = extents
    rows = outer[-2] if len(outer) > 1 else outer[-1] if outer else 1
    return rows, inner, outer[-1] if len(outer) > 1 else 1


@define
class _Table:
    """Terms, and what sums them up, while they are collected."""

    extents: dict[Expression, int] = field(factory=dict)
    terms: list[Product] = field(factory=list)
    rows: list[list[int]] = field(factory=list)

    def loop(self, loop: LoopWork) -> None:
        """The rows of a loop, one for each of COLUMNS."""
        self._add([loop.elements])
        self._add([loop.inner])
        self._add(loop.picked_from)
        self._add(loop.written)
        for how in ACCESS:
            self._add(each for name, each in loop.read if name == how)
        for operator in OPERATORS:
            self._add(each for name, each in loop.work if name == operator)

    def _add(self, products: Iterable[Product]) -> None:
        self.rows.append([self.place(product) for product in products])

    def place(self, product: Product) -> int:
        """The number of a term, which is new."""
        for extent in product.extents:
            self.extents.setdefault(extent, len(self.extents))
        self.terms.append(product)
        return len(self.terms) - 1

    def counts(
        self, arguments: int, product: Sequence[Expression], fixed: Sequence[tuple[float, bool, bool]]
    ) -> KernelCounts:
        """The matrices."""
        for extent in product:
            self.extents.setdefault(extent, len(self.extents))
        rank = max((len(term.extents) for term in self.terms), default=0) + 1
        places = np.full((len(self.terms), rank), len(self.extents), np.intp)
        for number, term in enumerate(self.terms):
            places[number, : len(term.extents)] = [self.extents[extent] for extent in term.extents]
        sums = np.zeros((len(self.rows), len(self.terms)))
        for number, row in enumerate(self.rows):
            sums[number, row] = 1
        return KernelCounts(
            tuple(self.extents),
            np.array([term.factor for term in self.terms], np.float64),
            places,
            sums,
            arguments,
            np.array([self.extents[extent] for extent in product], np.intp),
            fixed,
        )
