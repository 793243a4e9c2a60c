"""Steps of a drawn kernel that pick, group and store by position, change memory, loop and branch, and the
larger products."""

from collections.abc import Sequence

from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from flowc.dialects.array import build, irregular_build, memory, products_build
from flowc.dialects.array.irregular_inference import edge_dtype
from flowc.dialects.array.require import REASONS, require
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import dtype_of, is_float, promote, shape_of
from flowc.testing.strategies.kernel_building import adding_to
from flowc.testing.strategies.kernel_sites import Site
from flowc.testing.strategies.kernel_steps import (
    USUAL,
    Step,
    as_floats,
    chances,
    combined_with_itself,
    counted,
    is_vector,
    products,
    reshaped,
    stretched,
)


def gathered(site: Site) -> Sequence[SSAValue]:
    """Rows, elements or one position of an array; now and then one that it does not have."""
    source, choices = site.pick(), site.choices
    if not shape_of(source.type):
        return []
    choice = choices.one(("index", "gather", "along"))
    if choice == "index":
        place = site.constant(choices.one((0, 0, -1, -1, 1)))
        return [site.add(build.index(source, place, site.axis(source)))]
    if choice == "gather":
        return [site.add(build.gather(source, positions(site, source)))]
    axis, keys = site.axis(source), site.exact()
    if keys is None or shape_of(keys.type) != shape_of(source.type):
        keys = source if site.is_exact(source) else None
    if keys is None:
        return []
    order = site.add(irregular_build.argsort(keys, axis))
    return [site.add(irregular_build.take_along(source, order, axis))]


def positions(site: Site, source: SSAValue) -> SSAValue:
    """Positions of the rows of an array in an order of their own."""
    extent = shape_of(source.type)[0]
    rows = site.add(build.iota(site.add(build.dim(source, 0)), extent))
    if site.choices.flag():
        return site.add(build.slices(rows, SliceSpec((AxisSlice(None, None, site.choices.one((-1, 2))),))))
    return site.elementwise("floordiv", rows, site.constant(site.choices.number(1, 3)))


def placed(site: Site) -> Sequence[SSAValue]:
    """Rows stored into an array, or combined with what is there."""
    base = site.pick()
    if not shape_of(base.type):
        return []
    kind = site.choices.one(("set", "sum", "min", "max"))
    places = positions(site, base)
    value = site.constant(site.choices.number(0, 2), dtype_of(base.type))
    return [site.add(irregular_build.scatter(kind, base, places, value))]


def grouped(site: Site) -> Sequence[SSAValue]:
    """Rows by keys, or elements between edges: how many, how much."""
    source, choices = site.pick(), site.choices
    if not shape_of(source.type):
        return []
    if choices.flag():
        rows = site.add(build.iota(site.add(build.dim(source, 0)), shape_of(source.type)[0]))
        keys = site.elementwise("mod", rows, site.constant(choices.number(1, 3)))
        kind = choices.one(("count", "sum", "min", "max"))
        values = None if kind == "count" else source
        return [site.add(irregular_build.segment(kind, keys, site.constant(3), values))]
    if not site.is_exact(source):
        return []
    ends = site.constant(-1.0, "f64"), site.constant(1.0, "f64"), site.constant(choices.number(2, 6))
    edges = site.add(irregular_build.linspace(*ends))
    edges = site.add(build.cast(edges, edge_dtype(dtype_of(source.type))))
    weights = source if choices.flag() and dtype_of(source.type) != "bool" else None
    return [site.add(irregular_build.histogram(source, edges, weights, choices.flag()))]


def picked(site: Site) -> Sequence[SSAValue]:
    """What a mask picks from a vector, summed up, since only the run knows how much it is."""
    source = site.exact()
    if source is None or not shape_of(source.type):
        return []
    row = source if is_vector(source) else reshaped(site, source)
    mask, choice = site.condition(row), site.choices.one(("positions", "elements", "order"))
    if choice == "order":
        first = site.constant(site.choices.number(-1, 2))
        return [site.add(irregular_build.order_statistics(source, first, site.choices.number(1, 2)))]
    made = irregular_build.true_positions(mask) if choice == "positions" else irregular_build.pick(row, mask)
    found = site.add(made)
    count = site.whole(mask)
    few = site.add(build.slices(found, SliceSpec((AxisSlice(None, "$0"),)), [count]))
    return [site.add(build.reduce("sum", few)), count]


def written(site: Site) -> Sequence[SSAValue]:
    """An array that is changed in places, as it was and as it is then."""
    source, value = site.pick(), site.pick()
    if not shape_of(source.type):
        return []
    if site.choices.flag():
        ref = site.add(memory.variable(source))
    else:
        extents = [site.add(build.dim(source, axis)) for axis in range(len(shape_of(source.type)))]
        ref = site.add(memory.empty(extents, source.type))
        site.put(memory.write(site.constant(1, dtype_of(source.type)), site.add(memory.read(ref))))
    before = site.add(memory.read(ref))
    part = AxisSlice(site.choices.one((None, 1)), None, site.choices.one((1, 2, -1)))
    target = site.add(build.slices(site.add(memory.read(ref)), SliceSpec((part,))))
    value = site.add(build.cast(value, dtype_of(source.type)))
    if len(shape_of(value.type)) > 1 or shape_of(source.type)[-1:] != shape_of(value.type):
        value = site.constant(2, dtype_of(source.type))
    if len(shape_of(source.type)) == 1:
        value = site.constant(3, dtype_of(source.type))
    site.put(memory.write(value, target))
    return [before, site.add(memory.read(ref))]


