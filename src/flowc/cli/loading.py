"""From a file to something that runs: a program is compiled, an artifact is read and verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from flowc.cli import files
from flowc.cli.failure import UsageProblem
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.plan import Plan


@frozen
class Loaded:
    """A plan with its kernels, the text that its lines refer to, and the folder that its tools stand in."""

    plan: Plan
    kernels: Mapping[str, Callable[..., Any]]
    source: Source
    folder: Path


def load(path: str, level: int) -> Loaded:
    """Compiles a .flow file, or reads a .flowc artifact without touching the compiler."""
    if path.endswith(files.ARTIFACT):
        return _read_artifact(path)
    from flowc.cli.compilation import compiled_file

    compiled = compiled_file(path, level)
    return Loaded(compiled.plan, compiled.kernels(), compiled.source, Path(path).parent)


def choose_flow(plan: Plan, wanted: str | None) -> str:
    """The flow to run: the one that is named, else `main`, else the only one; else a list of them."""
    flows = list(plan.functions)
    if wanted is not None and wanted not in flows:
        import difflib

        close = difflib.get_close_matches(wanted, flows, n=1)
        help = f"did you mean `{close[0]}`?" if close else _list(flows)
        raise UsageProblem("E0673", f"there is no flow `{wanted}`", help=help)
    if wanted is not None:
        return wanted
    if "main" in flows:
        return "main"
    if len(flows) == 1:
        return flows[0]
    if not flows:
        raise UsageProblem(
            "E0674",
            "this program has no flow to run",
            why="a run starts at a flow",
            help="add `flow main() -> ...:`",
        )
    raise UsageProblem("E0673", "this program has several flows and none is called `main`", help=_list(flows))


def _list(flows: list[str]) -> str:
    return f"choose one: --flow {' | '.join(flows)}" if flows else "the program has no flow"
