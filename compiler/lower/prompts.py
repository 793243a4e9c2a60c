"""Prompts and templates: text with holes that hold typed expressions."""

from xdsl.ir import SSAValue

from flowc.compiler.lower.frame import Frame
from flowc.compiler.syntax import Attribute, Expression, Name, Subscript, Template
from flowc.dialects.agent.calls import PromptOp
from flowc.dialects.flow.attributes import Json
from flowc.dialects.flow.compute import ApplyOp
from flowc.dialects.flow.types import StrType


def prompt(frame: Frame, template: Template) -> SSAValue:
    """A prompt whose holes are computed here."""
    segments: list[Json] = []
    values: list[SSAValue] = []
    for part in template.parts:
        if isinstance(part, str):
            segments.append(part)
        else:
            values.append(frame.value(part.expression))
            segments.append({"hole": hole_name(part.expression, len(values))})
    return frame.emit(PromptOp(segments, values))


def hole_name(expression: Expression, position: int) -> str:
    """What a hole is called: the variable or field it shows, else its position."""
    match expression:
        case Name(id=name):
            return name
        case Attribute(value, name):
            return f"{hole_name(value, position)}.{name}"
        case Subscript(value, _):
            return hole_name(value, position)
    return f"value{position}"


def text(frame: Frame, template: Template) -> SSAValue:
    """An f-string: the pieces as text, joined."""
    pieces = [_piece(frame, part) for part in _expressions(template)]
    if not pieces:
        return frame.constant("", StrType())
    return (
        pieces[0]
        if len(pieces) == 1
        else frame.emit(ApplyOp(frame.text_function("format"), pieces, StrType()))
    )


def _expressions(template: Template) -> list[str | Expression]:
    return [part if isinstance(part, str) else part.expression for part in template.parts]


def _piece(frame: Frame, part: str | Expression) -> SSAValue:
    if isinstance(part, str):
        return frame.constant(part, StrType())
    value = frame.value(part)
    if isinstance(value.type, StrType):
        return value
    return frame.emit(ApplyOp(frame.text_function("str"), [value], StrType()))
