"""How near `flowc simulate` comes to what runs take: programs in virtual time, kernels in real."""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from benchmarks import kernel_pipelines
from benchmarks.measure import Row, Table
from benchmarks.rounds import ROOT
from benchmarks.rounds import Options as Wanted
from flowc.compiler.driver import Compiled, Options, compile_text
from flowc.compiler.learned import History
from flowc.passes.simulation.forecast import forecast
from flowc.passes.simulation.rehearsal import Setting
from flowc.runtime.config import Config, load_config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run as execute
from flowc.runtime.history.names import places
from flowc.runtime.history.samples import samples
from flowc.runtime.history.store import write
from flowc.runtime.people import answers
from flowc.runtime.plan_check import entry
from flowc.runtime.result import RunResult

EXAMPLES = ROOT / "examples"
BAR, KERNEL_BAR = 0.10, 0.20
LEARNED = 200
"""Runs that teach, where they are quick; their seeds are 0 and on."""
HELD_OUT = 1_000
"""Runs that are foretold, for their makespans spread widely; their seeds begin at 1,000,000."""
RUNS = 999
"""Simulated runs, at most."""
FIRST_HELD_OUT = 1_000_000

NOTE = (
    "Programs on the `simulated` provider, in virtual time: traced runs of so many seeds are learned from as "
    "`learned` says, then `flowc simulate` foretells, then so many others as `held out` says are executed. "
    "`predicted` and `executed` are means of makespans, since single runs spread: `run to run` is the "
    "deviation of executed ones over their mean. `untaught` is what is foretold without a history, from how "
    "flowc.toml describes the provider, `structure` from the program alone, both over what was executed. "
    "Pipelines of kernels are foretold from the shapes of their arguments by the kernel model, corrected by "
    f"traced runs at other sizes ({', '.join(map(str, kernel_pipelines.TAUGHT_BY))} times the rows), "
    "`untaught` by the model alone, `clocked` from single calls of each kernel, over what was executed, the "
    "median wall time of the run phase. Bars: 10 % for the programs in examples/, 20 % for kernels."
)


@frozen
class Program:
    """A program with arguments, under a flowc.toml; `people` are the answers that are prepared. Runs
    of one that is not `quick` take long in real time.
    """

    name: str
    text: str
    folder: Path = ROOT
    flow: str | None = None
    arguments: Mapping[str, object] = field(factory=dict)
    people: Mapping[str, str] = field(factory=dict)
    toml: str = ""
    quick: bool = True


def run(options: Wanted) -> Table:
    """A row for each program, and for each pipeline of kernels."""
    rows = [row(each, options) for each in programs() if not options.only or each.name in options.only]
    rows += kernel_pipelines.rows(options, KERNEL_BAR)
    return Table("simulated_executed", "Simulated beside executed", tuple(rows), NOTE)


def programs() -> Sequence[Program]:
    """The programs in examples/, and a few that limits, servers and chance shape."""
    question = "How are default parameter values evaluated?"
    claim = "An expired certificate caused the checkout outage of 3 March."
    review = _example("review", {"claim": claim})
    two = '[models.small]\nprovider = "simulated"\nmax_in_flight = 2\n'
    return (
        review,
        _example("incident", {}, people={"approve": "true"}),
        _example("ask_docs", {"question": question}, quick=False),
        evolve(review, name="review, 2 calls in flight", toml=two),
        Program("notes, 8 at once on a server", NOTES, toml=SERVER),
        Program("notes, 30 requests a minute", NOTES, toml=PACED),
        Program("first of two, then a vote", RACES),
        Program("rounds of drafts", DRAFTS),
    )


