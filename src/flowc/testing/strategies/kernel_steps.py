"""One more operator in a kernel that is drawn: of every sort, on whatever values there are.

Each function gives the new values; none, or a ShapeError, where what was drawn does not fit together. Those
that place by value take exact values, since equal ones keep their order.
"""

from collections.abc import Callable, Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import build, irregular_build, kinds
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import ShapeError, dtype_of, is_float, shape_of
from flowc.testing.strategies.kernel_sites import SMOOTH, STEPPED, Site

DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")
Step = Callable[[Site], Sequence[SSAValue]]

_EXACT = (
    "add", "sub", "mul", "minimum", "maximum", "neg", "abs", "where", "and", "or", "not", "bitand", "bitor",
    "bitxor", "invert", "shl", "shr",
)  # fmt: skip
_KINDS = _EXACT + STEPPED + SMOOTH
_BOUNDS = (None, None, 0, 1, -1, 2, -2, 4, -4)


def elementwise(site: Site) -> Sequence[SSAValue]:
    """An operator of one to three values that broadcast, one of them perhaps a number."""
    choices = site.choices
    kind = choices.one(_KINDS)
    for _ in range(3):
        operands = [site.pick() for _ in range(kinds.arity[kind])]
        if choices.flag() and len(operands) > 1:
            dtype = build.weak_dtype(2, dtype_of(operands[0].type))
            operands[1] = site.constant(choices.number(1, 3), dtype)
        if kind in STEPPED and not all(map(site.is_exact, operands)):
            continue
        try:
            if kind == "where":
                if not site.is_exact(operands[0]):
                    continue
                operands[0] = site.condition(operands[0])
            return [site.elementwise(kind, *operands)]
        except ShapeError:
            continue
    return []


def reduced(site: Site) -> Sequence[SSAValue]:
    """A reduction over any axes."""
    source = site.pick()
    axes = [axis for axis in range(len(shape_of(source.type))) if site.choices.flag()]
    kind = site.choices.one(("sum", "mean", "max", "min", "any", "all"))
    return [site.add(build.reduce(kind, source, axes or None, site.choices.flag()))]


def products(site: Site) -> Sequence[SSAValue]:
    """A product along axes, not of more than a few numbers, lest it overflow."""
    source = site.pick()
    rank = len(shape_of(source.type))
    if not rank:
        return []
    few = site.add(build.slices(source, SliceSpec((AxisSlice(None, 3),) * rank)))
    return [site.add(build.reduce("prod", few, [site.axis(source)]))]


def viewed(site: Site) -> Sequence[SSAValue]:
    """The same elements otherwise: transposed, sliced, with another axis, of another dtype."""
    source, choices = site.pick(), site.choices
    rank = len(shape_of(source.type))
    choice = choices.one(("transpose", "slice", "expand", "cast"))
    if choice == "transpose":
        return [site.add(build.transpose(source, choices.order(rank)))] if rank else []
    if choice == "expand":
        return [site.add(build.expand(source, choices.number(0, rank)))] if rank < 4 else []
    if choice == "cast":
        return [site.add(build.cast(source, choices.one(DTYPES)))]
    axes = [
        AxisSlice(choices.one(_BOUNDS), choices.one(_BOUNDS), choices.one((1, 1, 2, -1, -2)))
        for _ in range(choices.number(0, rank))
    ]
    return [site.add(build.slices(source, SliceSpec(tuple(axes))))]


def whole(site: Site) -> Sequence[SSAValue]:
    """What needs whole rows: products, softmax, running sums, joined arrays, extents."""
    choice, source = site.choices.one(("contract", "softmax", "cumsum", "concat", "dim")), site.pick()
    if choice == "contract":
        return _product(site, source)
    if not shape_of(source.type):
        return []
    axis = site.axis(source)
    if choice == "softmax":
        return [site.add(build.softmax(source, axis))]
    if choice == "cumsum":
        return [site.add(irregular_build.scan("sum", source, axis))]
    if choice == "concat":
        return [site.add(build.concat([source, site.pick()], axis))]
    return [site.add(build.dim(source, axis))]


def _product(site: Site, source: SSAValue) -> Sequence[SSAValue]:
    for other in (site.pick(), site.pick(), source):
        try:
            return [site.add(build.contract(source, other))]
        except ShapeError:
            continue
    if len(shape_of(source.type)) < 2:
        return []
    return [site.add(build.contract(source, site.add(build.transpose(source))))]


