"""Which form a product takes on a device, by its shape, its numbers and how its factors lie."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops, products
from flowc.passes.array_to_gpu.contract import convolution, library
from flowc.passes.array_to_gpu.contract.cuts import MOST_PARTS, Cut, Finish, Sink, by_parts
from flowc.passes.array_to_gpu.contract.factors import DEPTH, SIDE, Factor, Problem, problem_of
from flowc.passes.array_to_gpu.contract.registers import LARGE as LARGE_REGISTERS
from flowc.passes.array_to_gpu.contract.registers import SMALL as SMALL_REGISTERS
from flowc.passes.array_to_gpu.contract.registers import RegisterTile, register_tiles
from flowc.passes.array_to_gpu.contract.tensor import LARGE, SMALL, TensorTile, as_tensor, tensor_tiles
from flowc.passes.array_to_gpu.contract.thin import FEW, by_columns, by_elements, by_lines, lanes_of, turned
from flowc.passes.array_to_gpu.either import by_vectors, either
from flowc.passes.array_to_gpu.elementwise import lower_elementwise
from flowc.passes.array_to_gpu.limits import VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices, Place
from flowc.passes.array_to_loops.stages import stage_of

SHORT = 16
"""Of so few steps an element of the result is a thread's own."""
ENOUGH = 132
"""Tiles that give each multiprocessor of a large device one."""


def lower_contract(s: DeviceLowering, op: ops.ContractOp, destination: SSAValue | None) -> None:
    """Stores a product in `destination`, or that of two vectors where numbers are kept."""
    place = s.number(op.result) if destination is None else Place(destination)
    p = problem_of(s, op)
    factors = library.factors_of(s, op, p, place)

    def ask() -> None:
        assert factors is not None
        library.multiply(s, op, factors, place)

    wanted = factors is not None and library.pays(s, p, finished=False)
    either(s, wanted, ask, lambda: _lower(s, p, _stores(s, place)))
    if destination is None:
        s.settle(op.result, place)


def lower_finished_product(s: DeviceLowering, product: ops.ContractOp, op: Operation, place: Place) -> None:
    """A product whose elements an operator finishes: within the product, or in a launch behind the
    library's."""
    p = problem_of(s, product)
    factors = library.factors_of(s, product, p, None)
    value = op.results[0]

    def finish(values: Sequence[SSAValue], positions: Sequence[Indices]) -> None:
        for element, at in zip(values, positions, strict=True):
            s.assume(product.result, s.aligned(product.result, at), element)
        s.store_lanes([s.element(value, at) for at in positions], place, positions)

    def ask() -> None:
        assert factors is not None
        kept = s.temporary(product.result)
        library.multiply(s, product, factors, kept)
        s.settle(product.result, kept)
        lower_elementwise(s, [stage_of(op)], {value: place})

    wanted = factors is not None and library.pays(s, p, finished=True)
    either(s, wanted, ask, lambda: _lower(s, p, finish))


def lower_convolution(s: DeviceLowering, op: products.ConvolveOp, destination: SSAValue) -> None:
    """Stores a convolution."""
    _lower(s, convolution.problem_of(s, op), _stores(s, Place(destination)))


def _stores(s: DeviceLowering, place: Place) -> Finish:
    return lambda values, positions: s.store_lanes(values, place, positions)


def _lower(s: DeviceLowering, p: Problem, finish: Finish) -> None:
    """A product by code of our own."""
    everywhere = p.left.inside is None and p.right.inside is None
    thin = _thin(p) if everywhere else None
    if everywhere and _is_short(p):
        by_elements(s, p, finish)
    elif thin is not None:
        form, q = thin
        q = turned(s, q) if form is by_lines else q
        factor, axis = (q.left, DEPTH) if form is by_lines else (q.right, SIDE)
        fits = _whole_vectors(s, q, [(factor, axis)], lanes_of(factor))
        if factor.dense and factor.contiguous == axis:
            by_vectors(
                s, lambda: form(s, q, finish, vectors=True), lambda: form(s, q, finish, vectors=False), fits
            )
        else:
            form(s, q, finish, vectors=False)
    elif p.tensor:
        _by_tensor(s, as_tensor(p), finish)
    else:
        _by_registers(s, p, finish)


