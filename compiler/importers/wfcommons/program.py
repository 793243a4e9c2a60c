"""A recorded workflow as the text of a program: each task a call of a tool that takes as long as it did."""

import re
from collections.abc import Iterable, Sequence

from flowc.compiler.formatter.literals import escape
from flowc.compiler.importers.names import free_name
from flowc.compiler.importers.wfcommons.reading import Workflow
from flowc.passes.simulation.graph import Task

MOST_STEPS = 10_000
"""Tasks of a program at most: the compiler takes seconds for as many."""
SHORTEST = 0.001
"""The latency of tasks below the resolution of the clock, in seconds."""


def program(workflow: Workflow) -> str:
    """The program: a tool for each category and time, and a flow that calls them."""
    tasks = workflow.graph.tasks
    tools = _tools(tasks)
    steps = _names((task.name for task in tasks), set(tools.values()))
    parts = [
        f"# The recorded workflow {_plain(workflow.graph.name)}, tasks: {len(tasks):,}.\n"
        "# A tool stands for a program at one recorded time; its results are the names of its files.\n"
        "# `pure` is assumed: tasks write no file but their own.\n"
    ]
    for (_, seconds), name in tools.items():
        parts.append(
            f"@latency({_duration(seconds)})\ntool {name}(task: str, after: list[str]) -> str pure\n"
        )
    body = []
    for place in workflow.graph.order:
        task = tasks[place]
        after = ", ".join(steps[parent] for parent in task.parents)
        call = f'{tools[_kind(task)]}("{escape(task.name, chr(34))}", [{after}])'
        body.append(f"    {steps[place]} = {call}")
    last = [steps[place] for place in workflow.graph.order if not workflow.graph.children[place]]
    body.append(f"    return [{', '.join(last)}]")
    return "\n".join([*parts, "flow main() -> list[str]:", *body]) + "\n"


def settings(workflow: Workflow) -> str:
    """A flowc.toml under which the simulated provider takes exactly the recorded times."""
    lines = ["[simulated.tools]"]
    for (_, seconds), name in _tools(workflow.graph.tasks).items():
        lines.append(f'{name} = {{ latency = "{_duration(seconds)}", distribution = "constant" }}')
    return "\n".join(lines) + "\n"


def _kind(task: Task) -> tuple[str, float]:
    return task.traits.category, max(task.seconds, SHORTEST)


def _tools(tasks: Sequence[Task]) -> dict[tuple[str, float], str]:
    """The name of the tool for each category and time."""
    kinds = list(dict.fromkeys(map(_kind, tasks)))
    return dict(zip(kinds, _names((kind for kind, _ in kinds), set()), strict=True))


def _names(wanted: Iterable[str], taken: set[str]) -> list[str]:
    """A name for each, in their order, with a number where it is taken."""
    roots: dict[str, str] = {}
    used: dict[str, int] = {}
    found = []
    for each in wanted:
        word = _identifier(each)
        root = roots.get(word) or roots.setdefault(word, free_name(word, set()))
        name = root
        while name in taken:
            used[root] = used.get(root, 1) + 1
            name = f"{root}_{used[root]}"
        taken.add(name)
        found.append(name)
    return found


def _identifier(name: str) -> str:
    """A name that the language reads as one."""
    word = re.sub(r"\W+", "_", name.rpartition("/")[2], flags=re.ASCII).strip("_").lower()[:60]
    return word if word and not word[0].isdigit() else f"task_{word}".rstrip("_")


def _plain(name: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", name)[:80]


def _duration(seconds: float) -> str:
    """Seconds to the microsecond, without an exponent."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
