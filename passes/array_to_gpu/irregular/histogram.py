"""Histograms on a device: the bin of each element by a product where edges are evenly spaced, then compared
with the edges around it, or by a search among them."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_gpu.irregular.counting import Counting, count
from flowc.passes.array_to_gpu.irregular.grouped import group
from flowc.passes.array_to_gpu.irregular.grouping import Grouping
from flowc.passes.array_to_gpu.launch import sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import EDGES, Checks
from flowc.passes.array_to_loops.search import insertion_point


def lower_histogram(
    s: DeviceLowering, checks: Checks, op: irregular.HistogramOp, destination: SSAValue
) -> None:
    """How much lies in each bin."""
    number = s.sizes(op.edges)[0]
    checks.require(s.b.compare("sgt", s.b.index(number), s.b.index(0)), EDGES, op)
    edges = _Edges(op, _kept_edges(s, op, number), s.sizes(op.result)[0])
    checks.require_everywhere([1], lambda _: _rise(s, edges), EDGES, op)
    sizes = s.sizes(op.source)

    def entry(at: Sequence[Index]) -> tuple[SSAValue, SSAValue]:
        return _bin(s, edges, s.as_dtype(op.source, at, edges.dtype))

    if op.weights is None:
        count(s, Counting("histogram", edges.bins, sizes, entry, op.source, destination))
        return
    weights, dtype = op.weights, dtype_of(op.result.type)
    source = dtype_of(weights.type)
    carried = "f64" if is_float(dtype) else "i64"

    def value(at: Sequence[Index]) -> SSAValue:
        held = s.element(weights, at)
        return held if source == carried else scalars.convert(s.b, held, source, carried)

    def finish(place: Index, total: SSAValue) -> None:
        narrow = total if carried == dtype else scalars.convert(s.b, total, carried, dtype)
        scalars.store(s.b, narrow, destination, [place])

    single = is_float(source) and source != "f64"
    group(s, Grouping("histogram", "sum", carried, 0, edges.bins, sizes, entry, value, finish, single))


@frozen
class _Edges:
    """The edges of a histogram in memory, and how many bins there are between them."""

    op: irregular.HistogramOp
    memory: SSAValue
    bins: Index

    @property
    def dtype(self) -> str:
        """The dtype in which elements are compared with edges."""
        return dtype_of(self.op.edges.type)


def _kept_edges(s: DeviceLowering, op: irregular.HistogramOp, number: Index) -> SSAValue:
    """The edges, stored where they are not: each element asks for some of them."""
    if op.edges in s.buffers:
        return s.buffers[op.edges]
    memory = s.allocate(scalars.stored_type(dtype_of(op.edges.type)), [number])
    sweep(s, [number], lambda at: scalars.store(s.b, s.element(op.edges, at), memory, at), "edges")
    return memory


def _edge(s: DeviceLowering, edges: _Edges, i: Index) -> SSAValue:
    return s.b.load(edges.memory, [i])


def _rise(s: DeviceLowering, edges: _Edges) -> SSAValue:
    """Whether the first edge is not above the last."""
    return s.b.insert(arith.CmpfOp(_edge(s, edges, 0), _edge(s, edges, edges.bins), "ole"))


def _bin(s: DeviceLowering, edges: _Edges, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The bin of a number, and whether it has one."""
    b = s.b
    low, high = _edge(s, edges, 0), _edge(s, edges, edges.bins)
    inside = b.insert(arith.AndIOp(_compared(s, x, low, "oge"), _compared(s, x, high, "ole")))
    inside = b.insert(arith.AndIOp(inside, b.compare("sgt", b.index(edges.bins), b.index(0))))

    def searched() -> SSAValue:
        return _searched(s, edges, x)

    def found() -> Sequence[SSAValue]:
        if edges.op.uniform is None:
            return (searched(),)
        scale, even = _spacing(s, edges, low, high)
        return b.branch(even, lambda: (_computed(s, edges, x, low, scale),), lambda: (searched(),))

    return b.branch(inside, found, lambda: (b.index(0),))[0], inside


def _compared(s: DeviceLowering, x: SSAValue, y: SSAValue, how: str) -> SSAValue:
    return s.b.insert(arith.CmpfOp(x, y, how))


def _spacing(s: DeviceLowering, edges: _Edges, low: SSAValue, high: SSAValue) -> tuple[SSAValue, SSAValue]:
    """Bins to a unit, and whether a product with that is off by less than a bin: not of edges that are closer
    together than numbers."""
    b, type_ = s.b, scalars.held_type(edges.dtype)
    precision = b.constant(2.0**-22 if edges.dtype == "f32" else 2.0**-51, type_)
    number = b.convert(arith.SIToFPOp, b.to_integer(edges.bins), type_)
    scale = b.insert(arith.DivfOp(number, b.insert(arith.SubfOp(high, low))))
    first, last = (b.insert(math.AbsFOp(end)) for end in (low, high))
    furthest = b.insert(arith.MaximumfOp(first, last))
    near = b.insert(arith.MulfOp(b.insert(arith.MulfOp(furthest, scale)), precision))
    worst = b.insert(arith.AddfOp(near, b.insert(arith.MulfOp(number, precision))))
    return scale, _compared(s, worst, b.constant(0.25, type_), "olt")


def _computed(s: DeviceLowering, edges: _Edges, x: SSAValue, low: SSAValue, scale: SSAValue) -> SSAValue:
    """The bin by a product, or one beside it where the edges say so."""
    b = s.b
    where = b.insert(arith.MulfOp(b.insert(arith.SubfOp(x, low)), scale))
    place = _clamped(s, edges, b.to_index(b.convert(arith.FPToSIOp, where, i32)))
    below = _compared(s, x, _edge(s, edges, place), "olt")
    beyond = _compared(s, x, _edge(s, edges, b.add(place, 1)), "oge")
    lower = b.select(below, b.index(b.sub(place, 1)), b.index(place))
    return _clamped(s, edges, b.select(beyond, b.index(b.add(place, 1)), lower))


def _searched(s: DeviceLowering, edges: _Edges, x: SSAValue) -> SSAValue:
    """The bin by halving the range in which it may be."""
    extent = s.b.add(edges.bins, 1)
    behind = insertion_point(s.b, lambda i: _edge(s, edges, i), extent, x, edges.dtype, "right")
    return _clamped(s, edges, s.b.sub(behind, 1))


def _clamped(s: DeviceLowering, edges: _Edges, place: Index) -> SSAValue:
    return s.b.index(s.b.max(s.b.min(place, s.b.sub(edges.bins, 1)), 0))
