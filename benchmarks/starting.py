"""How quickly the command line answers: whole processes, as a user starts them."""

import compileall
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import flowc
from benchmarks.measure import Row, Table, interleaved, seconds
from benchmarks.programs import chain
from benchmarks.rounds import Options

FLOWC = str(Path(sys.executable).with_name("flowc"))


def page(lines: int) -> str:
    """A program of about `lines` lines with every kind of declaration."""
    parts = [
        "record Passage:\n    id: str\n    text: str\n    score: float\n",
        "enum Verdict: yes, no, unsure\n",
        "tool search(query: str, limit: int = 20) -> list[Passage] reads web\n",
        'llm judge(claim: str, notes: list[str]) -> Verdict:\n    """Do {notes} support {claim}?"""\n',
    ]
    number = 0
    while sum(part.count("\n") + 2 for part in parts) < lines:
        parts.append(
            f"flow review{number}(claim: str, rounds: int = 3) -> Verdict:\n"
            "    hits = search(claim, limit=10)\n"
            "    notes = [hit.text for hit in hits if hit.score > 0.5]\n"
            "    votes: list[Verdict] = []\n"
            "    for i in range(rounds):\n"
            "        votes = votes + [judge(claim, notes)]\n"
            "        if len(votes) >= 3 and agreement(votes) >= 0.8:\n"
            "            break\n"
            "    return majority(votes)\n"
        )
        number += 1
    return "\n\n".join(parts)


def run(options: Options) -> Table:
    """Medians over whole processes, Python's own start beside them."""
    for room in Path(flowc.__path__[0]).iterdir():  # a checkout may lack its bytecode
        if room.is_dir():
            compileall.compile_dir(room.resolve(), quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "page.flow")
        program.write_text(page(200))
        small = Path(folder, "small.flow")
        small.write_text('from "work.py" import work\n' + chain(3))
        Path(folder, "work.py").write_text("def work(i: int) -> int:\n    return i + 1\n")
        artifact = Path(folder, "small.flowc")
        subprocess.run([FLOWC, "compile", str(small), "-o", str(artifact)], check=True, capture_output=True)
        cases: dict[str, tuple[list[str], float | None]] = {
            "python -c pass": ([sys.executable, "-c", "pass"], None),
            "flowc --help": ([FLOWC, "--help"], 100),
            "flowc check, 200 lines": ([FLOWC, "check", str(program)], 400),
            "flowc compile, 200 lines": ([FLOWC, "compile", str(program), "--emit=plan"], 1000),
            "flowc run, 3 nodes": ([FLOWC, "run", str(small)], None),
            "flowc run of an artifact, 3 nodes": ([FLOWC, "run", str(artifact)], None),
        }
        figures = interleaved(
            {name: _process(command) for name, (command, _) in cases.items()}, 3 if options.quick else 15
        )
    rows: list[Row] = []
    for name, (_, bar) in cases.items():
        median = statistics.median(figures[name]) * 1e3
        rows.append(
            {
                "command": name,
                "median_ms": round(median, 1),
                "least_ms": round(min(figures[name]) * 1e3, 1),
                "bar_ms": bar or "",
            }
        )
    return Table("starting", "Start-up, whole processes", tuple(rows))


def _process(command: list[str]) -> Callable[[], float]:
    return lambda: seconds(lambda: subprocess.run(command, check=True, capture_output=True))
