"""A folder of recorded workflows as samples to learn from, and as what is learned from them.

Reading thousands of tasks takes seconds, so what was learned from a folder is kept in the cache, under its
files' names, sizes and times of change, and the release that learned it.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from flowc.compiler.build import build_id
from flowc.compiler.diagnostics.model import CompileError, Diagnostic
from flowc.compiler.importers.wfcommons.packed import MOST_BYTES, unpacked
from flowc.compiler.importers.wfcommons.reading import Workflow, read
from flowc.passes.cost.task_model import TaskModel, learn
from flowc.passes.cost.task_samples import Sample
from flowc.passes.cost.task_tables import FORMAT, as_json, from_json
from flowc.runtime import object_cache
from flowc.runtime.bounded import read_up_to
from flowc.runtime.errors import fail

MOST_RUNS = 5_000
"""Files that are read of a folder."""

Apart = tuple[str, int, int]
"""A file, how many of its tasks nothing is learned from, and how many it has."""


@frozen
class Recorded:
    """Samples, how many runs they are of, which tasks were set apart, and which files were left out."""

    samples: tuple[Sample, ...]
    runs: int
    apart: tuple[Apart, ...]
    left_out: tuple[Diagnostic, ...]

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """All that is to be said, a warning a file."""
        return (*self.left_out, *map(_set_apart, self.apart))


def learned_from(folder: Path) -> tuple[TaskModel, tuple[Diagnostic, ...]]:
    """What a folder teaches, and what was said about its files; raises as `read_samples`.

    A folder of which no file was left out is read once: until it changes, the cache has what was learned.
    """
    paths = _paths(folder)
    key = _key(paths)
    stored = object_cache.read(key)
    if stored is not None:
        with contextlib.suppress(ValueError):  # damaged, say: it is written anew
            apart, _, model = stored.decode().partition("\n")
            return from_json(model), tuple(_set_apart(each) for each in _apart(apart))
    recorded = read_samples(folder)
    found = learn(recorded.samples)
    if not recorded.left_out:
        object_cache.write(key, f"{json.dumps(recorded.apart)}\n{as_json(found)}".encode())
    return found, recorded.warnings


def _apart(text: str) -> list[Apart]:
    """The first line of what is kept. Raises ValueError for what is none."""
    try:
        return [(str(path), int(some), int(tasks)) for path, some, tasks in json.loads(text)]
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _key(paths: Sequence[Path]) -> str:
    """A name for the state of these files."""
    parts = [f"task times {FORMAT}", build_id()]
    for path in paths:
        status = path.stat()
        parts.append(f"{path}\x1f{path.resolve()}\x1f{status.st_size}\x1f{status.st_mtime_ns}")
    return hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _paths(folder: Path) -> list[Path]:
    """The files of a folder that may be recorded workflows."""
    if not folder.is_dir():
        help = "name a folder with WfFormat files: --samples DIR"
        raise fail("E0659", f"there is no folder {folder}", help=help)
    found = (path for path in folder.rglob("*.json*") if path.name.endswith((".json", ".json.gz")))
    return sorted(path for path in found if path.is_file())[:MOST_RUNS]


def read_samples(folder: Path) -> Recorded:
    """The samples of all workflows in a folder and its folders.

    A file that is none is left out, and a task without a usable time is set apart, with a warning a file.
    Raises FlowError E0659 where there is nothing to learn.
    """
    paths = _paths(folder)
    samples: list[Sample] = []
    left_out: list[Diagnostic] = []
    apart: list[Apart] = []
    runs = 0
    for path in paths:
        try:
            workflow = read(unpacked(read_up_to(path, MOST_BYTES), str(path)), str(path))
        except CompileError as error:
            left_out.append(_left_out(path, f"{error.diagnostics[0].code}: {error.diagnostics[0].title}"))
        except OSError as error:
            left_out.append(_left_out(path, str(error.strerror or error)))
        else:
            samples += samples_of(workflow)
            runs += 1
            if workflow.unusable:
                apart.append((str(path), len(workflow.unusable), len(workflow.graph.tasks)))
    if not samples:
        raise fail(
            "E0659",
            f"there is nothing to learn from in {folder}",
            why=f"{len(paths)} files end in .json or .json.gz, and none is a recorded workflow with times",
            help="name a folder with WfFormat 1.5 files, or leave --policy learned away",
        )
    return Recorded(tuple(samples), runs, tuple(apart), tuple(left_out))


def samples_of(workflow: Workflow) -> Iterator[Sample]:
    """A sample for each task whose recorded time can be used."""
    for place, task in enumerate(workflow.graph.tasks):
        if place not in workflow.unusable:
            yield Sample(task.traits, task.seconds, workflow.origin)


def _set_apart(found: Apart) -> Diagnostic:
    path, some, tasks = found
    return Diagnostic(
        "E0675",
        f"{some:,} of {tasks:,} tasks {'has' if some == 1 else 'have'} no time to learn from",
        why="it is zero, missing or no usable number",
        help="nothing is learned from these tasks; all else is used",
        severity="warning",
        path=path,
    )


def _left_out(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        "E0656",
        f"{path.name} is left out of what is learned from",
        why=why,
        help="correct the file, or move it away",
        severity="warning",
        path=str(path),
    )
