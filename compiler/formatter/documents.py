"""Text that may be broken inside its brackets.

A document is a sequence of texts and brackets. A bracket stays on its line when it fits, together with what
follows up to the next bracket; else its items go on lines of their own. This is Wadler's "A prettier printer"
with one kind of group.
"""

from attrs import field, frozen

WIDTH = 100
STEP = 4


@frozen
class Bracket:
    """`opening item, item closing`. A `silent` one shows its brackets only when broken."""

    opening: str
    items: "tuple[Document, ...]"
    closing: str
    comma: bool = True
    silent: bool = False
    flat: str = field(init=False, eq=False)

    @flat.default
    def _(self) -> str:
        inner = (", " if self.comma else " ").join(flat(item) for item in self.items)
        return inner if self.silent else f"{self.opening}{inner}{self.closing}"


Document = tuple[str | Bracket, ...]


def flat(document: Document) -> str:
    """The document on one line."""
    return "".join(part if isinstance(part, str) else part.flat for part in document)


def lines(document: Document, indent: int) -> list[str]:
    """The document as lines, the first one indented too."""
    done = [" " * indent]
    _write(document, indent, 0, done)
    return "\n".join(done).split("\n")


def _write(document: Document, indent: int, behind: int, done: list[str]) -> None:
    """Appends to the last line of `done`; `behind` cells follow the document on its last line."""
    for index, part in enumerate(document):
        if isinstance(part, str):
            done[-1] += part
        elif (
            not part.items
            or len(done[-1]) + _first(part.flat) + _until_break(document, index + 1, behind) <= WIDTH
        ):
            done[-1] += part.flat
        else:
            _break(part, indent, done)


def _first(text: str) -> int:
    """The width of a text's first line: a string of several lines stands as it is."""
    end = text.find("\n")
    return len(text) if end < 0 else end


def _until_break(document: Document, start: int, behind: int) -> int:
    """The width of what follows a bracket up to the next place where the line may break."""
    total = 0
    for part in document[start:]:
        if not isinstance(part, str):
            return total + len(part.opening)
        total += _first(part)
    return total + behind


def _break(bracket: Bracket, indent: int, done: list[str]) -> None:
    done[-1] += bracket.opening
    for item in bracket.items:
        done.append(" " * (indent + STEP))
        _write(item, indent + STEP, int(bracket.comma), done)
        if bracket.comma:
            done[-1] += ","
    done.append(" " * indent + bracket.closing)
