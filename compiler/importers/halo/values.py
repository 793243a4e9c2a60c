"""Values of a graph as expressions of the program."""

from collections.abc import Mapping

from attrs import define, field, frozen

from flowc.compiler.diagnostics.model import Diagnostic, Label
from flowc.compiler.formatter.literals import constant, escape, string
from flowc.compiler.importers.halo.model import Step
from flowc.compiler.importers.halo.naming import Names, Records
from flowc.compiler.importers.halo.wiring import Origin, Wired, Wiring
from flowc.compiler.importers.yaml_nodes import Node
from flowc.compiler.syntax import Constant, Span

_NOWHERE = Span(1, 1, 1, 1)


@frozen
class Typed:
    """An expression and its type."""

    text: str
    type: str


@define
class Values:
    """The values known so far, by the step that makes them and their name there."""

    wiring: Wiring
    names: Names
    records: Records
    known: dict[tuple[str, str], Typed] = field(factory=dict)

    def wrong(self, code: str, title: str, span: Span, why: str = "", help: str = "") -> None:
        """Adds a diagnostic."""
        self.wiring.found.append(Diagnostic(code, title, (Label(span),), why=why, help=help))

    def of(self, origin: Origin, span: Span) -> Typed:
        """The expression of a value; E0667 where it has no such field."""
        found = self.known.get((origin.step, origin.name), Typed('""', "str"))
        return self.inside(found, origin.name, origin.fields, span)

    def inside(self, value: Typed, name: str, fields: tuple[str, ...], span: Span) -> Typed:
        """A field of a value, and so on inwards."""
        for key in fields:
            inner = self.records.at(value.type, key)
            if inner is None:
                has = ", ".join(self.records.keys.get(value.type, {}))
                why = f"it has {has}" if has else f"it is `{value.type}`"
                self.wrong("E0667", f"`{name}` has no field `{key}`", span, why=why)
                return value
            value = Typed(value.text + inner[0], inner[1])
        return value

    def wired(self, wired: Wired, span: Span) -> Typed:
        """What a template comes to: a value, a text, or a text with holes."""
        if len(wired) == 1 and isinstance(wired[0], Origin):
            return self.of(wired[0], span)
        texts = [part for part in wired if isinstance(part, str)]
        if len(texts) == len(wired):
            return Typed(string("".join(texts)), "str")
        pieces = [
            escape(part, '"').replace("{", "{{").replace("}", "}}")
            if isinstance(part, str)
            else f"{{{self.of(part, span).text}}}"
            for part in wired
        ]
        return Typed(f'f"{"".join(pieces)}"', "str")

    def input(self, step: Step, name: str) -> Typed:
        """What a step knows by a name."""
        return self.wired(self.wiring.input(step, name, step.span), step.span)

    def parameter(self, step: Step, node: Node) -> Typed | None:
        """A parameter of a query or request: a template, or a constant; None for null."""
        match node.value:
            case None:
                return None
            case bool(flag):
                return Typed("true" if flag else "false", "bool")
            case str(text):
                return self.wired(self.wiring.template(step, text, node.span), node.span)
            case int(number):
                return Typed(str(number), "int")
            case float(number):
                return Typed(constant(Constant("float", number, span=_NOWHERE)), "float")
        self.wrong("E0666", "a parameter must be a text, a number or a truth value", node.span)
        return None


_CONVERSIONS: Mapping[tuple[str, str], str] = {
    (have, want): want
    for have in ("str", "int", "float", "bool", "json")
    for want in ("str", "int", "float")
    if have != want and (have, want) != ("bool", "float")
}


def converted(value: Typed, want: str | None) -> Typed:
    """A value as an argument of a wanted type; as it is where that is not to be had."""
    if want is not None and (value.type, want) in _CONVERSIONS:
        return Typed(f"{want}({value.text})", want)
    return value