def row(program: Program, options: Wanted) -> Row:
    """One program: taught, foretold, executed."""
    taught_by, held_out = (LEARNED, HELD_OUT) if program.quick else (LEARNED // 4, HELD_OUT // 4)
    if options.quick:
        taught_by, held_out = 20, 20
    with tempfile.TemporaryDirectory() as folder:
        config = _config(program, Path(folder))
        plain = _compiled(program)
        where = Path(folder) / "history.db"
        for seed in range(taught_by):
            done = _executed(plain, program, config, seed, keep=True)
            trace: Any = done.trace
            write(where, samples(trace, plain.plan, places(program.text), virtual=True))
        taught = _compiled(program, History(where, "simulated"))
        predicted = _foretold(taught, program, config, "simulated")
        untaught = _foretold(plain, program, config, "simulated")
        structure = _foretold(plain, program, _unsimulated(config), "openai")
    runs = [_executed(plain, program, config, FIRST_HELD_OUT + seed) for seed in range(held_out)]
    took = [each.wall_ms / 1e3 for each in runs if each.status == "ok"]
    mean = statistics.fmean(took)
    return {
        "program": program.name,
        "predicted": f"{predicted:.3f} s",
        "executed": f"{mean:.3f} s",
        "ratio": f"{predicted / mean:.3f}",
        "bar": _kept(predicted, mean, BAR),
        "run to run": f"{statistics.pstdev(took) / mean:.0%}",
        "learned": taught_by,
        "held out": held_out,
        "untaught": f"{untaught / mean:.3f}",
        "structure": f"{structure / mean:.3f}",
    }


def _kept(predicted: float, executed: float, bar: float) -> str:
    off = abs(predicted / executed - 1)
    return f"{'kept' if off <= bar else 'missed'} ({bar:.0%})"


def _foretold(compiled: Compiled, program: Program, config: Config, provider: str) -> float:
    setting = Setting(config=config, provider=provider, arguments=program.arguments)
    flow = entry(compiled.plan, program.flow).name
    return forecast(compiled.plan, flow, setting, runs=RUNS).mean


def _executed(
    compiled: Compiled, program: Program, config: Config, seed: int, *, keep: bool = False
) -> RunResult:
    environment = Environment(
        config=config,
        provider="simulated",
        folder=program.folder,
        kernels=_kernels(compiled),
        people=answers(program.people),
        seed=seed,
        keep=keep,
    )
    flow = entry(compiled.plan, program.flow).name
    return execute(compiled.plan, flow, program.arguments, environment=environment)


def _kernels(compiled: Compiled) -> Mapping[str, Callable[..., Any]]:
    from flowc.runtime.kernels import load

    kernels = compiled.kernels
    return {} if kernels is None else load(kernels.object_code, kernels.signatures)


def _compiled(program: Program, history: History | None = None) -> Compiled:
    options = Options(history=history)
    return compile_text(program.text, "program.flow", folder=program.folder, options=options)


def _config(program: Program, folder: Path) -> Config:
    if not program.toml:
        return Config()
    (folder / "flowc.toml").write_text(program.toml)
    return load_config(folder / "flowc.toml")


def _unsimulated(config: Config) -> Config:
    return Config(models=config.models)


def _example(
    name: str,
    arguments: Mapping[str, object],
    people: Mapping[str, str] | None = None,
    *,
    quick: bool = True,
) -> Program:
    folder = EXAMPLES / name
    text = (folder / f"{name}.flow").read_text(encoding="utf-8")
    return Program(name, text, folder, None, arguments, people or {}, quick=quick)


NOTES = '''
tool pages(topic: str) -> list[str] reads web

@model("small")
llm note(page: str) -> str:
    """What does this page say about the topic? {page}"""

@model("small")
llm conclude(notes: list[str]) -> str:
    """What do these notes have in common? {notes}"""

flow main(topic: str = "glue") -> str:
    notes = [note(f"{topic} {number}") for number in range(40)]
    return conclude(notes)
'''
SERVER = """
[simulated.tools]
pages = "2s"

[models.small]
provider = "simulated"

[models.small.simulated.server]
max_batch = 8
"""
PACED = """
[models.small]
provider = "simulated"
requests_per_minute = 30
"""
RACES = '''
enum Verdict: good, bad, unsure

@latency(2s)
tool fetch(site: str) -> str reads web

llm judge(text: str) -> Verdict:
    """Is this good? {text}"""

flow main(topic: str = "glue") -> list[Verdict]:
    text = race(fetch(topic + " here"), fetch(topic + " there"), fetch(topic + " elsewhere"))
    return [vote(judge(f"{text} {number}"), max=5, lead=2) for number in range(4)]
'''
DRAFTS = '''
record Draft:
    text: str
    done: bool

llm draft(topic: str, before: str) -> Draft:
    """Write about {topic}; the last draft was: {before}"""

llm translate(text: str, language: str) -> str:
    """Translate into {language}: {text}"""

flow main(topic: str = "glue") -> list[str]:
    best = draft(topic, "")
    while not best.done up to 6:
        best = draft(topic, best.text)
    if len(best.text) % 2 == 0:
        return [best.text]
    return [translate(best.text, language) for language in ["de", "fr", "es"]]
'''
