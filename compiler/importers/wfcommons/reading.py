"""A WfFormat 1.5 file as a task graph: bounded, and with all that is wrong with it."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from attrs import define, field, frozen

from flowc.compiler.checker.report import MAXIMUM
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.importers.wfcommons.packed import SPLIT, refused
from flowc.compiler.importers.wfcommons.sizes import MOST_SIZE, expected_sizes
from flowc.compiler.importers.wfcommons.times import Times, usable_times
from flowc.compiler.syntax import Span
from flowc.passes.cost.task_samples import Origin, Traits, category
from flowc.passes.simulation.graph import Task, TaskGraph

VERSION = "1.5"
MOST_TASKS = 100_000
MOST_EDGES = 1_000_000
MOST_FILES = 5_000_000
LONGEST_NAME = 1_000
"""Characters of the id or name of a task."""
_NOBODY: frozenset[int] = frozenset()


@frozen
class Workflow:
    """A recorded run: its tasks, where it comes from, and which of them have no time to learn from."""

    graph: TaskGraph
    origin: Origin
    unusable: frozenset[int]
    warnings: tuple[Diagnostic, ...]
    source: Source


def read(text: str, path: str) -> Workflow:
    """The workflow of a text. Raises CompileError: E0698 where it is no WfFormat or passes a limit, E0699
    where its tasks make no graph, E0674 where it has no usable time.
    """
    reading = _Reading(Source(path, text))
    workflow = _section(_parsed(text, path), "workflow", path)
    structure = _section(workflow, "specification", path)
    listed = _items(structure, "tasks", path)
    if not listed:
        raise refused(path, "the workflow has no tasks")
    if len(listed) > MOST_TASKS:
        raise refused(
            path, f"a workflow has at most {MOST_TASKS:,} tasks", f"this one has {len(listed):,}", SPLIT
        )
    ids = [reading.identity(each) for each in listed]
    reading.names(listed, ids)
    places = reading.places(ids)
    parents = reading.parents(listed, ids, places)
    reading.stop()
    run = _records(_items(_section(workflow, "execution", path), "tasks", path))
    records = [run.get(id_, {}) for id_ in ids]
    declared = _sizes(structure, path)
    reads, writes = ([_files(each, kind) for each in listed] for kind in ("inputFiles", "outputFiles"))
    sizes = expected_sizes(declared, reads, writes, parents)
    inputs = [{file: sizes.get(file, 0) for file in files} for files in reads]
    fetched = _fetched(parents, inputs, writes, declared)
    categories = [
        category(_text(t, "name") or i, _program(r)) for t, i, r in zip(listed, ids, records, strict=True)
    ]
    times = usable_times(
        [record.get("runtimeInSeconds") for record in records], ids, categories, reading.source
    )
    return _workflow(reading, path, ids, parents, inputs, fetched, categories, times)


def _workflow(
    reading: "_Reading",
    path: str,
    ids: Sequence[str],
    parents: Sequence[tuple[int, ...]],
    inputs: Sequence[Mapping[str, int]],
    fetched: Sequence[tuple[int, ...]],
    categories: Sequence[str],
    times: Times,
) -> Workflow:
    beside = Counter(categories)
    digests = [_digest(f"{name}\x1f{size}" for name, size in sorted(each.items())) for each in inputs]
    tasks = []
    for place, name in enumerate(ids):
        read_ = inputs[place]
        traits = Traits(
            categories[place],
            sum(read_.values()),
            max(read_.values(), default=0),
            digests[place] if read_ else "",
            beside[categories[place]],
        )
        tasks.append(Task(name, times.seconds[place], parents[place], fetched[place], traits))
    content = _digest(sorted(f"{name}\x1f{digest}" for name, digest in zip(ids, digests, strict=True)))
    name = PurePath(path).name.removesuffix(".gz").removesuffix(".json")
    try:
        graph = TaskGraph(name, tuple(tasks))
    except ValueError as error:
        raise reading.ring(str(error), ids, parents) from None
    return Workflow(graph, Origin(name, content), times.unusable, times.warnings, reading.source)


def _digest(parts: Any) -> str:
    return hashlib.blake2b("\x1e".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _parsed(text: str, path: str) -> Mapping[str, Any]:
    """The JSON object of a text."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise refused(path, "the file is nested too deep") from None
    except ValueError as error:
        raise refused(path, "this is no JSON", why=str(error)[:200]) from None
    if not isinstance(found, dict):
        raise refused(path, "the file holds no object")
    version = found.get("schemaVersion")
    if version != VERSION:
        said = (
            f"the file says {version!r:.40}" if version is not None else "the file does not say its version"
        )
        raise refused(
            path, f"this is not WfFormat {VERSION}", why=said, help=f"only schemaVersion {VERSION} is read"
        )
    return found


