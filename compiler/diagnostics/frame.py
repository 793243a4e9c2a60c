"""Draws a diagnostic as lines of styled text, in the frame that rustc made familiar.

error[E0101]: headline
 --> main.flow:3:5
  |
3 |     x = y + 1
  |         ^ label of the problem
  |
  = why: the rule that was broken
  = help: the smallest change
  = more: flowc explain E0101
"""

from collections.abc import Iterator

from attrs import frozen

from flowc.compiler.diagnostics.cells import Line, clip, line, width
from flowc.compiler.diagnostics.model import Diagnostic, Label, Source
from flowc.compiler.diagnostics.underline import underline
from flowc.compiler.spans import Span
from flowc.runtime.visible import visible

Piece = tuple[str, str]
"""Text and the name of its style: severity, headline, gutter, primary, secondary, aside, or nothing."""
Row = tuple[Piece, ...]

ROOM = 110
"""Longer source lines are clipped around their labels."""


@frozen
class _Block:
    """A label of several lines: its bar stands in the margin at `slot`."""

    label: Label
    slot: int


def rows(diagnostic: Diagnostic, source: Source) -> Iterator[Row]:
    """The rows of the drawing, in order."""
    yield (
        (f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity),
        (f": {visible(diagnostic.title)}", "headline"),
    )
    lines = _lines(source, diagnostic.labels)
    labels = (
        [label for label in diagnostic.labels if 1 <= label.span.line <= len(lines)] if source.text else []
    )
    gutter = len(str(max((label.span.end_line for label in labels), default=1)))
    pad = " " * gutter
    place = _place(diagnostic, source)
    if place:
        yield ((f"{pad}--> {visible(place)}", "gutter"),)
    if labels:
        yield ((f"{pad} |", "gutter"),)
        yield from _snippet(labels, lines, gutter)
        yield ((f"{pad} |", "gutter"),)
    for name, text in (("why", diagnostic.why), ("help", diagnostic.help)):
        yield from _remark(pad, name, visible(text))
    yield ((f"{pad} = ", "gutter"), (f"more: flowc explain {diagnostic.code}", "aside"))


def _lines(source: Source, labels: tuple[Label, ...]) -> list[str]:
    """The source lines up to the last one that a label needs: a file may be large, its errors are few."""
    last = max((label.span.end_line for label in labels), default=0)
    return source.text.split("\n", last)[:last] if last else []


def _place(diagnostic: Diagnostic, source: Source) -> str:
    path = diagnostic.path or source.path
    primary = next((label for label in diagnostic.labels if label.primary), None)
    if primary is None or not path:
        return path
    return f"{path}:{primary.span.line}:{primary.span.column}"


def _remark(pad: str, name: str, text: str) -> Iterator[Row]:
    if not text:
        return
    first, *others = text.split("\n")
    yield ((f"{pad} = ", "gutter"), (f"{name}: ", "headline"), (first, ""))
    for other in others:
        yield ((f"{pad}   ", ""), (" " * (len(name) + 2), ""), (other, ""))


def _snippet(labels: list[Label], lines: list[str], gutter: int) -> Iterator[Row]:
    """The source lines with labels, and what the labels say."""
    blocks = _blocks(labels)
    previous = 0
    for number in _wanted(labels, lines):
        if previous and number > previous + 1:
            yield (("..." + " " * max(gutter - 1, 0), "gutter"), *_bars(blocks, previous + 1))
        previous = number
        skipped, text = _excerpt(lines[number - 1], number, labels)
        here = [
            _moved(label, skipped) for label in labels if label.span.line == number == label.span.end_line
        ]
        drawn = line(text)
        start = _window(drawn, here or [block.label for block in blocks if number == block.label.span.line])
        if start or width(drawn.text) > ROOM:
            text = clip(drawn, start, ROOM)
        else:
            text = "…" + drawn.text[1:] if skipped else drawn.text
        yield ((f"{number:>{gutter}} |", "gutter"), *_bars(blocks, number), (f" {text}".rstrip(), ""))
        blank: Piece = (f"{' ' * gutter} |", "gutter")
        for row in underline(drawn, here, start, ROOM):
            yield (blank, *_bars(blocks, number, below=True), (" ", ""), *row)
        ends = [block for block in reversed(blocks) if block.label.span.end_line == number]
        for block in (*ends, *(block for block in blocks if block.label.span.line == number)):
            yield from _edges(block, blocks, number, drawn, blank, start)


def _excerpt(text: str, number: int, labels: list[Label]) -> tuple[int, str]:
    """The part of an enormous line that may be shown, and how many characters stand before it."""
    if len(text) <= 20 * ROOM:
        return 0, text
    columns = [label.span.column for label in labels if label.span.line == number == label.span.end_line]
    skipped = max(0, min(columns, default=1) - 1 - ROOM)
    return skipped, text[skipped : skipped + 4 * ROOM]


def _moved(label: Label, skipped: int) -> Label:
    span = label.span
    moved = Span(span.line, span.column - skipped, span.end_line, span.end_column - skipped)
    return Label(moved, label.text, label.primary) if skipped else label


def _blocks(labels: list[Label]) -> list[_Block]:
    several = [label for label in labels if label.span.end_line > label.span.line]
    several.sort(key=lambda label: (label.span.line, -label.span.end_line))
    return [_Block(label, slot) for slot, label in enumerate(several)]


def _wanted(labels: list[Label], lines: list[str]) -> list[int]:
    """The numbers of the lines to show: those with labels, the ends of long ones, single lines between."""
    numbers: set[int] = set()
    for label in labels:
        first, last = label.span.line, min(label.span.end_line, len(lines))
        numbers |= set(range(first, last + 1)) if last - first < 6 else {first, first + 1, last - 1, last}
    return sorted(numbers | {number + 1 for number in numbers if number + 2 in numbers})


def _bars(blocks: list[_Block], number: int, *, below: bool = False) -> Row:
    """The margin of a row: a bar for each label of several lines that is open here."""
    pieces: list[Piece] = []
    for block in blocks:
        span = block.label.span
        open_here = span.line < number <= span.end_line if not below else span.line < number < span.end_line
        pieces.append((" |" if open_here else "  ", _style(block.label)))
    return tuple(pieces)


def _edges(
    block: _Block, blocks: list[_Block], number: int, drawn: Line, blank: Piece, start: int
) -> Iterator[Row]:
    """The row below a line on which a label of several lines begins or ends."""
    span = block.label.span
    begins = number == span.line
    cell = drawn.cell(span.column) if begins else max(drawn.cell(span.end_column) - 1, 0)
    cell = max(0, min(cell - start, ROOM))
    margin: list[Piece] = []
    for other in blocks:
        if other.slot < block.slot:
            margin += _bars([other], number, below=False)
    style = _style(block.label)
    lead = "  " if begins else " |"
    reach = 2 * (len(blocks) - block.slot - 1) + 1 + cell
    mark = "^" if block.label.primary else "-"
    text = "" if begins else f" {visible(block.label.text)}".rstrip()
    yield (blank, *margin, (f"{lead}{'_' * reach}{mark}{text}", style))


def _window(drawn: Line, labels: list[Label]) -> int:
    """The first cell to show of a line that may be too long."""
    if width(drawn.text) <= ROOM or not labels:
        return 0
    first = min(drawn.cell(label.span.column) for label in labels)
    return 0 if first < ROOM * 2 // 3 else first - ROOM // 3


def _style(label: Label) -> str:
    return "primary" if label.primary else "secondary"
