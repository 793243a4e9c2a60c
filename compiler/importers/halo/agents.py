"""Inference steps as llms: the prompt, its inputs behind it, and the type of the answer."""

from collections.abc import Mapping

from attrs import define, field

from flowc.compiler.formatter.literals import prompt, string
from flowc.compiler.importers.halo.answers import Answer, Fields, read_answer, said
from flowc.compiler.importers.halo.model import Step
from flowc.compiler.importers.halo.naming import Names
from flowc.compiler.importers.halo.templates import parts
from flowc.compiler.importers.halo.values import Typed, Values
from flowc.compiler.syntax import Hole, Name, Span, Template

_NOWHERE = Span(1, 1, 1, 1)
_MISSING = "str"


@define
class Agents:
    """The declared llms. `aliases` gives each model the name that flowc.toml explains."""

    values: Values
    aliases: Mapping[str, str]
    texts: list[str] = field(factory=list)

    def call(self, step: Step) -> dict[str, Typed]:
        """Declares the llm of a step and gives its outputs as fields of, or as, the call itself."""
        answer = read_answer(str(step.prompt.value) if step.prompt is not None else "")
        given = {name: self.values.input(step, name) for name in step.inputs}
        given |= {query.name: self.values.known[step.id, query.name] for query in step.queries}
        result, fields = self._result(step, answer)
        written = self._prompt(step, answer, given)
        name = self.values.names.free(step.id, "agent")
        own = Names(set())
        signature = ", ".join(f"{own.free(each)}: {value.type}" for each, value in given.items())
        settings = [string(self.aliases[step.model])] if step.model else []
        settings += [] if step.temperature is None else [f"temperature={step.temperature:g}"]
        settings += [] if step.max_tokens is None else [f"max_tokens={step.max_tokens}"]
        decorator = f"@model({', '.join(settings)})\n" if step.model else ""
        self.texts.append(f"{decorator}llm {name}({signature}) -> {result}:\n{written}\n")
        call = f"{name}({', '.join(value.text for value in given.values())})"
        return {output: Typed(call + path, type_) for output, (path, type_) in fields.items()}

    def _result(self, step: Step, answer: Answer) -> tuple[str, dict[str, tuple[str, str]]]:
        """The result type, and for each output where it stands in the result."""
        shape = answer.shape
        if len(step.outputs) == 1 and (shape is None or len(shape.fields) == 1):
            inner = shape.fields[0][1] if shape is not None else None
            type_ = _MISSING if inner is None else self.values.records.type_of(inner, step.outputs[0])
            return type_, {step.outputs[0]: ("", type_)}
        types: dict[str, str] = {}
        for key, each in (shape or Fields(())).fields:
            types[key] = self.values.records.type_of(each, f"{step.id}_{key}")
        for output in step.outputs:
            types.setdefault(output, _MISSING)
        record = self.values.records.add(step.id, types)
        found = {output: self.values.records.at(record, output) for output in step.outputs}
        return record, {output: each for output, each in found.items() if each is not None}

    def _prompt(self, step: Step, answer: Answer, given: dict[str, Typed]) -> str:
        """The prompt as text. What it does not mention stands behind it, by name; `given` gains what it
        mentions beside the inputs.
        """
        span = step.prompt.span if step.prompt is not None else step.span
        own = Names(set())
        names = {name: own.free(name) for name in given}
        pieces: list[str | Hole] = []
        mentioned: set[str] = set()
        for part in parts(answer.prompt, span, self.values.wiring.found):
            if isinstance(part, str):
                pieces.append(part)
                continue
            if part.name not in given:
                given[part.name] = self.values.input(step, part.name)
                names[part.name] = own.free(part.name)
            if not part.fields:
                mentioned.add(part.name)
            whole = Typed(names[part.name], given[part.name].type)
            pieces.append(_hole(self.values.inside(whole, part.name, part.fields, span).text))
        words = [f"{name} ({about})" for name, about in said(answer.shape)] if answer.shape else []
        if words:
            _add(pieces, f"\n\nGive {', '.join(words)}.")
        gap = "\n\n"
        for name in given:
            if name not in mentioned:
                _add(pieces, f"{gap}{name}: ")
                pieces.append(_hole(names[name]))
                gap = "\n"
        return "\n".join(
            prompt(Template(tuple(pieces), span=_NOWHERE), 4, lambda node: getattr(node, "id", ""))
        )


def _hole(text: str) -> Hole:
    return Hole(Name(text, span=_NOWHERE), span=_NOWHERE)


def _add(pieces: list[str | Hole], text: str) -> None:
    """Text behind what is there: two texts never stand side by side."""
    last = pieces[-1] if pieces else None
    if isinstance(last, str):
        pieces[-1] = last + text
    else:
        pieces.append(text if pieces else text.lstrip("\n"))
