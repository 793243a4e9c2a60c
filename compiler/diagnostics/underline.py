"""The marks and texts below one source line."""

from collections.abc import Iterator

from flowc.compiler.diagnostics.cells import Line
from flowc.compiler.diagnostics.model import Label
from flowc.runtime.visible import visible

Piece = tuple[str, str]


class _Canvas:
    """One row, drawn cell by cell."""

    def __init__(self) -> None:
        self._cells: list[Piece] = []

    def put(self, at: int, text: str, style: str) -> None:
        self._cells += [(" ", "")] * (at + len(text) - len(self._cells))
        self._cells[at : at + len(text)] = [(character, style) for character in text]

    def row(self) -> tuple[Piece, ...]:
        """Neighbours of one style joined."""
        joined: list[Piece] = []
        for character, style in self._cells:
            if joined and joined[-1][1] == style:
                joined[-1] = (joined[-1][0] + character, style)
            else:
                joined.append((character, style))
        return tuple(joined)


def underline(drawn: Line, labels: list[Label], start: int, room: int) -> Iterator[tuple[Piece, ...]]:
    """A row of marks, the last text beside them, the other texts hung below from the right to the left."""
    if not labels:
        return
    placed = sorted(
        ((*_extent(drawn, label, start, room), label) for label in labels),
        key=lambda entry: (entry[0], entry[1]),
    )
    marks = _Canvas()
    for first, last, label in sorted(placed, key=_behind):
        marks.put(first, ("^" if label.primary else "-") * (last - first), _style(label))
    *waiting, (first, last, label) = placed
    beside = label.text and all(end <= first or not other.text for _, end, other in waiting)
    if beside:
        marks.put(max(end for _, end, _ in placed) + 1, visible(label.text), _style(label))
    else:
        waiting = placed
    yield marks.row()
    yield from _hang([entry for entry in waiting if entry[2].text])


def _behind(entry: tuple[int, int, Label]) -> tuple[int, bool]:
    """Draws from the left, so that a mark inside another is seen; where both begin, the primary is."""
    first, _, label = entry
    return first, label.primary


def _hang(waiting: list[tuple[int, int, Label]]) -> Iterator[tuple[Piece, ...]]:
    if waiting:
        yield _stems(waiting).row()
    while waiting:
        first, _, label = waiting.pop()
        canvas = _stems([entry for entry in waiting if entry[0] < first])
        canvas.put(first, visible(label.text), _style(label))
        yield canvas.row()


def _stems(waiting: list[tuple[int, int, Label]]) -> _Canvas:
    canvas = _Canvas()
    for first, _, label in waiting:
        canvas.put(first, "|", _style(label))
    return canvas


def _extent(drawn: Line, label: Label, start: int, room: int) -> tuple[int, int]:
    """First cell and the cell behind the last, inside the window; at least one cell wide."""
    first = min(max(drawn.cell(label.span.column) - start, 0), room)
    last = min(max(drawn.cell(label.span.end_column) - start, first + 1), room + 1)
    return first, max(last, first + 1)


def _style(label: Label) -> str:
    return "primary" if label.primary else "secondary"
