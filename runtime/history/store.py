"""The samples in the history: bounded, shared by processes, believed only where a run can have left them."""

import sqlite3
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import astuple, field, fields, frozen

from flowc.runtime.history import kernel_samples
from flowc.runtime.history.database import begin, is_begun, opened
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.samples import MOST_TEXT, MOST_TOKENS, CallSample, Samples, is_sound

KEPT = 200
"""The latest samples of an operation at a model, of a step, and of a kernel on a machine, that are kept."""
MOST = 1_000
"""The latest samples of an operation or a model, at whatever provider, that are read."""
ALL = 200_000
"""Samples of each kind that are kept in all."""
S = TypeVar("S")
T = TypeVar("T")


def _read_from(table: str, kind: type[Any]) -> str:
    """What is read of the rows of samples of a kind: nothing of what no run wrote, however large it is."""
    columns = [
        f"CASE WHEN typeof({each.name}) = 'text' AND length({each.name}) <= {MOST_TEXT} THEN {each.name} END"
        if each.type is str
        else f"CASE WHEN typeof({each.name}) IN ('integer', 'real') THEN {each.name} END"
        for each in fields(kind)
    ]
    return f"SELECT {', '.join(columns)} FROM {table}"


_CALLS, _KERNELS = _read_from("calls", CallSample), _read_from("kernels", KernelSample)


def write(where: Path, samples: Samples) -> None:
    """Adds the samples of a run, and lets go of the oldest.

    Raises FlowError E0900 where the file is no history that can be used, E0901 where it cannot be written.
    """
    calls = _latest(samples.calls, _owner)
    steps = _latest(samples.steps, lambda step: step.name)
    begin(where)
    kernels = _latest(samples.kernels, _machine)
    with opened(where, create=True) as base:
        _insert(base, "calls", calls)
        _insert(base, "steps", steps)
        _insert(base, "kernels", kernels)
        _trim(base, "calls", ("name", "provider", "model"), map(_owner, calls))
        _trim(base, "steps", ("name",), ((step.name,) for step in steps))
        _trim(base, "kernels", ("name", "machine"), map(_machine, kernels))


def _insert(base: sqlite3.Connection, table: str, samples: Sequence[Any]) -> None:
    if samples:
        columns = [each.name for each in fields(type(samples[0]))]
        marks = ", ".join("?" * len(columns))
        rows = [astuple(each) for each in samples]
        base.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def _machine(kernel: KernelSample) -> tuple[str, str]:
    return kernel.name, kernel.machine


def _owner(call: CallSample) -> tuple[str, str, str]:
    return call.name, call.provider, call.model


def _latest(samples: Iterable[S], key: Callable[[S], Hashable]) -> list[S]:
    """Of each key the latest samples, in order: more would be let go of at once."""
    found: dict[Hashable, deque[tuple[int, S]]] = {}
    for number, sample in enumerate(samples):
        found.setdefault(key(sample), deque(maxlen=KEPT)).append((number, sample))
    numbered = sorted((each for some in found.values() for each in some), key=lambda each: each[0])
    return [sample for _, sample in numbered]


def _trim(
    base: sqlite3.Connection, table: str, columns: Sequence[str], owners: Iterable[tuple[str, ...]]
) -> None:
    """Lets go of the oldest samples of some owners, who are told apart by columns, and of all."""
    whose = " AND ".join(f"{column} = ?" for column in columns)
    for owner in sorted(set(owners)):
        base.execute(
            f"DELETE FROM {table} WHERE {whose} AND id NOT IN "
            f"(SELECT id FROM {table} WHERE {whose} ORDER BY id DESC LIMIT ?)",
            (*owner, *owner, KEPT),
        )
    base.execute(f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", (ALL,))


@frozen
class Past:
    """What a history has of a program, the oldest first: the calls of its operations, those of its models,
    the steps by their name. `left_out` samples cannot be.
    """

    calls: Mapping[str, tuple[CallSample, ...]] = field(factory=dict)
    models: Mapping[str, tuple[CallSample, ...]] = field(factory=dict)
    steps: Mapping[str, tuple[int, ...]] = field(factory=dict)
    left_out: int = 0


def read(where: Path, names: Iterable[str], aliases: Iterable[str], steps: Iterable[str]) -> Past:
    """The samples of operations, models and steps by their names; nothing where there is no file.

    Raises FlowError E0900 where the file is no history that can be used.
    """
    if not is_begun(where):
        return Past()
    bad = 0

    def sound(rows: Iterable[tuple[object, ...]]) -> tuple[CallSample, ...]:
        nonlocal bad
        made = [_sample(row) for row in rows]
        kept = tuple(each for each in reversed(made) if each is not None)
        bad += len(made) - len(kept)
        return kept

    def counts(rows: Iterable[tuple[object, ...]]) -> tuple[int, ...]:
        nonlocal bad
        made = [ran for (ran,) in rows]
        kept = tuple(ran for ran in reversed(made) if type(ran) is int and 0 <= ran <= MOST_TOKENS)
        bad += len(made) - len(kept)
        return kept

    ran = "CASE WHEN typeof(ran) = 'integer' THEN ran END"
    with opened(where) as base:
        calls = {
            name: sound(base.execute(f"{_CALLS} WHERE name = ? ORDER BY id DESC LIMIT ?", (name, MOST)))
            for name in sorted(set(names))
        }
        models = {
            alias: sound(base.execute(f"{_CALLS} WHERE alias = ? ORDER BY id DESC LIMIT ?", (alias, MOST)))
            for alias in sorted(set(aliases))
        }
        found = {
            name: counts(
                base.execute(f"SELECT {ran} FROM steps WHERE name = ? ORDER BY id DESC LIMIT ?", (name, KEPT))
            )
            for name in sorted(set(steps))
        }
    return Past(_filled(calls), _filled(models), _filled(found), bad)


def _filled(table: Mapping[str, tuple[T, ...]]) -> dict[str, tuple[T, ...]]:
    return {name: some for name, some in table.items() if some}


def _sample(row: tuple[object, ...]) -> CallSample | None:
    """A row as a sample; None where it holds what no run wrote, for SQLite takes anything anywhere."""
    made = CallSample(*row) if _typed(row, CallSample) else None  # type: ignore[arg-type]
    return made if made is not None and is_sound(made) else None


def _typed(row: tuple[object, ...], kind: type[Any]) -> bool:
    return all(type(value) is each.type for value, each in zip(row, fields(kind), strict=True))


def read_kernels(
    where: Path, names: Iterable[str], machine: str
) -> tuple[dict[str, tuple[KernelSample, ...]], int]:
    """The samples of kernels on a machine by the names of their code, the oldest first, and how many were
    left out; nothing where there is no file.

    Raises FlowError E0900 where the file is no history that can be used.
    """
    if not is_begun(where):
        return {}, 0
    chosen = f"{_KERNELS} WHERE name = ? AND machine = ? ORDER BY id DESC LIMIT ?"
    with opened(where) as base:
        rows = {name: base.execute(chosen, (name, machine, KEPT)).fetchall() for name in sorted(set(names))}
    made = {name: [_kernel_sample(row) for row in found] for name, found in rows.items()}
    kept = {name: tuple(each for each in reversed(found) if each) for name, found in made.items()}
    return _filled(kept), sum(each is None for found in made.values() for each in found)


def _kernel_sample(row: tuple[object, ...]) -> KernelSample | None:
    made = KernelSample(*row) if _typed(row, KernelSample) else None  # type: ignore[arg-type]
    return made if made is not None and kernel_samples.is_sound(made) else None
