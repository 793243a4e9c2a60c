"""Plans as LLMCompiler writes them, read: their steps, and what is wrong with them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush

from attrs import frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.syntax import Span

_STEP = re.compile(r"\s*(\d{1,6})\.\s*([A-Za-z_]\w*)\s*\(")
_THOUGHT = re.compile(r"\s*(Thought:|#)")
REFERENCE = re.compile(r"\$(?:\{(\d{1,6})\}|(\d{1,6}))")
_HALF = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_END = re.compile(r"<END_OF_PLAN>\s*?$", re.MULTILINE)
JOIN = "join"
MOST_STEPS = 10_000

Argument = str | int | float | tuple[str, ...]
"""A text, a number, or a list of texts."""


@frozen
class Step:
    """One line of a plan; `span` is where it stands."""

    number: int
    tool: str
    arguments: tuple[Argument, ...]
    span: Span

    @property
    def references(self) -> list[int]:
        """The steps whose results it takes, in the order in which they are named."""
        texts = [
            text
            for argument in self.arguments
            for text in (argument if isinstance(argument, tuple) else (argument,))
            if isinstance(text, str)
        ]
        return [int(one or other) for text in texts for one, other in REFERENCE.findall(text)]


class _Malformed(Exception):
    """Arguments that do not end: what is missing, and where."""

    def __init__(self, what: str, close: str) -> None:
        super().__init__(what)
        self.what, self.close = what, close


def read(text: str, path: str) -> list[Step]:
    """The steps of a plan as they stand. Raises CompileError (E0660 to E0664) with all that is wrong."""
    found: list[Diagnostic] = []
    steps = _steps(text, found)
    if not found:
        found += _wrong(steps)
    if found:
        raise CompileError(Source(path, text), tuple(found))
    return steps


def _steps(text: str, found: list[Diagnostic]) -> list[Step]:
    """The steps as they stand; what is wrong with a line is added to `found`."""
    steps: list[Step] = []
    for number, line in enumerate(_END.split(text, maxsplit=1)[0].split("\n"), 1):
        if not line.strip() or _THOUGHT.match(line):
            continue
        half = _HALF.search(line)
        if half is not None:
            column = half.start() + 1
            title = f"U+{ord(half[0]):04X} is half of a character"
            found.append(_problem("E0045", title, Span(number, column, number, column + 1)))
            continue
        span = Span(number, len(line) - len(line.lstrip()) + 1, number, len(line.rstrip()) + 1)
        head = _STEP.match(line)
        if head is None:
            found.append(
                _problem(
                    "E0660",
                    "this is no step of a plan",
                    span,
                    why="a plan has lines `N. tool(arguments)`, and comments that begin with `Thought:`",
                    help='write `1. search("cheetah")`, or remove the line',
                )
            )
            continue
        try:
            arguments = _arguments(line[head.end() :].rstrip())
        except _Malformed as error:
            found.append(
                _problem(
                    "E0661",
                    f"step {head[1]} has {error.what}",
                    span,
                    why="the arguments go on to the end of the line",
                    help=f"add `{error.close}` where it belongs",
                )
            )
            continue
        steps.append(Step(int(head[1]), head[2], arguments, span))
    if not steps and not found:
        found.append(
            _problem(
                "E0660",
                "there is no step in this plan",
                Span(1, 1, 1, 2),
                help='a plan has lines such as `1. search("cheetah")`',
            )
        )
    return steps


def _arguments(text: str) -> tuple[Argument, ...]:
    """What stands in the brackets of a call, whose opening one is gone.

    Arguments without quotes that are neither numbers nor references are one text, commas and all.
    """
    if not text.endswith(")"):
        raise _Malformed("no closing bracket", ")")
    inside = text[:-1].strip()
    if not inside:
        return ()
    try:
        return tuple(_values(inside))
    except ValueError:
        return (inside,)


def _values(text: str) -> Iterator[Argument]:
    """Values with commas between them, to the end. Raises ValueError for a text without quotes."""
    place = 0
    while True:
        value, place = _value(text, place)
        yield value
        place = _blank(text, place)
        if place == len(text):
            return
        if text[place] != ",":
            raise ValueError
        place += 1


def _value(text: str, start: int) -> tuple[Argument, int]:
    place = _blank(text, start)
    first = text[place : place + 1]
    if first and first in "'\"":
        return _quoted(text, place)
    if first == "[":
        return _list(text, place)
    for pattern in (REFERENCE, _NUMBER):
        match = pattern.match(text, place)
        if match is not None:
            if pattern is REFERENCE:
                return match[0], match.end()
            return (float(match[0]) if match[1] else int(match[0])), match.end()
    raise ValueError


def _quoted(text: str, start: int) -> tuple[str, int]:
    """A text in quotes, in which a backslash makes the next character part of it."""
    quote, found, place = text[start], [], start + 1
    while place < len(text):
        if text[place] == "\\" and place + 1 < len(text):
            found.append(text[place + 1])
            place += 2
        elif text[place] == quote:
            return "".join(found), place + 1
        else:
            found.append(text[place])
            place += 1
    raise _Malformed("a text without its closing quote", quote)


def _list(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """A list of texts, numbers and references."""
    found: list[str] = []
    place = _blank(text, start + 1)
    while text[place : place + 1] != "]":
        if place >= len(text):
            raise _Malformed("a list without its closing bracket", "]")
        if text[place] == "[":
            raise ValueError
        value, place = _value(text, place)
        found.append(str(value))
        place = _blank(text, place)
        if text[place : place + 1] == ",":
            place = _blank(text, place + 1)
        elif place < len(text) and text[place] != "]":
            raise ValueError
    return tuple(found), place + 1


def _blank(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _wrong(steps: Sequence[Step]) -> list[Diagnostic]:
    """What is wrong between steps: equal numbers, references to none, rings."""
    found: list[Diagnostic] = []
    known: dict[int, Step] = {}
    for step in steps:
        if step.number in known:
            labels = (Label(step.span), Label(known[step.number].span, "the first", primary=False))
            found.append(
                Diagnostic(
                    "E0662",
                    f"there are two steps {step.number}",
                    labels,
                    why="`$N` would not say which is meant",
                    help="give each step a number of its own",
                )
            )
        known.setdefault(step.number, step)
    if len(steps) > MOST_STEPS:
        found.append(_problem("E0660", f"a plan has at most {MOST_STEPS:,} steps", steps[MOST_STEPS].span))
    for step in steps:
        found += [
            _problem(
                "E0663",
                f"step {step.number} takes the result of step {number}, which there is not",
                step.span,
                why=f"the steps are {_numbers(each for each in known if known[each].tool != JOIN)}",
                help="refer to one of them, or add the step",
            )
            for number in dict.fromkeys(step.references)
            if number not in known or known[number].tool == JOIN
        ]
    return found or _rings(steps)


def _rings(steps: Sequence[Step]) -> list[Diagnostic]:
    try:
        TopologicalSorter({step.number: step.references for step in steps}).prepare()
    except CycleError as error:
        ring = [int(number) for number in error.args[1]][::-1]
        spans = {step.number: step.span for step in steps}
        first = min(ring)
        labels = [Label(spans[number], primary=number == first) for number in sorted(set(ring))]
        way = " takes ".join(f"step {number}" for number in ring)
        return [
            Diagnostic(
                "E0664",
                "steps of this plan wait for each other",
                tuple(labels),
                why=way,
                help="let one of them do without the other's result",
            )
        ]
    return []


def _numbers(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    shown = ", ".join(map(str, found[:8]))
    return f"{shown}, ... {found[-1]}" if len(found) > 8 else shown or "none"


def _problem(code: str, title: str, span: Span, why: str = "", help: str = "") -> Diagnostic:
    return Diagnostic(code, title, (Label(span),), why, help)


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps by their numbers, each after what it takes."""
    by_number = {step.number: step for step in steps}
    sorter = TopologicalSorter({step.number: step.references for step in steps})
    sorter.prepare()
    found: list[Step] = []
    ready = list(sorter.get_ready())
    heapify(ready)
    while ready:
        found.append(by_number[heappop(ready)])
        sorter.done(found[-1].number)
        for number in sorter.get_ready():
            heappush(ready, number)
    return found