def _section(parent: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    found = parent.get(name)
    if not isinstance(found, dict):
        raise refused(path, f"there is no section `{name}`")
    return found


def _items(parent: Mapping[str, Any], name: str, path: str) -> list[Any]:
    found = parent.get(name, [])
    if not isinstance(found, list):
        raise refused(path, f"`{name}` must be a list, not {type(found).__name__}")
    return found


def _records(listed: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """What was recorded of each task, by its id; of one that was recorded twice no time."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in listed:
        if isinstance(each, dict) and (id_ := _text(each, "id")):
            found[id_] = {**each, "runtimeInSeconds": None} if id_ in found else each
    return found


def _sizes(structure: Mapping[str, Any], path: str) -> dict[str, int]:
    """The declared bytes of each file."""
    files = _items(structure, "files", path)
    if len(files) > MOST_FILES:
        raise refused(path, f"a workflow has at most {MOST_FILES:,} files", help=SPLIT)
    sizes: dict[str, int] = {}
    for each in files:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            continue
        size = each.get("sizeInBytes")
        if isinstance(size, int | float) and size >= MOST_SIZE:
            why = f"file {each['id']!r:.60} is said to have {size!r:.40}"
            raise refused(path, "a file has less than 2**63 bytes", why, "correct its sizeInBytes")
        if isinstance(size, int | float) and size >= 0:
            sizes[each["id"]] = int(size)
    return sizes


def _fetched(
    parents: Sequence[Sequence[int]],
    inputs: Sequence[Mapping[str, int]],
    writes: Sequence[Sequence[str]],
    declared: Mapping[str, int],
) -> list[tuple[int, ...]]:
    """For each task the bytes that it reads of each parent; what has no declared size counts as empty."""
    writers: dict[str, set[int]] = {}
    for place, files in enumerate(writes):
        for file in files:
            writers.setdefault(file, set()).add(place)
    found = []
    for its, read in zip(parents, inputs, strict=True):
        fetched = dict.fromkeys(its, 0)
        for file in read:
            for parent in writers.get(file, _NOBODY) & fetched.keys():
                fetched[parent] += declared.get(file, 0)
        found.append(tuple(fetched.values()))
    return found


def _files(task: Mapping[str, Any], kind: str) -> list[str]:
    named = task.get(kind)
    return [file for file in named if isinstance(file, str)] if isinstance(named, list) else []


def _text(task: Mapping[str, Any], key: str) -> str:
    found = task.get(key)
    return found if isinstance(found, str) else ""


def _program(record: Mapping[str, Any]) -> str:
    command = record.get("command")
    return _text(command, "program") if isinstance(command, dict) else ""


@define
class _Reading:
    """Collects what is wrong with the tasks of a file."""

    source: Source
    found: list[Diagnostic] = field(factory=list)

    def wrong(
        self, title: str, mentioned: str = "", why: str = "", help: str = "", *, last: bool = False
    ) -> None:
        """Adds an error, at the first or last place where a task of the id stands."""
        if len(self.found) < MAXIMUM:
            label = (Label(self.span(mentioned, last)),) if mentioned else ()
            self.found.append(Diagnostic("E0699", title, label, why=why, help=help, path=self.source.path))

    def stop(self) -> None:
        """Raises what was found, if there is any."""
        if self.found:
            raise CompileError(self.source, tuple(self.found))

    def span(self, id_: str, last: bool) -> Span:
        """Where the specification says `"id": "..."`; the first time, or the last."""
        quoted = re.escape(json.dumps(id_, ensure_ascii=False))
        text = self.source.text
        end_of_tasks = text.find('"execution"')
        searched = text[: end_of_tasks if end_of_tasks > text.find('"specification"') else None]
        places = [m.span(1) for m in re.finditer(rf'"id"\s*:\s*({quoted})', searched)]
        begin, end = places[-1 if last else 0] if places else (0, 1)
        line = self.source.text.count("\n", 0, begin) + 1
        column = begin - self.source.text.rfind("\n", 0, begin)
        return Span(line, column, line, column + end - begin)

    def identity(self, task: Any) -> str:
        if not isinstance(task, dict) or not isinstance(task.get("id"), str) or not task["id"]:
            self.wrong(
                "a task has no id", why=f"it stands as {task!r:.60}", help='give it an "id" of its own'
            )
            self.stop()
        found: str = task["id"]
        return found

    def names(self, listed: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        """No id and no name is longer than a person would read."""
        for task, id_ in zip(listed, ids, strict=True):
            for kind, text in (("id", id_), ("name", _text(task, "name"))):
                if len(text) > LONGEST_NAME:
                    self.wrong(
                        f"the {kind} of task `{id_:.60}` has {len(text):,} characters",
                        id_,
                        why=f"it has at most {LONGEST_NAME:,}",
                        help=f"give the task a shorter {kind}",
                    )

    def places(self, ids: Sequence[str]) -> dict[str, int]:
        places: dict[str, int] = {}
        for place, id_ in enumerate(ids):
            if id_ in places:
                self.wrong(
                    f"two tasks have the id `{id_:.60}`",
                    id_,
                    why="parents and recorded times are found by ids",
                    help="give each task an id of its own",
                    last=True,
                )
            places.setdefault(id_, place)
        return places

    def parents(
        self, listed: Sequence[Mapping[str, Any]], ids: Sequence[str], places: Mapping[str, int]
    ) -> list[tuple[int, ...]]:
        """For each task its parents: those it names, and those that name it as a child."""
        found: list[dict[int, None]] = [{} for _ in ids]
        edges = 0
        for place, task in enumerate(listed):
            for kind in ("parents", "children"):
                named = task.get(kind)
                for other in named if isinstance(named, list) else ():
                    target = places.get(other) if isinstance(other, str) else None
                    if target is None or target == place:
                        self.wrong(
                            f"task `{ids[place]:.60}` names {other!r:.60} among its {kind}",
                            ids[place],
                            why="there is no such task"
                            if target is None
                            else "a task cannot wait for itself",
                            help="add the task, or take its name away",
                        )
                        continue
                    child, parent = (place, target) if kind == "parents" else (target, place)
                    found[child][parent] = None
                edges += len(named) if isinstance(named, list) else 0
            if edges > 2 * MOST_EDGES:
                raise refused(
                    self.source.path, f"a workflow has at most {MOST_EDGES:,} dependences", help=SPLIT
                )
        return [tuple(sorted(each)) for each in found]

    def ring(self, what: str, ids: Sequence[str], parents: Sequence[tuple[int, ...]]) -> CompileError:
        """The error for tasks that wait for each other, at the first of them."""
        inside = what.partition(": ")[2].split(" > ")
        shown = " > ".join(inside[:6]) + (" > ..." if len(inside) > 6 else "")
        self.wrong(
            "tasks wait for each other in a ring",
            inside[0],
            why=shown,
            help="take one of these dependences away",
        )
        return CompileError(self.source, tuple(self.found))