def _is_short(p: Problem) -> bool:
    """Whether a contraction is so short, or a product so small, that its factors are best read as they
    come."""
    if not isinstance(p.depth, int):
        return p.rows == 0 or p.columns == 0
    few = isinstance(p.rows, int) and isinstance(p.columns, int) and p.rows * p.columns <= FEW * FEW
    return (
        p.depth <= SHORT or p.rows == 0 or p.columns == 0 or (few and bool(p.stack) and p.depth <= SHORT * 4)
    )


def _thin(p: Problem) -> tuple[Callable[..., None], Problem] | None:
    """The form of a product with few rows or columns, and which way round it is taken."""
    ways = [q for q in (p, p.transposed()) if isinstance(q.columns, int) and q.columns <= FEW]
    for q in ways:
        if q.left.contiguous == DEPTH:
            return by_lines, q
    for q in ways:
        other = q.transposed()
        if other.right.contiguous == SIDE:
            return by_columns, other
    return (by_lines, ways[0]) if ways else None


def _whole_vectors(
    s: DeviceLowering, p: Problem, factors: Sequence[tuple[Factor, str]], count: int
) -> SSAValue | bool:
    """Whether lines of factors are made of whole vectors along an axis."""
    known, asked = True, None
    for factor, axis in factors:
        if not factor.dense:
            continue
        extent: Index = p.run if axis == DEPTH else p.rows if factor is p.left else p.columns
        left = s.b.remainder(extent, count)
        if isinstance(left, int):
            known = known and left == 0
            continue
        even = s.b.compare("eq", left, s.b.index(0))
        asked = even if asked is None else s.b.insert(arith.AndIOp(asked, even))
    return False if not known else True if asked is None else asked


def _by_tiles(
    s: DeviceLowering,
    p: Problem,
    count: int,
    forms: Callable[[bool], None],
) -> None:
    """Tiles of a form that reads vectors, where it may, else numbers one by one."""
    factors = [(factor, factor.contiguous or DEPTH) for factor in (p.left, p.right)]
    if any(factor.dense for factor, _ in factors):
        by_vectors(s, lambda: forms(True), lambda: forms(False), _whole_vectors(s, p, factors, count))
    else:
        forms(False)


def _has_many(s: DeviceLowering, p: Problem, side: int) -> SSAValue | bool:
    """Whether there are enough tiles of so many rows and columns."""
    tiles = s.b.product([*p.stack, s.b.ceiling(p.rows, side), s.b.ceiling(p.columns, side)])
    return tiles >= ENOUGH if isinstance(tiles, int) else s.b.compare("sge", tiles, s.b.index(ENOUGH))


def _by_tensor(s: DeviceLowering, p: Problem, finish: Finish) -> None:
    def tiles(tile: TensorTile, vectors: bool) -> None:
        def form(cut: Cut, sink: Sink) -> None:
            tensor_tiles(s, p, tile, cut, sink, vectors=vectors, name="product")

        most = MOST_PARTS if vectors and tile is SMALL else 1
        by_parts(s, p, form, finish, (tile.rows, tile.columns, tile.steps(p.tensor)), most)

    def forms(vectors: bool) -> None:
        if not vectors:
            tiles(SMALL, False)
            return
        either(s, _has_many(s, p, LARGE.rows), lambda: tiles(LARGE, True), lambda: tiles(SMALL, True))

    _by_tiles(s, p, _tensor_lanes(p), forms)


def _tensor_lanes(p: Problem) -> int:
    return VECTOR_BYTES // (1 if p.tensor in ("i8", "u8") else 2)


def _by_registers(s: DeviceLowering, p: Problem, finish: Finish) -> None:
    def tiles(tile: RegisterTile, vectors: bool) -> None:
        def form(cut: Cut, sink: Sink) -> None:
            register_tiles(s, p, tile, cut, sink, vectors=vectors, name="product")

        most = MOST_PARTS if vectors and tile is SMALL_REGISTERS else 1
        by_parts(s, p, form, finish, tile.size, most)

    def forms(vectors: bool) -> None:
        if p.numbers.bytes > 4:  # panels of a larger tile would outgrow the memory of a block
            tiles(SMALL_REGISTERS, vectors)
            return
        either(
            s,
            _has_many(s, p, LARGE_REGISTERS.sides),
            lambda: tiles(LARGE_REGISTERS, vectors),
            lambda: tiles(SMALL_REGISTERS, vectors),
        )

    _by_tiles(s, p, VECTOR_BYTES // p.numbers.bytes, forms)
