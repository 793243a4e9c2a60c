"""What was expected of the steps of a run beside what they took, the worst surprises first.

Each place of the program is a row: all calls from there, or all executions of a step of control flow. What
was expected is what the plan says, which was compiled before the run.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen

from flowc.runtime.expectations import KINDS, Quantiles, bounded
from flowc.runtime.expected import (
    SIMULATED,
    UNSURE,
    call_of,
    expected_embedding,
    expected_prompt,
    expected_seconds,
    expected_step,
    expected_tokens,
)
from flowc.runtime.plan import Json, Node, Plan
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.trace.model import Trace

CALLS = ("tool", "generate", "human", "embed", "kernel")
NO_MATTER = {"s": 1e-4, "tokens": 1.0, "times": 1.0}
"""Of each unit how much makes no difference: a surprise below that is none."""
PREPARED = 1e-3
"""Seconds; a person takes longer, so that an answer that came sooner was given beforehand."""
BALLOTS = UNSURE.times(3.0)
ROUNDS = UNSURE.times(10.0)
"""How often the inside of a step runs, where nothing is known."""


@frozen
class Foretold:
    """One figure of one place: how much of a `unit` each of `times` executions took in the median.

    Units are "s", waiting before the gate left out, "tokens" of an answer, "times" that the inside of a step
    ran, and "share" of executions that took the first branch. The expectation rests on `expected.samples`, or
    where there are none on `basis`.
    """

    step: str
    op: str
    line: int
    times: int
    unit: str
    expected: Quantiles
    measured: float
    basis: str = "structure"

    @property
    def off(self) -> float:
        """How many times more was measured than expected."""
        least = NO_MATTER.get(self.unit, 0.0)
        return (self.measured + least) / (self.expected.middle + least) if self.unit != "share" else 1.0

    @property
    def surprise(self) -> float:
        """How far off, as a logarithm; of a share, twice the difference."""
        if self.unit == "share":
            return 2.0 * abs(self.measured - self.expected.middle)
        return abs(math.log(self.off)) if self.off > 0.0 else math.inf

    def to_json(self) -> dict[str, Json]:
        """A plain object, for programs."""
        expected = self.expected
        return {
            "step": self.step,
            "op": self.op,
            "line": self.line,
            "times": self.times,
            "unit": self.unit,
            "expected": [round(each, 9) for each in (expected.low, expected.middle, expected.high)],
            "samples": expected.samples,
            "basis": "history" if expected.samples else self.basis,
            "measured": round(self.measured, 9),
        }


def foretold(
    trace: Trace, plan: Plan, kernels: Mapping[str, Quantiles] | None = None, *, virtual: bool = False
) -> list[Foretold]:
    """All that was expected of a run, by how much of a surprise it was.

    `kernels` has by their names what the cost model expects of calls of kernels. In `virtual` time tools and
    people were simulated.
    """
    others = SIMULATED if virtual else ""
    log = trace.log[: trace.ended]
    spent: dict[tuple[Frame, int], list[Mapping[str, Any]]] = defaultdict(list)
    done: dict[tuple[str, int, int], list[tuple[float, list[Mapping[str, Any]]]]] = defaultdict(list)
    ran: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    nodes: dict[tuple[str, int, int], Node] = {}
    for kind, frame, instruction, _, _, more in log:
        if kind == "spent":
            spent[frame.home(), instruction.index].append(more)
    for kind, frame, instruction, start, end, more in log:
        node = instruction.node
        place = (node.name, node.line, node.column)
        if kind == "node.done" and node.op in CALLS:
            costs = spent.get((frame.home(), instruction.index), [])
            done[place].append((end - start - sum(cost["waited_s"] for cost in costs), costs))
            nodes[place] = node
        elif kind == "structure" and node.op in KINDS and isinstance(more, int):
            ran[place].append(more)
            nodes[place] = node
    found = [
        row
        for place, calls in done.items()
        for row in _calls(nodes[place], calls, plan, kernels or {}, others)
    ]
    found += [_step(nodes[place], counts, plan) for place, counts in ran.items()]
    return sorted(found, key=lambda row: (-row.surprise, row.line, row.step, row.unit))


def _calls(
    node: Node,
    calls: Sequence[tuple[float, list[Mapping[str, Any]]]],
    plan: Plan,
    kernels: Mapping[str, Quantiles],
    others: str,
) -> Iterable[Foretold]:
    """What was expected of the calls of one place: their seconds, and of a model's the tokens of answers.
    `others` is the provider of tools and people.
    """
    asked = [(cost["provider"], cost["model"]) for _, costs in calls for cost in costs]
    provider, model = asked[-1] if asked else (None, None)
    seconds = median(max(0.0, taken) for taken, _ in calls)

    def row(unit: str, expected: Quantiles, measured: float) -> Foretold:
        basis = "cost model" if node.op == "kernel" else "structure"
        return Foretold(node.name, node.op, node.line, len(calls), unit, expected, measured, basis)

    if node.op == "kernel":
        if (usual := kernels.get(str(node.settings["kernel"]))) is not None:
            yield row("s", usual, seconds)
        return
    if node.op == "embed":
        yield row("s", expected_embedding(plan.expectations, provider, model), seconds)
        return
    operation = plan.operations[str(node.settings["operation"])]
    if node.op == "human" and seconds < PREPARED:
        return
    if node.op != "generate":
        yield row("s", expected_seconds(operation, expectations=plan.expectations, provider=others), seconds)
        return
    known = plan.expectations
    prompt = expected_prompt(node, call_of(operation.name, known, provider, model))
    yield row("s", expected_seconds(operation, prompt, known, provider, model=model), seconds)
    answers = [cost["tokens_out"] for _, costs in calls for cost in costs[-1:]]
    if answers:
        yield row("tokens", expected_tokens(operation, prompt, known, provider, model), median(answers))


def _step(node: Node, ran: list[int], plan: Plan) -> Foretold:
    """What was expected of a step of control flow."""
    known = expected_step(node, plan.expectations)
    if KINDS[node.op] in ("branch", "try"):
        likely, samples = (0.5, 0) if known is None else (known.taken, known.samples)
        expected, unit = bounded(likely, likely, likely, samples), "share"
        measured = sum(each == 0 for each in ran) / len(ran)
    else:
        usual = BALLOTS if node.op == "vote" else ROUNDS
        expected = usual if known is None or known.count is None else known.count
        measured, unit = float(median(ran)), "times"
    return Foretold(node.name, node.op, node.line, len(ran), unit, expected, measured)
