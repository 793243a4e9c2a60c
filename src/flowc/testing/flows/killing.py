"""A run that is killed at every step, goes on, and must come to what it comes to when nobody kills it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, frozen

from flowc.runtime.result import RunResult
from flowc.runtime.values import to_json
from flowc.testing.flows import seeds
from flowc.testing.flows.calls import shown
from flowc.testing.flows.checking import Tested, account
from flowc.testing.flows.faults import Fault
from flowc.testing.flows.fuses import Fuse
from flowc.testing.flows.lives import BEGUN, Life, effects_of
from flowc.testing.flows.models import Model
from flowc.testing.flows.stage import Stage, Tools, staged
from flowc.testing.flows.targets import Target, Testable, target_of


@frozen
class Survival:
    """What killing came to: how many runs were killed, and the steps that were in doubt after a kill.

    A step in doubt is a write that is not `idempotent`, and may or may not have happened: the run waits for
    somebody who looks (`flowc resolve`). Here somebody did, and said what was true.
    """

    run: Tested
    kills: int
    in_doubt: tuple[str, ...]


World = Callable[[], object]
"""Makes a new world: an object whose methods of the names of tools are these tools. What its method
`state()` gives, where it has one, must be the same after a kill.
"""


def survives_kill_at_every_step(
    flow: Testable,
    arguments: Mapping[str, object] | None = None,
    *,
    model: Model | None = None,
    tools: Tools | None = None,
    world: World | None = None,
    answers: Mapping[str, object] | None = None,
    faults: Sequence[Fault] = (),
    seed: int | None = None,
    unattended: bool = False,
    most: int = 200,
) -> Survival:
    """Holds where a kept run that is killed anywhere, and gone on with, ends and writes as one that is not.

    The process dies before and after each record of its journal, `most` times at most, spread evenly.
    `world` makes the tools anew for each of these runs; a tool among `tools` with a state of its own would
    keep it. With `unattended` no kill may leave a step in doubt either, so that the run always goes on by
    itself.
    """
    __tracebackhide__ = True
    target, number = target_of(flow), seeds.chosen(seed)

    def life(fuse: Fuse) -> tuple[Life, Tested, "_Ending"]:
        own = None if world is None else world()
        given = {**(tools or {}), **_tools_of(own, target)}
        stage = staged(
            target, model=model, tools=given, answers=answers, faults=faults, seed=number, by_prompt=False
        )
        one = Life(target, arguments or {}, stage, fuse)
        result = one.last()
        if stage.problems:
            raise stage.problems[0]
        run = evolve(account(stage, arguments or {}, result), seconds=one.now - BEGUN)
        return one, run, _ending(stage, result, own)

    fuse = Fuse()
    _, undisturbed, wanted = life(fuse)
    points = [(at, keeps) for at in range(1, fuse.used + 1) for keeps in (False, True)]
    chosen = points[:: max(1, -(-len(points) // most))]
    doubted: dict[str, None] = {}
    for at, keeps in chosen:
        one, run, found = life(cut := Fuse(at, keeps))
        doubted |= dict.fromkeys(one.in_doubt)
        where = f"killed {'after' if keeps else 'before'} record {at} of {fuse.used} was safe ({cut.step()})"
        if found != wanted:
            raise AssertionError(_difference(where, wanted, found, run, undisturbed))
        if unattended and one.in_doubt:
            raise AssertionError(
                f"{where}: the run waits for somebody who says whether {one.in_doubt[0]} has happened\n"
                "  a tool that is safe to call twice with the same `flowc.idempotency_key()` can be declared "
                f"`idempotent`\n{run}"
            )
    return Survival(undisturbed, len(chosen), tuple(doubted))


def _tools_of(world: object, target: Target) -> dict[str, object]:
    """The methods of a world that are tools of the program."""
    if world is None:
        return {}
    names = [name for name, each in target.plan.operations.items() if each.kind == "tool"]
    return {name: getattr(world, name) for name in names if callable(getattr(world, name, None))}


@frozen
class _Ending:
    """What must not depend on a kill: the end, the writes, and the world.

    Where a run fails, it is a matter of time which steps have happened that nothing orders against the failed
    one: its writes here are those that were made twice.
    """

    end: str
    writes: Mapping[str, int]
    state: object


def _ending(stage: Stage, result: RunResult | None, world: object) -> _Ending:
    effects = effects_of(stage)
    if result is None or result.status != "ok":
        keys = Counter((each.key, str(each)) for each in effects if not each.idempotent)
        twice = {call: count for (_, call), count in keys.items() if count > 1}
        return _Ending("no end" if result is None else result.status, twice, None)
    once = {(each.key, str(each)): str(each) for each in effects if each.idempotent}
    writes = Counter(str(each) for each in effects if not each.idempotent) + Counter(once.values())
    state = getattr(world, "state", None)
    value = repr(to_json(result.result, limit=None))
    return _Ending(f"ok {value}", writes, state() if callable(state) else None)


def _difference(where: str, wanted: _Ending, found: _Ending, run: Tested, undisturbed: Tested) -> str:
    lines = [where]
    if found.end != wanted.end:
        lines += ["  it ends otherwise", f"    undisturbed: {shown(wanted.end)}"]
        lines += [f"    killed:      {shown(found.end)}"]
    for what in sorted({*wanted.writes, *found.writes}):
        before, now = wanted.writes.get(what, 0), found.writes.get(what, 0)
        if before != now:
            lines.append(f"  {what} happened {now} times, not {before}")
    if found.state != wanted.state:
        lines += ["  it leaves the world otherwise", f"    undisturbed: {shown(wanted.state)}"]
        lines += [f"    killed:      {shown(found.state)}"]
    return "\n".join([*lines, f"undisturbed: {undisturbed}", f"killed: {run}"])