def controlled(site: Site) -> Sequence[SSAValue]:
    """A number that goes through a loop of few turns, or one of two branches."""
    carried = site.pick()
    if shape_of(carried.type):
        carried = site.add(build.reduce(site.choices.one(("sum", "mean", "any")), carried))
    if dtype_of(carried.type) == "bool":
        return []
    other = site.constant(2, dtype_of(carried.type))
    choice = site.choices.one(("for", "if", "while"))
    if choice == "if":
        return _branch(site, carried, other)
    return _loop(site, carried, other) if choice == "for" else _while(site, carried, other)


def _branch(site: Site, carried: SSAValue, other: SSAValue) -> Sequence[SSAValue]:
    asked = site.exact()
    if asked is None:
        return []
    condition = site.elementwise("gt", site.whole(asked), site.constant(1))
    blocks = Block(), Block()
    blocks[0].add_op(scf.YieldOp(adding_to(blocks[0])(build.elementwise("add", [carried, other]))))
    blocks[1].add_op(scf.YieldOp(carried))
    return [site.add(scf.IfOp(condition, [carried.type], Region(blocks[0]), Region(blocks[1])))]


def _loop(site: Site, carried: SSAValue, other: SSAValue) -> Sequence[SSAValue]:
    zero, one, turns = (site.constant(number) for number in (0, 1, site.choices.number(0, 3)))
    block = Block(arg_types=[zero.type, carried.type])
    kind = site.choices.one(("add", "maximum"))
    block.add_op(scf.YieldOp(adding_to(block)(build.elementwise(kind, [block.args[1], other]))))
    return [site.add(scf.ForOp(zero, turns, one, [carried], Region(block)))]


def _while(site: Site, carried: SSAValue, other: SSAValue) -> Sequence[SSAValue]:
    turns = site.constant(site.choices.number(0, 3))
    types = [turns.type, carried.type]
    before, after = Block(arg_types=types), Block(arg_types=types)
    asks, does = adding_to(before), adding_to(after)
    more = asks(build.elementwise("gt", [before.args[0], asks(build.constant(0, "i64"))]))
    before.add_op(scf.ConditionOp(more, *before.args))
    left = does(build.elementwise("sub", [after.args[0], does(build.constant(1, "i64"))]))
    after.add_op(scf.YieldOp(left, does(build.elementwise("add", [after.args[1], other]))))
    loop = scf.WhileOp([turns, carried], types, Region(before), Region(after))
    site.add(loop)
    return [loop.results[1]]


def required(site: Site) -> Sequence[SSAValue]:
    """A condition that nearly always holds."""
    source = site.exact()
    if source is None:
        return []
    least = site.constant(site.choices.one((-1, -1, -1, 0)))
    site.put(require(site.elementwise("gt", site.whole(source), least), site.choices.one(REASONS)))
    return []


def large(site: Site) -> Sequence[SSAValue]:
    """Attention, or a convolution, of small matrices."""
    first, second, third = (site.pick() for _ in range(3))
    if not shape_of(first.type):
        return []
    if site.choices.flag():
        query, key, value = (_matrix(site, each) for each in (first, second, third))
        dtype = "f32"
        query, key, value = (site.add(build.cast(each, dtype)) for each in (query, key, value))
        turned = site.add(build.transpose(value)) if site.choices.flag() else value
        scale = products_build.scale_of(site.add, query, site.choices.one((None, 0.5)))
        return [site.add(products_build.attention(query, key, turned, scale, causal=site.choices.flag()))]
    image, filters = _matrix(site, first), _matrix(site, second)
    dtype = promote(dtype_of(image.type), dtype_of(filters.type))
    image = as_floats(site, image, dtype if is_float(dtype) else "f32")
    filters = as_floats(site, filters, dtype if is_float(dtype) else "f32")
    few = SliceSpec((AxisSlice(None, 2), AxisSlice(None, 3)))
    small = site.add(build.slices(filters, few))
    for axis in (0, 3):
        image = site.add(build.expand(image, axis))
    for _ in range(2):
        small = site.add(build.expand(small, 2))
    stride, padding = [site.choices.one((1, 2))] * 2, [site.choices.number(0, 1)] * 4
    return [site.add(products_build.convolve(image, small, stride, padding))]


def _matrix(site: Site, value: SSAValue) -> SSAValue:
    """The value with two axes: its first ones, or one more."""
    while len(shape_of(value.type)) < 2:
        value = site.add(build.expand(value, 0))
    while len(shape_of(value.type)) > 2:
        value = site.add(build.reduce("sum", value, [0]))
    return value


EVERY: tuple[Step, ...] = (
    *USUAL, *USUAL, *USUAL, products, chances, stretched, counted, combined_with_itself, gathered, gathered,
    placed, grouped, picked, written, controlled, required, large,
)  # fmt: skip
"""Steps that make every operator of the dialect."""
