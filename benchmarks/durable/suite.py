"""The bars of the durable run, with LangGraph's SqliteSaver and DBOS on SQLite in turn with flowc."""

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, Table
from benchmarks.rounds import Command, Options, Worker, interleave, started, versions

NAMES = "langgraph", "dbos"
PACKAGES = "langgraph", "langgraph-checkpoint-sqlite", "dbos"
PEER_STEPS = 100
SYNC_SLACK = 50e-6


def run(options: Options) -> Table:
    """Measures all in rounds, and says what holds."""
    size = 1000 if options.quick else 100_000
    found: dict[str, Worker] = {}
    absent: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        steps = str(10 if options.quick else PEER_STEPS)
        peers = [
            Command(options.peers, "benchmarks.durable.peers", (name, _inside(folder, name), steps), 1)
            for name in NAMES
        ]
        own = Command(sys.executable, "benchmarks.durable.child", (_inside(folder, "flowc"), str(size)), 1)
        with started(
            [own, *peers], 300, lambda command, why: absent.append(f"{command.module}: {why}")
        ) as workers:
            rounds, seconds = (1, 0.01) if options.quick else (3, 0.3)
            interleave(workers, rounds, seconds, options.patience)
            found = {_name(each): each for each in workers}
    failed = [*absent, *found["flowc"].problems.values()] if "flowc" in found else absent
    if "flowc" not in found or found["flowc"].problems:
        raise RuntimeError("; ".join(failed))
    absent += [
        f"{name}: {worker.problems['steps']}" for name, worker in found.items() if "steps" in worker.problems
    ]
    note = "Peers: " + versions(options.peers, PACKAGES) + "." if len(absent) < len(NAMES) else ""
    note += "".join(f"\nNot measured: {each}" for each in absent)
    note += (
        "\nSteps: runs in `fast` mode, each in a journal of its own. Writes: in a journal that stays open."
    )
    return Table("durable", "The durable run", tuple(_rows(found, options, size)), note.strip())


def _inside(folder: str, name: str) -> str:
    (inner := Path(folder) / name).mkdir()
    return str(inner)


def _name(worker: Worker) -> str:
    return "flowc" if worker.command.module.endswith("child") else worker.command.arguments[0]


def _rows(found: dict[str, Worker], options: Options, size: int) -> list[Row]:
    flowc = found["flowc"]
    facts = flowc.facts

    def each(name: str, worker: Worker = flowc) -> float:
        """Seconds of one step."""
        return options.estimate(worker.samples[name]) / worker.facts["blocks"].get(name, 1)

    rows = [
        _row("steps a second, one after the other", 1 / each("steps"), 20_000, least=True),
        _row("steps a second, a map", 1 / each("map"), 20_000, least=True),
    ]
    for name in NAMES:
        if name in found and found[name].samples.get("steps"):
            theirs = each("steps", found[name])
            rows.append(_row(f"{name}: steps a second", 1 / theirs, None))
            rows.append(_row(f"flowc over {name}", theirs / each("steps"), 20, least=True))
    raw = each("raw")
    rows += [
        _row("a page written and synced, us", raw * 1e6, None),
        _row("a write, kept before and after, us", each("write") * 1e6, (1.5 * raw + SYNC_SLACK) * 1e6),
        _row("writes a second, 32 in flight", 1 / each("writes"), 20_000, least=True),
        _row("syncs a write, one after the other", facts["syncs"], 1.1),
        _row(f"going on behind {size:,} steps of a loop, s", each("resume loop"), 1.5),
        _row(f"going on behind {size:,} steps of a map, s", each("resume map"), 1.5),
        _row(f"listing {facts['runs']:,} runs, ms", each("list") * 1e3, 200),
        _row(f"journal of {facts['chain']:,} nodes in a chain, kB", facts["chain_bytes"] / 1000, 1000),
    ]
    return rows


def _row(what: str, figure: float, bar: float | None, *, least: bool = False) -> Row:
    """A figure and its bar: the most that it may be, or the `least`."""
    holds = "" if bar is None else "yes" if (figure >= bar if least else figure <= bar) else "NO"
    shown = round(figure) if figure >= 1000 else round(figure, 2)
    said = "" if bar is None else f"{bar:,.0f}" if bar >= 100 else f"{bar:g}"
    bound = "" if bar is None else f"{'at least' if least else 'at most'} {said}"
    return {"what": what, "figure": shown, "bar": bound, "holds": holds}