def ordered(site: Site) -> Sequence[SSAValue]:
    """What places by value: sorted, ranked, searched."""
    source, choices = site.exact(), site.choices
    if source is None or not shape_of(source.type):
        return []
    axis = site.axis(source)
    choice = choices.one(("sort", "argsort", "scan", "argmax", "argmin", "topk", "searchsorted"))
    if choice == "sort":
        return [site.add(irregular_build.sort(source, axis))]
    if choice == "argsort":
        return [site.add(irregular_build.argsort(source, axis))]
    if choice == "scan":
        return [site.add(irregular_build.scan(choices.one(("max", "min")), source, axis))]
    if choice == "topk":
        best = build.topk(source, site.constant(1))
        site.add(best)
        return [best.values, best.indices]
    if choice == "searchsorted":
        values = site.exact()
        if (
            values is None
            or len(shape_of(source.type)) != 1
            or dtype_of(values.type) != dtype_of(source.type)
        ):
            return []
        line = site.add(irregular_build.sort(source, 0))
        return [site.add(irregular_build.searchsorted(line, values, choices.one(("left", "right"))))]
    return [site.add(build.argreduce(choice, source, axis, choices.flag()))]


def chances(site: Site) -> Sequence[SSAValue]:
    """Random numbers of the shape of a value."""
    like = site.pick()
    shape = shape_of(like.type)
    extents = [site.add(build.dim(like, axis)) for axis in range(len(shape))]
    kind, dtype = site.choices.one(("bits", "uniform", "normal")), site.choices.one(("f32", "f64"))
    seed = site.constant(site.choices.number(0, 99))
    return [site.add(irregular_build.random(kind, seed, shape, extents, dtype))]


def stretched(site: Site) -> Sequence[SSAValue]:
    """A value stretched to the shape of another, or the same elements in other axes."""
    source, like = site.pick(), site.pick()
    rank = len(shape_of(source.type))
    if site.choices.flag() or not rank:
        shape = shape_of(like.type)
        extents = [site.add(build.dim(like, axis)) for axis in range(len(shape))]
        return [site.add(build.broadcast(source, shape, extents))] if shape else []
    return [reshaped(site, source)]


def reshaped(site: Site, source: SSAValue) -> SSAValue:
    """All elements in one axis."""
    from flowc.dialects.array.reshape import reshape

    total = site.constant(1)
    for axis in range(len(shape_of(source.type))):
        total = site.elementwise("mul", total, site.add(build.dim(source, axis)))
    return site.add(reshape(source, [total], ("",)))


def combined_with_itself(site: Site) -> Sequence[SSAValue]:
    """A value with its own transpose, where that has its shape, or with one of its own rows."""
    source, choices = site.pick(), site.choices
    rank = len(shape_of(source.type))
    if not rank:
        return []
    kind = choices.one(("add", "sub", "mul", "minimum", "maximum"))
    if choices.flag():
        return [site.elementwise(kind, source, site.add(build.transpose(source, choices.order(rank))))]
    axis = site.axis(source)
    row = site.add(build.index(source, site.constant(choices.one((0, -1))), axis))
    return [site.elementwise(kind, source, site.add(build.expand(row, axis)))]


def counted(site: Site) -> Sequence[SSAValue]:
    """Numbers in a row: positions of an axis, or evenly spaced ones."""
    source = site.pick()
    if not shape_of(source.type):
        return []
    axis = site.axis(source)
    count = site.add(build.dim(source, axis))
    if site.choices.flag():
        return [site.add(build.iota(count, shape_of(source.type)[axis]))]
    ends = site.constant(-1.0, "f64"), site.constant(float(site.choices.number(-1, 4)), "f64")
    return [site.add(irregular_build.linspace(*ends, count, shape_of(source.type)[axis]))]


USUAL: tuple[Step, ...] = (elementwise, elementwise, reduced, viewed, whole, ordered)
"""Steps that all that compiles kernels has known for long."""


def is_vector(value: SSAValue) -> bool:
    """Whether a value has one axis."""
    return len(shape_of(value.type)) == 1


def as_floats(site: Site, value: SSAValue, dtype: str) -> SSAValue:
    """The value in a floating dtype, that of its own if it has one."""
    return value if is_float(dtype_of(value.type)) else site.add(build.cast(value, dtype))
