"""The program of a kept run, found again: where it is now, else as it was kept; compiled for its kernels."""

from pathlib import Path

from attrs import evolve, frozen

from flowc.cli import files, streams
from flowc.cli.as_kept import compiled, kept_text, kernels_of, loaded_artifact
from flowc.cli.failure import UsageProblem
from flowc.cli.keeping import ARTIFACT
from flowc.cli.loaded import Loaded
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.durable.past import Past
from flowc.runtime.durable.runs import Journal, part_of, plan_of, program_hash
from flowc.runtime.errors import fail
from flowc.runtime.plan import Plan


@frozen
class Found:
    """The program of a run, found again: with the plan that was kept, or, where it has `changed`, its own."""

    loaded: Loaded
    changed: bool = False


def find_program(journal: Journal, past: Past, program: str | None, provider: str | None) -> Found:
    """The program of a run: where `program` says, else where it was, else as it was kept."""
    kept = past.head["settings"]
    if "python" in kept:
        return _python(journal, past, program)
    path = program or kept.get("path") or ""
    if program is not None:
        files.check_exists(program)
        if not program.endswith((".flow", files.ARTIFACT)):
            raise UsageProblem("E0673", f"{program} is no program", help="name a .flow or .flowc file")
    there = bool(path) and Path(path).is_file()
    if path.endswith(files.ARTIFACT):
        return _artifact(journal, past, path, there)
    return _program(journal, past, path, provider, there=there)


def _python(journal: Journal, past: Past, program: str | None) -> Found:
    from flowc.compiler.python.finding import found_again

    kept = past.head["settings"]
    execution = found_again(kept, program)
    plan, world = execution.loaded.plan, execution.loaded.environment
    source = Source(plan.source, execution.text)
    loaded = Loaded(plan, world.kernels, source, Path(kept["folder"]), code=execution.code, tools=world.tools)
    if program_hash(plan) != past.head["program"] or loaded.code != kept["code"]:
        return Found(loaded, True)
    return Found(_with_plan(journal, past, loaded))


def _artifact(journal: Journal, past: Past, path: str, there: bool) -> Found:
    from flowc.cli.artifacts import read_artifact_file

    content = part_of(journal.store, past.head, ARTIFACT) or b""
    target = past.head["settings"].get("target", "cpu")
    if there and Path(path).read_bytes() != content:
        loaded = read_artifact_file(path, target)
        same = program_hash(loaded.plan) == past.head["program"] and not kernels_of(loaded.plan)
        return Found(_with_plan(journal, past, loaded), False) if same else Found(loaded, True)
    if there:
        return Found(_with_plan(journal, past, read_artifact_file(path, target)))
    _say_gone(path)
    return Found(_with_plan(journal, past, loaded_artifact(content, Path(path).name, past.head["settings"])))


def _program(journal: Journal, past: Past, path: str, provider: str | None, *, there: bool) -> Found:
    from flowc.compiler.parser import decode

    kept, before = past.head["settings"], kept_text(journal, past.head)
    folder = Path(path).parent if there else Path(kept.get("folder", "."))
    text = decode(files.read_bytes(path), path) if there else before
    if not there and path:
        _say_gone(path)
    plan = plan_of(journal.store, past.head)
    if text == before and not kernels_of(plan):
        return Found(Loaded(plan, {}, Source(plan.source, before), folder))
    loaded = evolve(compiled(text, path or plan.source, kept, provider), folder=folder)
    if text == before:
        _check_kernels(plan, loaded.plan)
    elif program_hash(loaded.plan) != past.head["program"] or loaded.code != kept.get("code", ""):
        return Found(loaded, True)
    return Found(_with_plan(journal, past, loaded))


def _with_plan(journal: Journal, past: Past, loaded: Loaded) -> Loaded:
    """The program with the plan, and the text for its lines, that were kept."""
    plan = plan_of(journal.store, past.head)
    return evolve(loaded, plan=plan, source=Source(plan.source, kept_text(journal, past.head)))


def _check_kernels(kept: Plan, again: Plan) -> None:
    """Refuses kernels that are not those that the kept plan calls: another compiler may fuse otherwise."""
    if kernels_of(kept) != kernels_of(again):
        raise fail(
            "E0926",
            "the program's kernels are compiled otherwise than when the run began",
            why="the text is the same, and the compiler has made other kernels of it",
            help="go on with it where it began, or run it anew",
        )


def _say_gone(path: str) -> None:
    streams.say(f"{path} is not there: going on with the program as it was kept")
