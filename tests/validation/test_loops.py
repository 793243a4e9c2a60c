"""Loops that the lowering of kernels builds: each element exactly once, none outside, for every extent."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import z3
from xdsl.dialects.builtin import IndexType, UnknownLoc
from xdsl.ir import Block, SSAValue

from flowc.passes.array_to_loops import tiles
from flowc.passes.array_to_loops.builder import LoopBuilder, Range
from flowc.passes.array_to_loops.reductions import BLOCK, Reducer, _blocks
from flowc.passes.array_to_loops.tiling import Tiling, grain_of
from tests.validation.loops import Mark, prove_each_once, visits_of
from tests.validation.machine import Machine, Term
from tests.validation.prover import prove


def line(extent: Term) -> Any:
    return lambda at: z3.And(at[0] >= 0, at[0] < extent)


@pytest.mark.parametrize("steps", [1, 2, 6, 8])
def test_what_goes_by_several_and_then_one_by_one_takes_each_once(steps: int) -> None:
    def build(b: LoopBuilder, ns: Sequence[SSAValue], mark: Mark) -> None:
        b.by_steps(ns[0], steps, lambda i, count: [mark(b, [b.add(i, k)]) for k in range(count)] and None)

    (n,), nest = visits_of(build, 1)
    prove_each_once(nest.visits, line(n), [n >= 0], f"{steps} at once")


@pytest.mark.parametrize("low", [0, 3])
def test_blocks_of_a_reduction_take_each_once(low: int) -> None:
    def build(b: LoopBuilder, ns: Sequence[SSAValue], mark: Mark) -> None:
        reducer = Reducer("max", "i32")
        start = [(b.constant(0, reducer.held),)]

        def element(i: Any) -> Sequence[SSAValue]:
            mark(b, [i])
            return start[0]

        _blocks(b, [reducer], Range(low, ns[0]), start, element)

    (n,), nest = visits_of(build, 1)
    inside = lambda at: z3.And(low <= at[0], at[0] < n)  # noqa: E731
    prove_each_once(nest.visits, inside, [n >= 0], f"blocks of {BLOCK}")


@pytest.mark.parametrize(("grain", "tile"), [(512, 512), (96, 48), (8, 1), (64, 16)])
def test_tiles_of_chunks_take_each_once(grain: int, tile: int) -> None:
    def build(b: LoopBuilder, ns: Sequence[SSAValue], mark: Mark) -> None:
        def chunk(low: SSAValue, high: SSAValue) -> None:
            def step(at: SSAValue, _: object) -> Sequence[SSAValue]:
                end = b.min(b.add(at, tile), high)
                b.sweep([Range(at, end, bound=tile)], lambda inner: mark(b, inner))
                return ()

            b.loop(low, high, (), step, step=tile)

        b.parallel(ns[0], grain, 0, chunk)

    (n,), nest = visits_of(build, 1)
    prove_each_once(nest.visits, line(n), [n >= 0], f"tiles of {tile} in chunks of {grain}")


def test_a_sweep_takes_each_position_of_a_rectangle_once() -> None:
    def build(b: LoopBuilder, ns: Sequence[SSAValue], mark: Mark) -> None:
        b.sweep([Range(0, ns[0]), Range(ns[1], ns[2]), Range(0, 3)], lambda at: mark(b, at))

    (rows, low, high), nest = visits_of(build, 3)

    def inside(at: Sequence[Term]) -> Term:
        return z3.And(at[0] >= 0, at[0] < rows, low <= at[1], at[1] < high, at[2] >= 0, at[2] < 3)

    prove_each_once(nest.visits, inside, [rows >= 0, low >= 0], "a sweep")


@pytest.mark.parametrize("sides", [(), (4, 8)])
def test_a_position_along_two_tracks_is_one_of_each(
    sides: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, block = Machine(), Block(arg_types=[IndexType()] * 3)
    n, m, at = (machine.fresh(name, value) for name, value in zip(("n", "m", "at"), block.args, strict=True))
    s: Any = SimpleNamespace(b=LoopBuilder(block, UnknownLoc()))
    monkeypatch.setattr(tiles, "track_sizes", lambda *_: list(block.args[:2]))
    tiling: Any = SimpleNamespace(sides=sides)
    found = [s.b.index(each) for each in tiles._unravelled(s, tiling, block.args[2])]
    machine.run(block)
    # Of quotient and remainder nothing but their law is needed.
    quotient, rest = z3.Ints("quotient rest")
    law = [at == quotient * m + rest, rest >= 0, rest < m]
    rows, columns = (
        z3.substitute(machine.values[each], (at / m, quotient), (at % m, rest)) for each in found
    )
    height, width = sides or (1, 1)
    claim = z3.And(rows == quotient * height, columns == rest * width, columns >= 0, columns < m * width)
    shown = {"n": n, "m": m, "at": at, "row": rows, "column": columns}
    prove(claim, [n > 0, m > 0, at >= 0, at < n * m, *law], shown, "the place along tracks")


@pytest.mark.parametrize("tile", [1, 16, 48, 512, None])
@pytest.mark.parametrize("each", [1, 700, 40_000_000])
@pytest.mark.parametrize("least", [0, 4096])
def test_chunks_are_whole_tiles_and_never_empty(tile: int | None, each: int, least: int) -> None:
    machine, block = Machine(), Block(arg_types=[IndexType()])
    n = machine.fresh("n", block.args[0])
    s: Any = SimpleNamespace(top=LoopBuilder(block, UnknownLoc()))
    grain = grain_of(s, Tiling((), tile), block.args[0], each, 0, least)
    machine.run(block)
    found = machine.values[s.top.index(grain)]
    given = [n >= 0, n < 2**40]
    for condition in machine.defined:
        prove(condition, given, {"n": n}, "the grain: that it is defined")
    prove(
        z3.And(found >= 1, z3.Or(found == 1, found % (tile or 64) == 0)),
        given,
        {"n": n, "grain": found},
        "the grain",
    )
    prove(
        z3.Implies(n > 0, (n + found - 1) / found <= 64), given, {"n": n, "grain": found}, "at most 64 chunks"
    )


def test_the_number_of_a_chunk_has_a_place_among_the_partial_results() -> None:
    n, grain, count, chunks, number = z3.Ints("n grain count chunks number")
    low = count * grain
    laws = [number * grain <= low, low < number * grain + grain]  # number = low // grain
    laws += [
        chunks * grain <= n + grain - 1,
        n + grain - 1 < chunks * grain + grain,
    ]  # the quotient rounded up
    given = [n > 0, grain > 0, count >= 0, low < n, *laws]
    prove(z3.And(number >= 0, number < chunks), given, name="the place of a partial result")
