"""Traces of LLM serving: when requests came, how long their prompts and answers were, and how long they took.

Four forms are known by their contents, each plain or compressed with gzip:

- CSV with the header `TIMESTAMP,ContextTokens,GeneratedTokens` (the Azure traces of 2023, published with
  Patel et al., "Splitwise", ISCA 2024; time stamps with seven decimals; those of 2024 end in `+00:00`);
- CSV with the header `arrival,tokens_in,tokens_out` and where known `latency`, `first_token` (both in
  seconds since the arrival) and `model`;
- JSON lines with `timestamp` (ms), `input_length`, `output_length` and `hash_ids`, the ids of the prompt's
  blocks of 512 tokens (Qin et al., "Mooncake", FAST 2025);
- the timeline that `flowc run --trace FILE` writes.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.sections import shown

MOST_BYTES = 512 << 20
"""Of a trace, after it was unpacked."""
MOST_TOKENS = 10**8
MOST_SECONDS = 1e12
MOST_LATENCY = 1e6
LEAST_LATENCY = 1e-6
"""Seconds; no endpoint answers sooner, so less is none that was measured."""
_STAMP = re.compile(r"\s*([0-9-]+[ T][0-9:]+)(\.[0-9]*)?(?:\+00:00|Z)?\s*")
MOONCAKE_BLOCK = 512
"""Tokens a block of `hash_ids`."""


@frozen
class Call:
    """One request. Times are seconds; `latency` and `first` count from the arrival, None where not known.

    `blocks` are ids of the full blocks of the prompt, where the trace has them.
    """

    arrival: float
    prompt: int
    answer: int
    latency: float | None = None
    first: float | None = None
    model: str = ""
    blocks: tuple[int, ...] = ()


@frozen
class Trace:
    """Requests by arrival, the first at 0.0; their blocks have `block` tokens, 0 where there are none."""

    calls: tuple[Call, ...]
    block: int = 0


def read_trace(path: Path) -> Trace:
    """Reads a trace; raises E0650 where it cannot be read, and E0651 where a line of it is wrong."""
    text = _text(path)
    start = text.lstrip()[:200]
    if start.startswith("{") and '"traceEvents"' in start:
        calls, block = list(_timeline(text, path)), 0
    elif start.startswith("{"):
        calls, block = list(_mooncake(text, path)), MOONCAKE_BLOCK
    else:
        calls, block = list(_table(text, path)), 0
    if not calls:
        raise fail("E0651", f"the trace {shown(path)} has no calls", help=FORMS)
    begun = min(call.arrival for call in calls)
    ordered = sorted(calls, key=lambda call: call.arrival)
    return Trace(tuple(evolve(call, arrival=call.arrival - begun) for call in ordered), block)


FORMS = (
    "a trace is a CSV with the header arrival,tokens_in,tokens_out,latency or "
    "TIMESTAMP,ContextTokens,GeneratedTokens, JSON lines with hash_ids, or what `flowc run --trace` wrote"
)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            source: Any = gzip.GzipFile(fileobj=file) if packed else file
            content = source.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        return str(content, "utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise fail("E0650", f"the trace {shown(path)} cannot be read", why=why, help=FORMS) from None


def _table(text: str, path: Path) -> Iterator[Call]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        make = _row_reader(header, path)
        for row in reader:
            yield _checked(make, row, path, reader.line_num)
    except csv.Error as error:
        raise _wrong_line(path, reader.line_num, str(error)) from None


def _row_reader(header: list[str], path: Path) -> Callable[[Mapping[str, Any]], Call]:
    if {"TIMESTAMP", "ContextTokens", "GeneratedTokens"} <= set(header):
        return _azure
    missing = [name for name in ("arrival", "tokens_in", "tokens_out") if name not in header]
    if missing:
        raise fail(
            "E0651",
            f"the trace {shown(path)} has no column {', '.join(missing)}",
            why=f"its columns are {', '.join(header)[:200] or 'none'}",
            help=FORMS,
        )
    return _own


def _azure(row: Mapping[str, Any]) -> Call:
    match = _STAMP.fullmatch(row["TIMESTAMP"])
    if match is None:
        raise ValueError(f"{row['TIMESTAMP']:.40} is no time stamp")
    time = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp() + float(f"0{match[2] or ''}")
    return Call(time, _integer(row["ContextTokens"]), _integer(row["GeneratedTokens"]))


def _own(row: Mapping[str, Any]) -> Call:
    def maybe(name: str) -> float | None:
        return float(row[name]) if row.get(name) else None

    return Call(
        float(row["arrival"]),
        _integer(row["tokens_in"]),
        _integer(row["tokens_out"]),
        maybe("latency"),
        maybe("first_token"),
        row.get("model") or "",
    )


def _integer(text: str | None) -> int:
    if text is None or not re.fullmatch(r"\s*[0-9]{1,18}\s*", text):
        raise ValueError(f"{text or '':.40} is not a whole number")
    return int(text)


def _mooncake(text: str, path: Path) -> Iterator[Call]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _checked(_hashed, line, path, number)


def _hashed(line: str) -> Call:
    members = json.loads(line)
    prompt = _whole(members["input_length"])
    blocks = tuple(map(_whole, members.get("hash_ids", ())))
    return Call(
        float(members["timestamp"]) / 1e3,
        prompt,
        _whole(members["output_length"]),
        blocks=blocks[: prompt // MOONCAKE_BLOCK],
    )


def _timeline(text: str, path: Path) -> Iterator[Call]:
    """The calls of models in a timeline; their step of the run stands for a line."""
    try:
        events = json.loads(text)["traceEvents"]
        chosen = [event for event in events if event.get("cat") == "generate" and _asked_once(event)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "`traceEvents` must be a list of events"
        raise fail("E0651", f"the timeline {shown(path)} is broken", why=said, help=FORMS) from None
    for number, event in enumerate(chosen, 1):
        yield _checked(_event, event, path, number)


def _asked_once(event: Mapping[str, Any]) -> bool:
    """Whether a node made exactly one call: of several nobody knows which took how long."""
    return "dur" in event and event["args"].get("calls") == 1


def _event(event: Mapping[str, Any]) -> Call:
    """The call itself, without the time for which flowc held it back."""
    more = event["args"]
    waited = float(more["waited_s"])
    return Call(
        float(event["ts"]) / 1e6 + waited,
        _whole(more["tokens_in"]),
        _whole(more["tokens_out"]),
        max(0.0, float(event["dur"]) / 1e6 - waited),
        model=str(more.get("model", "")),
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r:.40} is not a whole number")
    return value


def _checked(make: Callable[[Any], Call], line: Any, path: Path, number: int) -> Call:
    """A line as a call, with its numbers in bounds."""
    try:
        call = make(line)
        if not abs(call.arrival) <= MOST_SECONDS:
            raise ValueError(f"{call.arrival} is no time of arrival")
        for lasted in (call.latency, call.first):
            if lasted is not None and not 0 <= lasted <= MOST_LATENCY:
                raise ValueError(f"{lasted} s is no latency")
        if call.latency is not None and call.first is not None and call.first > call.latency:
            raise ValueError(f"its first token comes after {call.first} s, its last after {call.latency} s")
        if not (1 <= call.prompt <= MOST_TOKENS and 0 <= call.answer <= MOST_TOKENS):
            raise ValueError(f"{call.prompt} and {call.answer} are no counts of tokens")
        return call
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise _wrong_line(path, number, said) from None


def _wrong_line(path: Path, number: int, why: str) -> FlowError:
    return fail("E0651", f"line {number} of the trace {shown(path)} is wrong", why=why[:300], help=FORMS)
