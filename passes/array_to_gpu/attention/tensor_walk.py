"""One thread's run through a tile on tensor cores: scores, their softmax as keys come, weighted values."""

from collections.abc import Callable, Sequence
from math import e, log2

from attrs import evolve, frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, i1, i32
from xdsl.dialects.utils import FastMathFlag
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.attention.fragments import (
    DEPTH,
    WIDTH,
    Registers,
    Shape,
    Warp,
    across_four,
    each,
    load_queries,
    lower_by,
    multiply_keys,
    multiply_values,
    store4,
)
from flowc.passes.array_to_gpu.attention.hidden import least_across
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    base_of,
    changed,
    is_cut,
    row_of,
    within,
)
from flowc.passes.array_to_gpu.attention.staging import (
    Panel,
    Source,
    change_signs,
    stage,
)
from flowc.passes.array_to_gpu.launch import barrier, only_if
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.reductions import combine as combined

LOG2_E = log2(e)
APPROXIMATE = arith.FastMathFlagsAttr([FastMathFlag.APPROX_FUNC])
"""Two units in the last place are lost, and what is below the least normal number."""


@frozen
class Panels:
    """What a block has in shared memory, and where it comes from."""

    queries: Panel
    keys: Panel
    values: Panel
    query_source: Source
    key_source: Callable[[Index], Source]
    value_source: Callable[[Index], Source]


@frozen
class Run:
    """One thread's run through a tile. `factor` turns differences of scores into powers of two; `scale` is by
    what scores are multiplied first, where steps change them."""

    a: Attention
    shape: Shape
    tile: Tile
    warp: Warp
    held: Registers
    panels: Panels
    factor: SSAValue
    scale: SSAValue | None


