"""Processes that are killed in earnest: children of this one go on with a run, one after the other.

    python -m tests.durable.driver FOLDER PROGRAM CHILDREN [BYTES]

The journal is a file of the folder; so is the world, to which every write adds a line. With `BYTES` no file
may grow beyond that. This process touches neither, so that it lives where a tracer kills whoever writes.
"""

import contextlib
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from attrs import define, evolve

from flowc.runtime.durable import runs, telling
from flowc.runtime.durable.codec import encode_json, pack, unpacked
from flowc.runtime.durable.runs import Journal
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import load, run
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.people import answers
from flowc.runtime.reading import bind_arguments
from flowc.runtime.scheduler.current import call_key, idempotency_key
from tests.durable.programs import PROGRAMS, Program
from tests.durable.world import RUN, Effect, World

JOURNAL, WORLD = "journal.db", "world"
DONE, OPEN, BROKEN = 0, 3, 4
"""What a child ends with: the run has ended, somebody may go on with it, the journal has failed."""


@define(eq=False)
class Lasting(World):
    """A world that is a file."""

    file: Path = Path(WORLD)

    def _write(self, tool: str, i: Any, value: Any, *, idempotent: bool = False) -> Any:
        shown = i.hex() if isinstance(i, bytes) else i
        line = encode_json([tool, shown, idempotency_key(), pack(value, []), idempotent]) + "\n"
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode("ascii"))
        finally:
            os.close(descriptor)
        return value


def effects(file: Path) -> list[Effect]:
    """What has happened in a world; a line that was broken off counts, for nobody knows."""
    import json

    lines = file.read_text().splitlines() if file.exists() else []
    return [
        Effect(tool, i, key, unpacked(value, lambda _: b""), same)
        for tool, i, key, value, same in map(json.loads, lines)
    ]


def go_on(folder: Path, program: Program) -> int:
    """One process's part of a run."""
    store = SqliteStore(folder / JOURNAL)
    journal = Journal(store, Writer(store))
    try:
        return _go_on(journal, folder, program)
    except FlowError as error:
        if not error.problem.code.startswith("E091"):
            raise
        sys.stderr.write(f"{error.problem.code}\n")
        return BROKEN
    finally:
        with contextlib.suppress(FlowError):
            journal.close()


def _go_on(journal: Journal, folder: Path, program: Program) -> int:
    if journal.store.rows():
        plan = runs.plan_of(journal.store, runs.head_of(journal.store, RUN))
        past = runs.past_of(journal.store, RUN)
        if past.status in runs.FINAL:
            return DONE
        if past.status == "in-doubt":
            _look(journal, folder, past.in_doubt()[0].step)
        keeping = runs.go_on(journal, RUN)
    else:
        plan = _compiled(program).plan
        values = bind_arguments(plan, plan.functions["main"], program.arguments)
        keeping = runs.begin(journal, plan, "main", values, {}, run=RUN)
    world = Lasting(file=folder / WORLD)
    environment: Environment = evolve(world.environment(4), people=answers(program.answers))
    if any(node.op == "kernel" for flow in plan.functions.values() for node in flow.body.nodes):
        environment = evolve(environment, kernels=_kernels(program))
    names = [each.name for each in plan.functions["main"].parameters]
    arguments = dict(zip(names, runs.arguments_of(journal.store, keeping.past.head), strict=True))
    result = run(load(plan, environment), "main", arguments, keeper=keeping)
    if result.problem is not None and result.problem.code.startswith("E091"):
        raise FlowError(result.problem)
    return DONE if result.status in runs.FINAL else OPEN


def _compiled(program: Program) -> Any:
    from tests.durable.simulated import compiled  # which takes longer than most of these runs

    return compiled(program)


def _kernels(program: Program) -> Any:
    from tests.durable.crashing import bound

    return bound(_compiled(program))


def _look(journal: Journal, folder: Path, step: str) -> None:
    """Says how a call in doubt ended, after a look at the world."""
    found = [each for each in effects(folder / WORLD) if each.key == call_key(RUN, step)]
    if found:
        telling.resolve(journal, RUN, step, "done", found[0].value)
    else:
        telling.resolve(journal, RUN, step, "retry")


def main(folder: Path, name: str, children: int, most: int | None = None) -> int:
    """Lets children go on until the run has ended, or as many have been."""
    program = next(each for each in PROGRAMS if each.name == name)
    status = BROKEN
    for _ in range(children):
        child = os.fork()
        if child == 0:
            if most is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            ended = 1
            try:
                ended = go_on(folder, program)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(ended)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        if status == DONE:
            break
    return status if status >= 0 else 9


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
