"""Plans of LLMCompiler as workloads, and its questions as runs: a plan for each, of the form that its prompts
show for questions of that kind.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from benchmarks.agents.graph import Call
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.importers.llmcompiler import convert
from flowc.compiler.importers.plans import JOIN, Step, in_order, read

MEANS = {"search": 1.2, "math": 0.8, "answer": 2.0}
APART = {"search": "text"}
FILES = {"parallelqa": "parallelqa_dataset.json", "movie": "movie_recommendations_formatted.json"}
BUILT_IN = """\
1. search("Mariana Trench")
2. search("Puerto Rico Trench")
3. math("difference of the depths in m?", ["$1", "$2"])
4. search("South Sandwich Trench")
5. search("Sunda Trench")
6. math("difference of the depths in m?", ["$4", "$5"])
7. math("min($3, $6)")
8. join()
"""
_NAME = re.compile(r"[A-Z][\w'’.-]*(?:\s+(?:of|the|de|and)?\s*[A-Z][\w'’.-]*)*")


@frozen
class Planned:
    """A plan as a program, and as bare calls."""

    program: str
    calls: tuple[Call, ...]


def planned(text: str) -> Planned:
    """A plan, imported. Raises CompileError for one that is malformed."""
    steps = in_order(read(text, "plan.txt"))
    calls = [
        Call(
            f"step{step.number}",
            step.tool,
            tuple(f"step{n}" for n in dict.fromkeys(step.references)),
            _key(step),
        )
        for step in steps
        if step.tool != JOIN
    ]
    if len(calls) < len(steps):
        calls.append(Call("answer", "answer", tuple(call.name for call in calls)))
    return Planned(convert(text, "plan.txt"), tuple(calls))


def _key(step: Step) -> str:
    """What tells searches apart is what is looked for."""
    return str(step.arguments[0]) if step.tool == "search" and not step.references else ""


def published() -> list[Planned]:
    """The distinct plans of the data set that are well formed; the one written here where it is not there."""
    path = _file("plans.json")
    if path is None:
        return [planned(BUILT_IN)]
    texts = {each["question"]: each["plan"] for each in json.loads(path.read_text(encoding="utf-8"))}
    return list(_well_formed(texts.values()))


def questions(name: str) -> list[str]:
    """The questions of a data set; none where it is not there."""
    path = _file(FILES[name])
    if path is None:
        return []
    return [each["question"] for each in json.loads(path.read_text(encoding="utf-8"))]


def plan_for(question: str) -> str:
    """A plan as the planner's examples have it: a search for each thing that is named, for films all in the
    list and the options; for the others one calculation over all, and the answer from everything.
    """
    head, _, options = question.partition("\nOptions:")
    if options:
        films = head.partition("similar to ")[2].split(", ")
        searches = [film.strip() for film in (*films, *options.strip().splitlines()) if film.strip()]
        last: list[str] = []
    else:
        searches = list(dict.fromkeys(_NAME.findall(head[1:]))) or [head]
        last = [
            f"math({json.dumps(head)}, [{', '.join(json.dumps(f'${n + 1}') for n in range(len(searches)))}])"
        ]
    steps = [*(f"search({json.dumps(each, ensure_ascii=False)})" for each in searches), *last, "join()"]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)) + "\n"


def _well_formed(texts: Iterable[str]) -> Iterator[Planned]:
    for text in texts:
        try:
            yield planned(text)
        except CompileError:
            continue


def _file(name: str) -> Path | None:
    path = Path(os.environ.get("FLOWC_DATA") or "", "llmcompiler", name)
    return path if os.environ.get("FLOWC_DATA") and path.is_file() else None
