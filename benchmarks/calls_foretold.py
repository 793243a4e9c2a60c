"""How well the tokens and seconds of calls of models are foretold from the calls before them."""

import os
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, field, frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import ROOT, Options
from benchmarks.wfinstances.times import spearman
from flowc.compiler.driver import compile_text
from flowc.passes.cost.call_model import expectations
from flowc.runtime.config import load_config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run as execute
from flowc.runtime.expectations import NOTHING, Expectations, Quantiles
from flowc.runtime.expected import expected_seconds, expected_tokens
from flowc.runtime.history.names import ALIAS, operation_name, places
from flowc.runtime.history.samples import CallSample, beside_each, samples
from flowc.runtime.history.store import KEPT, Past
from flowc.runtime.people import answers
from flowc.runtime.plan import Operation
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving
from flowc.runtime.providers.simulated.fitting import replayed
from flowc.runtime.providers.simulated.traces import read_trace
from flowc.runtime.types import STR

TAUGHT = 20
"""Runs of a program that are learned from; as many others are foretold."""
WINDOWS = 6
"""Of a recorded trace so many times the calls that a history keeps are learned from and the next foretold."""

NOTE = f"""\
Each figure is about calls that were not learned from. Programs run on the `simulated` provider: {TAUGHT}
seeds with their arguments teach, as many others are foretold. Of recorded traces (lengths of prompts and
answers; times are those of a simulated server that plays them) the {KEPT} calls before teach, the next
{KEPT} are foretold, {WINDOWS} times. The prompt of a call is known, its answer is not; of the traces also
how many calls are under way. Errors are absolute percentage errors, the median and in brackets the mean;
`rank` is Spearman's correlation, `inside` the share of calls in the interval that four of five should
fall into; `structure` follows from the type of the answer alone, `operation's mean` is what its calls
took before. Where lengths hardly depend on the prompt, as those of conversations, there is little to
foretell but the median and the interval, and the few answers of one or two tokens make the mean error.
"""
EMPTY = CallSample("", "llm")


@frozen
class Case:
    """Calls to learn from and calls to foretell, with the operations behind their names in the history.

    `beside` are the calls under way when each of those to foretell begins, where that is known.
    """

    operations: Mapping[str, Operation]
    taught: Sequence[CallSample]
    judged: Sequence[CallSample]
    beside: Sequence[float] | None = None


@frozen
class Program:
    """A program, arguments for its runs in turn, and what flowc.toml says."""

    name: str
    path: Path
    arguments: Sequence[Mapping[str, object]]
    people: Mapping[str, str] = field(factory=dict)
    toml: str = ""
    runs: int = TAUGHT


def run(options: Options) -> Table:
    """Two rows for each program and each recorded trace."""
    rows = [
        row
        for each in programs()
        for row in judged(each.name, [_case(each, 3 if options.quick else each.runs)])
    ]
    for name, cases in recorded(2 if options.quick else WINDOWS):
        rows += judged(name, cases)
    return Table("calls_foretold", "Calls of models, foretold", tuple(rows), NOTE)


# ---- programs

SERVER = '[models.small]\nprovider = "simulated"\n\n[models.small.simulated.server]\nmax_batch = 8\n'
QUESTIONS = (
    "How are default parameter values evaluated?",
    "What does `with` do?",
    "When is a generator closed, and what happens to the finally clauses inside it then?",
    "Which statements bind names, and in which scope do they bind them?",
    "How does `global` work?",
)
CLAIMS = (
    "An expired certificate caused the checkout outage of 3 March.",
    "Nobody was told.",
    "The outage of the checkout began before the deploy of that morning and ended after it was rolled back.",
)


def programs() -> Iterator[Program]:
    """The examples that ask models, alone and on a server that all calls share."""
    examples = ROOT / "examples"
    asked = [{"question": question} for question in QUESTIONS]
    claimed = [{"claim": claim} for claim in CLAIMS]
    yield Program("ask_docs", examples / "ask_docs/ask_docs.flow", asked, runs=10)
    yield Program("review", examples / "review/review.flow", claimed)
    yield Program("review, on a server", examples / "review/review.flow", claimed, toml=SERVER)
    yield Program("incident", examples / "incident/incident.flow", [{}], {"approve": "true"})


def _case(program: Program, count: int) -> Case:
    text = program.path.read_text(encoding="utf-8")
    compiled = compile_text(text, program.path.name, folder=program.path.parent)
    where = places(text)
    with TemporaryDirectory() as folder:
        toml = Path(folder) / "flowc.toml"
        toml.write_text(program.toml)
        config = load_config(toml)
    kernels: Mapping[str, Callable[..., Any]] = {}
    if compiled.kernels is not None:
        from flowc.runtime.kernels import load as load_kernels

        kernels = load_kernels(compiled.kernels.object_code, compiled.kernels.signatures)

    def calls(seed: int) -> list[CallSample]:
        done = execute(
            compiled.plan,
            None,
            program.arguments[seed % len(program.arguments)],
            environment=Environment(
                config=config,
                provider="simulated",
                folder=program.path.parent,
                people=answers(program.people),
                kernels=kernels,
                seed=seed,
                keep=True,
            ),
        )
        trace: Any = done.trace
        found = samples(trace, compiled.plan, where, virtual=done.virtual).calls
        return [call for call in found if call.kind == "llm"]

    operations = {
        operation_name(each, compiled.plan): each
        for each in compiled.plan.operations.values()
        if each.kind == "llm"
    }
    taught = [call for seed in range(count) for call in calls(seed)]
    held_out = [call for seed in range(1000, 1000 + count) for call in calls(seed)]
    return Case(operations, taught, held_out)


