"""Effects: said of tools, inferred for flows, and checked where a flow declares them."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from flowc.compiler.builtins import BUILTINS
from flowc.compiler.checker.context import CallMade, Region, World
from flowc.compiler.checker.model import Signature
from flowc.compiler.checker.report import Report
from flowc.compiler.checker.undoing import check_undo
from flowc.compiler.syntax import Callable, Span
from flowc.compiler.syntax import Effect as EffectWritten
from flowc.runtime.plan import Effect

PURE = Effect("pure")
_OWN = {"llm": Effect("llm"), "human": Effect("human"), "event": Effect("human")}


@frozen
class Body:
    """What a body calls, in order, and the regions of it that restrict their calls."""

    name: str
    calls: tuple[CallMade, ...]
    regions: tuple[Region, ...]


@frozen
class Reached:
    """An effect, and the first call through which a body reaches it."""

    effect: Effect
    call: CallMade


def declared_effects(declaration: Callable, report: Report) -> tuple[Effect, ...]:
    """The effects that a declaration says; those of flows are added later."""
    written = declaration.effects
    own = (_OWN[declaration.kind],) if declaration.kind in _OWN else ()
    if written is None:
        if declaration.kind == "tool":
            _unsaid(declaration, report)
        return own if declaration.kind != "kernel" else (PURE,)
    if declaration.kind == "kernel" and any(each.kind != "pure" for each in written):
        effect = next(each for each in written if each.kind != "pure")
        report.error(
            "E0404",
            f"a kernel has no effects, and `{declaration.name}` says `{describe(effect)}`",
            effect.span,
            why="a kernel is pure arithmetic that becomes machine code",
            help="leave the effects out",
        )
        return (PURE,)
    _check_written(declaration, written, report)
    found = tuple(Effect(e.kind, e.resource, e.idempotent, e.undo) for e in written)
    return tuple(dict.fromkeys((*found, *own))) if found != (PURE,) or not own else own


def _unsaid(declaration: Callable, report: Report) -> None:
    report.error(
        "E0401",
        f"the tool `{declaration.name}` does not say what it does to the world",
        declaration.header,
        why="effects decide what may run at once, be repeated or be merged",
        help="add `pure`, `reads RESOURCE` or `writes RESOURCE` after the result type",
    )


def describe(effect: Effect | EffectWritten) -> str:
    """An effect as a program says it."""
    return effect.kind if effect.resource is None else f"{effect.kind} {effect.resource}"


def _check_written(declaration: Callable, written: Sequence[EffectWritten], report: Report) -> None:
    seen: dict[str, Span] = {}
    for effect in written:
        said = describe(effect)
        if said in seen:
            report.error(
                "E0407",
                f"`{said}` stands twice",
                effect.span,
                help="keep one",
                causes=((seen[said], "first here"),),
            )
        seen[said] = effect.span
    pure = next((effect for effect in written if effect.kind == "pure"), None)
    if pure is not None and (len(written) > 1 or declaration.kind in _OWN):
        what = f"a {declaration.kind}" if declaration.kind == "human" else f"an {declaration.kind}"
        title = "`pure` excludes every other effect" if len(written) > 1 else f"{what} is never pure"
        report.error("E0407", title, pure.span, help="leave `pure` out")


def check_effects(world: World, bodies: Mapping[str, Body], order: Sequence[str], report: Report) -> None:
    """Infers the effects of flows, called ones first, and checks everything that restricts effects."""
    reached: dict[str, tuple[Reached, ...]] = {}
    for name in order:
        if world.callables[name].kind != "flow":
            continue
        body = bodies[name]
        reached[name] = _reached(world, reached, body.calls)
        _check_declared(reached, world.callables[name], report)
        world.callables[name] = _with_effects(world.callables[name], reached[name])
        for region in body.regions:
            _check_region(world, reached, region, body.calls[region.first : region.last], report)
    for signature in world.callables.values():
        check_undo(world, signature, report)
        _check_settings(signature, report)


def effects_of(world: World, reached: Mapping[str, tuple[Reached, ...]], callee: str) -> tuple[Effect, ...]:
    """The effects of calling something: pure callables have none."""
    if callee in reached:
        return tuple(each.effect for each in reached[callee])
    if callee in world.callables:
        return tuple(effect for effect in world.callables[callee].effects if effect != PURE)
    if callee == "sleep":
        return (Effect("sleep"),)
    return (Effect("llm"),) if callee in BUILTINS and BUILTINS[callee].effect == "llm" else ()


def _reached(
    world: World, reached: Mapping[str, tuple[Reached, ...]], calls: Iterable[CallMade]
) -> tuple[Reached, ...]:
    found: dict[Effect, Reached] = {}
    seen: set[tuple[str, bool]] = set()
    for call in calls:
        if (call.callee, call.planned) in seen:
            continue
        seen.add((call.callee, call.planned))
        for effect in effects_of(world, reached, call.callee):
            kept = evolve(effect, undo=None) if call.planned else effect  # nobody undoes a plan's steps
            found.setdefault(kept, Reached(kept, call))
    return tuple(found.values())


def _with_effects(signature: Signature, reached: tuple[Reached, ...]) -> Signature:
    if signature.kind != "flow":
        return signature
    found = {(e.effect.kind, e.effect.resource): e.effect for e in reached}
    for effect in signature.effects:
        if effect != PURE:
            found.setdefault((effect.kind, effect.resource), effect)
    return evolve(signature, effects=tuple(found.values()) or (PURE,))


def _check_declared(reached: Mapping[str, tuple[Reached, ...]], signature: Signature, report: Report) -> None:
    written = signature.declaration.effects
    if signature.kind != "flow" or written is None:
        return
    allowed = {(effect.kind, effect.resource) for effect in written}
    for each in reached[signature.name]:
        key = (each.effect.kind, each.effect.resource)
        covered = key in allowed or (
            each.effect.kind == "reads" and ("writes", each.effect.resource) in allowed
        )
        if covered:
            continue
        pure = any(effect.kind == "pure" for effect in written)
        path = _path(reached, each)
        through = " -> ".join(f"`{name}`" for name in (signature.name, *path))
        report.error(
            "E0402" if pure else "E0403",
            f"`{signature.name}` is {'declared pure, and does' if pure else 'declared without'} "
            f"`{describe(each.effect)}`",
            each.call.span,
            f"`{path[0]}` is called here",
            why=f"{through}: `{path[-1]}` is `{describe(each.effect)}`",
            help=f"declare it: `{describe(each.effect)}`",
            causes=((written[0].span, "declared here"),),
        )
    _check_unused(reached, signature, written, report)


def _check_unused(
    reached: Mapping[str, tuple[Reached, ...]],
    signature: Signature,
    written: Sequence[EffectWritten],
    report: Report,
) -> None:
    happens = {(e.effect.kind, e.effect.resource) for e in reached[signature.name]}
    for effect in written:
        key = (effect.kind, effect.resource)
        reads = effect.kind == "writes" and ("reads", effect.resource) in happens
        if effect.kind != "pure" and key not in happens and not reads:
            report.warning(
                "E0409",
                f"`{describe(effect)}` never happens in `{signature.name}`",
                effect.span,
                help="leave it out, so that more may run at once",
            )


def _path(reached: Mapping[str, tuple[Reached, ...]], start: Reached) -> list[str]:
    path, step = [start.call.callee], start
    while path[-1] in reached:
        step = next(each for each in reached[path[-1]] if each.effect == start.effect)
        path.append(step.call.callee)
    return path


def _check_region(
    world: World,
    reached: Mapping[str, tuple[Reached, ...]],
    region: Region,
    calls: Sequence[CallMade],
    report: Report,
) -> None:
    for each in _reached(world, reached, calls):
        effect = each.effect
        if effect.kind != "writes" or _is_allowed(effect, region):
            continue
        names = _path(reached, each)
        path = " -> ".join(f"`{name}`" for name in names)
        code, title, why, help_ = _REGIONS[region.kind]
        if region.kind == "transaction":
            why, help_ = _not_undone(world, effect, names[-1])
        report.error(
            code, title.format(effect=describe(effect)), each.call.span, why=f"{path}: {why}", help=help_,
            causes=() if region.span == each.call.span else ((region.span, "in here"),),
        )  # fmt: skip


def _is_allowed(effect: Effect, region: Region) -> bool:
    if region.kind == "transaction":
        return effect.undo is not None
    return effect.idempotent and region.kind != "vote"


def _not_undone(world: World, effect: Effect, tool: str) -> tuple[str, str]:
    """Why nothing takes a write back, and the smallest fix."""
    declared = world.callables[tool].effects if tool in world.callables else ()
    if any(each.resource == effect.resource and each.undo is not None for each in declared):
        return (
            "a plan calls it, whose steps are not undone one by one",
            "put `execute` outside the transaction",
        )
    said = describe(effect) + (" idempotent" if effect.idempotent else "")
    return (
        "it names no tool that takes it back",
        f"name one: `{said} undo NAME`; or write outside the transaction",
    )


_REGIONS = {
    "race": (
        "E0408",
        "an arm of a race does `{effect}`",
        "the write of an arm that loses cannot be taken back",
        "race the calls that only read, and write afterwards; or declare the write `idempotent`",
    ),
    "vote": (
        "E0411",
        "a ballot of a vote does `{effect}`",
        "it would happen once a ballot",
        "vote first, and write what was decided",
    ),
    "retry": (
        "E0413",
        "a retried block does `{effect}`",
        "a second attempt would do it twice",
        "declare the write `idempotent`, or move it out of the block",
    ),
    "transaction": ("E0416", "a transaction does `{effect}`, which nothing takes back", "", ""),
}


def _check_settings(signature: Signature, report: Report) -> None:
    spans = {each.name: each.span for each in signature.declaration.decorators}
    for effect in signature.effects:
        if effect.kind != "writes":
            continue
        if signature.cached:
            report.error(
                "E0412",
                f"`{signature.name}` does `{describe(effect)}` and cannot be `@cached`",
                spans["cached"],
                why="a call answered from the cache would not write",
                help="leave `@cached` out",
            )
        if signature.limits.retries and not effect.idempotent:
            report.error(
                "E0413",
                f"`{signature.name}` does `{describe(effect)}` and cannot be retried",
                spans["retry"],
                why="a second attempt would write twice",
                help=f"if writing twice is the same as once, say so: `{describe(effect)} idempotent`",
            )