def with_queries(s: DeviceLowering, run: Run) -> Run:
    """Brings the queries, so that the largest product is the largest score: their signs change where the
    scale is negative."""
    b, a, panels, scale = s.b, run.a, run.panels, run.factor
    thread = run.warp.thread
    stage(s, panels.queries, panels.query_source, a.dtype, thread, run.shape.threads)
    b.append(device.CommitCopiesOp())
    b.append(device.WaitCopiesOp(0))
    barrier(s)
    if a.op.changes():
        run = evolve(run, scale=scale, factor=b.constant(LOG2_E, f32))
    else:
        negative = b.insert(arith.CmpfOp(scale, b.constant(0, f32), "olt"))
        change_signs(s, panels.queries, 0, negative, thread, run.shape.threads)
        barrier(s)
        size = b.insert(arith.MulfOp(b.insert(math.AbsFOp(scale)), b.constant(LOG2_E, f32)))
        # Of a scale of 0 all scores are 0, but what is hidden is still less than any of them.
        run = evolve(run, factor=combined(b, "max", size, b.constant(2.0**-126, f32)))
    if run.held.queries is not None:
        kept = run.held.queries

        def step(k: SSAValue) -> None:
            for m in range(run.shape.tiles):
                store4(s, load_queries(s, run.warp, panels.queries, m, k), kept, k, m)

        each(s, panels.queries.columns // DEPTH, step)
    return run


def walk(s: DeviceLowering, run: Run, first: Index, end: Index) -> None:
    """Goes through keys by tiles, the first of which begins at a multiple of a tile."""
    b, shape, panels, dtype = s.b, run.shape, run.panels, run.a.dtype

    def bring(panel: Panel, source: Source) -> None:
        stage(s, panel, source, dtype, run.warp.thread, shape.threads)
        s.b.append(device.CommitCopiesOp())

    def arrived() -> None:
        s.b.append(device.WaitCopiesOp(0))
        barrier(s)

    def step(start: SSAValue, _: Carried) -> Sequence[SSAValue]:
        arrived()
        bring(panels.values, panels.value_source(start))
        multiply_keys(s, dtype, shape, run.warp, run.held, (panels.queries, panels.keys))
        _change(s, run, start)
        _weigh(s, run)
        arrived()
        following = s.b.add(start, shape.keys)
        more = s.b.compare("slt", s.b.index(following), s.b.index(end))
        only_if(s, more, lambda: bring(panels.keys, panels.key_source(following)))
        multiply_values(s, dtype, shape, run.warp, run.held, panels.values)
        return ()

    some = b.compare("slt", b.index(first), b.index(end))
    only_if(s, some, lambda: bring(panels.keys, panels.key_source(first)))
    b.loop(first, end, (), step, step=shape.keys, plain=True)


def _change(s: DeviceLowering, run: Run, start: Index) -> None:
    """Scores after the steps of the operator, and without those that positions hide."""
    if run.scale is not None:
        scale, a = run.scale, run.a

        def step(row: Index, key: Index, score: SSAValue) -> SSAValue:
            scaled = s.b.insert(arith.MulfOp(score, scale))
            return changed(s, a, row_of(s, a, run.tile.unit, row), key, scaled)

        _for_scores(s, run, start, step)

    def hide(row: Index, key: Index, score: SSAValue) -> SSAValue:
        return within(s, row_of(s, run.a, run.tile.unit, row), key, score, run.a.dtype)

    cut = is_cut(s, run.a, run.tile, start, run.shape.keys)
    only_if(s, cut, lambda: _for_scores(s, run, start, hide))


def _for_scores(
    s: DeviceLowering, run: Run, start: Index, change: Callable[[Index, Index, SSAValue], SSAValue]
) -> None:
    """Changes every score of the thread, by its row and its key."""
    warp, scores = run.warp, run.held.scores

    def some(m: SSAValue) -> None:
        for half in range(2):
            row = _row_in_unit(s, run, m, half)

            def eight(n: SSAValue, half: int = half, row: Index = row) -> None:
                key = s.b.add(s.b.add(start, warp.key), s.b.add(s.b.mul(n, WIDTH), s.b.mul(warp.pair, 2)))
                for side in range(2):
                    at: list[Index] = [m, n, 2 * half + side]
                    score = change(row, s.b.add(key, side), s.b.load(scores, at))
                    s.b.store(score, scores, at)

            each(s, run.shape.own_keys // WIDTH, eight)

    each(s, run.shape.tiles, some)


def _row_in_unit(s: DeviceLowering, run: Run, m: Index, half: int) -> Index:
    """The row of the unit of which the thread has a part in a fragment."""
    b = s.b
    within_tile = b.add(b.add(run.warp.row, b.mul(m, DEPTH)), b.add(run.warp.group, WIDTH * half))
    return b.add(run.tile.low, within_tile)


def _weigh(s: DeviceLowering, run: Run) -> None:
    """Turns scores into weights, and scales down what rows have collected, where a larger score came for one
    of the warp's: later on that is seldom."""
    b, held = s.b, run.held

    def some(m: SSAValue) -> None:
        for half in range(2):
            b.store(_weigh_row(s, run, m, half), held.shrink, [m, half])

    each(s, run.shape.tiles, some)
    larger = b.constant(0, i1)
    for m in range(run.shape.tiles):
        for half in range(2):
            changes = arith.CmpfOp(b.load(held.shrink, [m, half]), b.constant(1, f32), "une")
            larger = b.insert(arith.OrIOp(larger, b.insert(changes)))
    lanes = b.insert(device.BallotOp(larger))
    only_if(s, b.compare("ne", lanes, b.constant(0, i32)), lambda: _shrink(s, run))


def _shrink(s: DeviceLowering, run: Run) -> None:
    """Scales down what each row has collected."""
    b, held = s.b, run.held
    assert isinstance(run.a.features, int)
    features = run.a.features

    def some(m: SSAValue) -> None:
        factors = [b.load(held.shrink, [m, half]) for half in range(2)]

        def one(n: SSAValue) -> None:
            for place in range(4):
                at: list[Index] = [m, n, place]
                b.store(b.insert(arith.MulfOp(b.load(held.sums, at), factors[place // 2])), held.sums, at)

        each(s, features // WIDTH, one)

    each(s, run.shape.tiles, some)


def _weigh_row(s: DeviceLowering, run: Run, m: SSAValue, half: int) -> SSAValue:
    """One row: its scores become weights; gives by what to scale what it has collected."""
    b, held, factor = s.b, run.held, run.factor
    eights = run.shape.own_keys // WIDTH
    before = b.load(held.top, [m, half])

    def larger(n: SSAValue, top: Carried) -> Sequence[SSAValue]:
        one, other = (b.load(held.scores, [m, n, 2 * half + side]) for side in range(2))
        return (combined(b, "max", top[0], combined(b, "max", one, other)),)

    (own,) = b.loop(0, eights, (before,), larger)
    top = across_four(s, own, lambda x, y: combined(b, "max", x, y))
    base = base_of(s, run.a, top)
    less = b.insert(arith.MulfOp(base, factor))
    # Of what stays the same the difference is 0, and its power 1.
    shrink = power(s, b.insert(arith.MulfOp(b.insert(arith.SubfOp(before, base)), factor)))
    b.store(top, held.top, [m, half])

    def weight(n: SSAValue, total: Carried) -> Sequence[SSAValue]:
        (added,) = total
        two = []
        for side in range(2):
            score = b.load(held.scores, [m, n, 2 * half + side])
            two.append(power(s, lower_by(s, score, factor, less)))
            added = b.insert(arith.AddfOp(added, two[-1], CONTRACT))
        place = [m, b.quotient(n, 2), b.remainder(n, 2), half]
        b.store(b.insert(device.PackHalvesOp(run.a.dtype, *two)), held.weights, place)
        return (added,)

    kept = b.insert(arith.MulfOp(b.load(held.total, [m, half]), shrink, CONTRACT))
    (total,) = b.loop(0, eights, (kept,), weight)
    b.store(total, held.total, [m, half])
    return shrink


def power(s: DeviceLowering, value: SSAValue) -> SSAValue:
    """Two to the power of a number."""
    return s.b.insert(math.Exp2Op(value, APPROXIMATE))


def least_top(s: DeviceLowering, run: Run) -> SSAValue:
    """The least, over the rows of the tile, of their largest scores; in every thread."""
    b = s.b
    least = b.constant(float("inf"), f32)
    for m in range(run.shape.tiles):
        for half in range(2):
            inside = b.compare("slt", b.index(_row_in_unit(s, run, b.index(m), half)), b.index(run.tile.high))
            top = b.select(inside, b.load(run.held.top, [m, half]), b.constant(float("inf"), f32))
            least = combined(b, "min", least, top)
    return least_across(s, least, run.warp.thread, run.shape.threads)
