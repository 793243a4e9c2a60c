"""Rules of the passes, proved on what nobody wrote and on wider domains than the tests have time for.

A case takes one sort of rules. What z3 refutes is a fault; what it does not answer in its time is counted,
and proves nothing.
"""

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Any

import numpy as np
import z3
from xdsl.dialects.builtin import UnknownLoc
from xdsl.ir import Block, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import LoopBuilder, Range
from flowc.passes.hoist_transposes import hoist_transposes
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.assurance.campaign import UNANSWERED, Campaign, Tally
from tests.validation import exhaustive, extents, flow_trees
from tests.validation.arrays import prove_kernels
from tests.validation.flow_rules import prove_passes
from tests.validation.loops import prove_each_once, visits_of
from tests.validation.prover import Unproved
from tests.validation.reductions import prove_two_sum
from tests.validation.scalar_meaning import FLOAT_KINDS, INTEGER_KINDS
from tests.validation.scalars import prove_conversion, prove_operator

SECONDS = 60.0
"""For one question."""
DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")


def flows(chance: Random, tally: Tally) -> None:
    """All simplifications on a deep flow."""
    prove_passes(flow_trees.drawn(chance, 5), seconds=SECONDS)


def operators(chance: Random, tally: Tally) -> None:
    """An operator, or a conversion, on all numbers of wide dtypes; or what a sum loses."""
    if chance.random() < 0.1:
        prove_two_sum(SECONDS)
    elif chance.random() < 0.5:
        prove_conversion(chance.choice(DTYPES), chance.choice(DTYPES), SECONDS)
    elif chance.random() < 0.5:
        prove_operator(chance.choice(FLOAT_KINDS), "f64", SECONDS)
    else:
        kinds = [kind for kind in INTEGER_KINDS if kind not in ("floordiv", "mod")]
        prove_operator(chance.choice(kinds), chance.choice(("i64", "i32", "i16")), SECONDS)


def divisions(chance: Random, tally: Tally) -> None:
    """Every number of 16 bits, and many of 32, divided by some divisors by way of floats."""
    for dtype, numbers in (("i16", np.arange(-(2**15), 2**15)), ("i32", _many(chance))):
        held = scalars.held_type(dtype)
        block = Block(arg_types=[held, held])
        kind = chance.choice(("floordiv", "mod"))
        result = scalars.apply(LoopBuilder(block, UnknownLoc()), kind, dtype, block.args)
        for divisor in (chance.randint(-(2**15), 2**15 - 1) for _ in range(50)):
            by = np.full(numbers.shape, divisor, exhaustive.dtype_of(held))
            got = exhaustive.run(block, [numbers.astype(by.dtype), by])[result]
            wanted = np.zeros_like(numbers) if divisor == 0 else _divided(kind, numbers, divisor)
            np.testing.assert_array_equal(got, wanted.astype(by.dtype), f"{kind} of {dtype} by {divisor}")
            tally.tried["quotients"] += len(numbers)


def _many(chance: Random) -> Any:
    numbers = np.random.default_rng(chance.getrandbits(32)).integers(-(2**31), 2**31, 1 << 16)
    return np.concatenate([numbers, [-(2**31), 2**31 - 1, 0, -1, 1]])


def _divided(kind: str, numbers: Any, divisor: int) -> Any:
    return numbers // divisor if kind == "floordiv" else numbers % divisor


def sizes(chance: Random, tally: Tally) -> None:
    """Expressions of extents, and slices with any bounds."""
    for _ in range(30):
        extents.prove_combination(extents.drawn(chance, 6), SECONDS)
        extents.prove_sign(extents.drawn(chance, 5), SECONDS)
    bounds = (None, "$0", *range(-5, 6))
    start, stop = chance.choice(bounds), chance.choice((*bounds, "$1"))
    if stop == "$1" and start != "$0":
        stop = "$0"
    extents.prove_slice(AxisSlice(start, stop, chance.choice((-7, -3, -2, -1, 1, 2, 3, 5))), SECONDS)
    tally.tried["proofs"] += 60


def views(chance: Random, tally: Tally) -> None:
    """Transposes under operators of every sort, one over the other."""

    def body(add: Add, x: SSAValue) -> SSAValue:
        for _ in range(chance.randint(1, 4)):
            x = add(build.transpose(x, chance.choice(list(permutations(range(3))))))
            x = _viewed(chance, add, x)
        return add(build.reduce("sum", x, [chance.randrange(3)]))

    kernel = make_kernel({"x": array_type("f32", ("n", "m", "k"))}, body)
    before = kernel.clone()
    hoist_transposes(as_module(kernel))
    for shape in ((2, 3, 2), (1, 0, 2)):
        prove_kernels(before, kernel, dict(zip("nmk", shape, strict=True)))


def _viewed(chance: Random, add: Add, x: SSAValue) -> SSAValue:
    choice = chance.randrange(4)
    if choice == 0:
        return add(build.elementwise("atan2", [x, x]))
    if choice == 1:
        axes = [AxisSlice(chance.choice((None, 0, 1, -1)), None, chance.choice((1, -1))) for _ in range(3)]
        return add(build.slices(x, SliceSpec(tuple(axes))))
    if choice == 2:
        return add(build.elementwise("sub", [x, add(build.reduce("sum", x, [chance.randrange(3)], True))]))
    return add(build.cast(x, "f32"))


def loops(chance: Random, tally: Tally) -> None:
    """Tiles and remainders of any width."""
    tile, many = chance.randint(1, 100), chance.randint(1, 20)
    grain, steps = tile * many, chance.randint(1, 12)

    def build_loops(b: LoopBuilder, ns: Any, mark: Any) -> None:
        def chunk(low: SSAValue, high: SSAValue) -> None:
            def step(at: SSAValue, _: object) -> list[SSAValue]:
                b.sweep([Range(at, b.min(b.add(at, tile), high))], lambda inner: mark(b, inner))
                return []

            b.loop(low, high, (), step, step=tile)

        b.parallel(ns[0], grain, 0, chunk)

    def build_steps(b: LoopBuilder, ns: Any, mark: Any) -> None:
        def some(i: SSAValue, count: int) -> None:
            for k in range(count):
                mark(b, [b.add(i, k)])

        b.by_steps(ns[0], steps, some)

    for built, name in ((build_loops, f"tiles of {tile} in {grain}"), (build_steps, f"{steps} at once")):
        (n,), nest = visits_of(built, 1)
        prove_each_once(nest.visits, lambda at, n=n: z3.And(at[0] >= 0, at[0] < n), [n >= 0], name)


SORTS: tuple[Callable[[Random, Tally], None], ...] = (flows, operators, divisions, sizes, views, loops)


def case(chance: Random, tally: Tally) -> None:
    """Rules of one sort."""
    sort = chance.choice(SORTS)
    try:
        sort(chance, tally)
    except Unproved:
        tally.tried[UNANSWERED] += 1
    else:
        tally.tried["proofs"] += 1


CAMPAIGN = Campaign("rewrites", case, share=0.5, limit=600.0)
