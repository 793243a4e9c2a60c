"""What the tests of kept runs share: programs, a journal of their own, and runs that were broken off."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from flowc.cli import main
from flowc.compiler.driver import compile_text
from flowc.runtime.durable.codec import key_of
from flowc.runtime.durable.runs import begin, journal_at
from flowc.runtime.reading import bind_arguments

TOOLS = """\
from pathlib import Path

def put(i: int) -> int:
    with Path("world.txt").open("a") as world:
        world.write(f"{i}\\n")
    if Path("broken").exists():
        raise ValueError("the disk is on fire")
    return i * 10
"""
STEPS = """\
from "tools.py" import put

tool put(i: int) -> int writes db

flow main(n: int) -> int:
    a = put(n)
    b = put(a + 1)
    return b
"""
ASKS = '''\
human approve(what: str) -> bool:
    """May {what} be done?"""

flow main() -> str:
    return "done" if approve("it") else "left"
'''


def write_programs(folder: Path) -> None:
    """Writes the programs that the tests run."""
    for name, text in {"tools.py": TOOLS, "steps.flow": STEPS, "asks.flow": ASKS}.items():
        (folder / name).write_text(text)


def flowc(*words: str) -> Result:
    """Runs a command in this process, on the journal of this folder."""
    where = () if "--journal" in words else ("--journal", "runs.db")
    return CliRunner().invoke(main, [*words, *where])


def written() -> list[int]:
    """What the tool of the programs has done to the world."""
    world = Path("world.txt")
    return [int(line) for line in world.read_text().split()] if world.exists() else []


def listed(*words: str) -> list[dict[str, Any]]:
    """The runs of the journal."""
    found: list[dict[str, Any]] = json.loads(flowc("runs", "--output-format", "json", *words).stdout)
    return found


def shown(run: str = "last") -> dict[str, Any]:
    """A run of the journal."""
    found: dict[str, Any] = json.loads(flowc("show", run, "--output-format", "json").stdout)
    return found


def broken_off(n: int = 1) -> str:
    """A run of steps.flow whose process died inside its second call."""
    text = Path("steps.flow").read_text()
    plan = compile_text(text, "steps.flow", folder=Path()).plan
    journal = journal_at("runs.db")
    settings = {"path": str(Path("steps.flow").absolute()), "folder": str(Path().absolute())}
    values = bind_arguments(plan, plan.functions["main"], {"n": n})
    keeping = begin(journal, plan, "main", values, settings, parts={"source": text.encode()})
    journal.writer.append(
        keeping.run, _record("intent", 1.0, "main/0:put", "put", 1, False, {"i": n}, 0, 0.0)
    )
    journal.writer.append(
        keeping.run, _record("done", 2.0, "main/0:put", "put", key_of("put", [n]), n * 10, None)
    )
    intent = _record("intent", 3.0, "main/1:put", "put", 1, False, {"i": n * 10 + 1}, 0, 0.0)
    journal.writer.append(keeping.run, intent)
    journal.close()
    return keeping.run


def _record(*members: object) -> bytes:
    return json.dumps(members).encode()