# ---- recorded traces

TRACES = {
    "Azure 2023, code": ("azure_llm_inference_2023_code.csv.gz", Serving(per_prompt_token=0.00001)),
    "Azure 2023, conversation": ("azure_llm_inference_2023_conv.csv.gz", Serving()),
    "Mooncake, conversation": ("mooncake_conversation.jsonl.gz", Serving(per_prompt_token=0.00001)),
}


def recorded(windows: int) -> Iterator[tuple[str, list[Case]]]:
    """The recorded traces that are there, each as windows of calls of one operation."""
    folder = os.environ.get("FLOWC_DATA")
    for name, (file, server) in TRACES.items():
        if folder is None or not (Path(folder) / "traces" / file).is_file():
            continue
        calls = read_trace(Path(folder) / "traces" / file).calls[: windows * 2 * KEPT]
        seconds = replayed(calls, Behaviour(network=0.2, server=server))[1]
        made = [
            evolve(
                EMPTY,
                name="ask",
                alias=ALIAS,
                provider="trace",
                prompt=max(1, call.prompt),
                answer=max(1, call.answer),
                seconds=float(took),
            )
            for call, took in zip(calls, seconds, strict=True)
        ]
        ends = [call.arrival + sample.seconds for call, sample in zip(calls, made, strict=True)]
        beside = beside_each(list(zip(made, ends, strict=True)))
        rows = [evolve(sample, beside=many) for sample, many in zip(made, beside, strict=True)]
        ask = {"ask": Operation("llm", "ask", (), STR)}
        known = _under_way([call.arrival for call in calls], ends)
        yield (
            name,
            [
                Case(
                    ask,
                    rows[at : at + KEPT],
                    rows[at + KEPT : at + 2 * KEPT],
                    known[at + KEPT : at + 2 * KEPT],
                )
                for at in range(0, len(rows) - KEPT, 2 * KEPT)
            ],
        )


def _under_way(arrivals: Sequence[float], ends: Sequence[float]) -> list[float]:
    """For each call how many others are under way when it comes, which whoever asks knows."""
    ended = sorted(ends)
    return [float(place - bisect_right(ended, arrival)) for place, arrival in enumerate(arrivals)]


# ---- judging


def judged(name: str, cases: Sequence[Case]) -> list[Row]:
    """A row for the tokens of answers, and one for the seconds of calls."""
    figures: dict[str, list[tuple[Quantiles, float, float, float]]] = defaultdict(list)
    for case in cases:
        known = _learned(case)
        mean = _means(case)
        for number, call in enumerate(case.judged):
            beside = None if case.beside is None else case.beside[number]
            operation = case.operations[call.name]
            tokens, seconds = _predicted(operation, call, known, beside)
            plain_tokens, plain_seconds = _predicted(operation, call, NOTHING, beside)
            usual = mean.get(call.name, (plain_tokens.middle, plain_seconds.middle))
            figures["tokens"].append((tokens, plain_tokens.middle, usual[0], float(call.answer)))
            figures["seconds"].append((seconds, plain_seconds.middle, usual[1], call.seconds))
    return [_row(name, what, rows) for what, rows in figures.items()]


def _predicted(
    operation: Operation, call: CallSample, known: Expectations, beside: float | None
) -> tuple[Quantiles, Quantiles]:
    return (
        expected_tokens(operation, call.prompt, known),
        expected_seconds(operation, call.prompt, known, beside=beside),
    )


def _learned(case: Case) -> Expectations:
    calls: dict[str, list[CallSample]] = defaultdict(list)
    models: dict[str, list[CallSample]] = defaultdict(list)
    for call in case.taught:
        calls[call.name].append(call)
        models[call.alias].append(call)
    past = Past(
        {name: tuple(some[-KEPT:]) for name, some in calls.items()},
        {alias: tuple(some) for alias, some in models.items()},
    )
    return expectations({each.name: (name, each) for name, each in case.operations.items()}, {}, {}, past)


def _means(case: Case) -> dict[str, tuple[float, float]]:
    found = {}
    for name in case.operations:
        rows = [call for call in case.taught if call.name == name]
        if rows:
            found[name] = (
                statistics.fmean(call.answer for call in rows),
                statistics.fmean(call.seconds for call in rows),
            )
    return found


def _row(name: str, what: str, rows: Sequence[tuple[Quantiles, float, float, float]]) -> Row:
    learned = [(found.middle, true) for found, _, _, true in rows]
    structure = [(plain, true) for _, plain, _, true in rows]
    mean = [(usual, true) for _, _, usual, true in rows]
    inside = sum(found.low <= true <= found.high for found, _, _, true in rows) / len(rows)
    written: dict[str, object] = {"calls": f"{name}: {what}", "foretold": len(rows)}
    ranks: dict[str, object] = {}
    for label, pairs in (("learned", learned), ("structure", structure), ("operation's mean", mean)):
        errors = [abs(predicted - true) / true for predicted, true in pairs]
        written[label] = f"{statistics.median(errors):.0%} ({statistics.fmean(errors):.0%})"
        ranks[f"rank, {label}"] = _rank(pairs)
    return {**written, **ranks, "inside": f"{inside:.0%}"}


def _rank(pairs: Sequence[tuple[float, float]]) -> str:
    """Spearman's correlation; nothing where all predictions, or all calls, are equal."""
    if any(len(set(values)) < 2 for values in zip(*pairs, strict=True)):
        return "-"
    return f"{spearman(pairs):.2f}"
