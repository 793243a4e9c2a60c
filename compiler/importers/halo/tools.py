"""Statements, requests and rules as tools: equal ones of a graph are calls of one tool."""

from collections.abc import Mapping

from attrs import define, field

from flowc.compiler.formatter.literals import block_string
from flowc.compiler.importers.halo import rules, sql
from flowc.compiler.importers.halo.model import Query, Step
from flowc.compiler.importers.halo.naming import Names
from flowc.compiler.importers.halo.templates import Reference, parts
from flowc.compiler.importers.halo.values import Typed, Values, converted

DATABASE, SERVICE = "database", "service"
RULE = "@latency(1ms)\n"
"""A rule waits for nobody."""
_READING = ("GET", "HEAD", "OPTIONS")


@define
class Tools:
    """The declared tools, by what makes two of them one."""

    values: Values
    declared: dict[tuple[object, ...], str] = field(factory=dict)
    texts: list[str] = field(factory=list)

    def query(self, step: Step, query: Query) -> Typed:
        """The call of an SQL statement."""
        text = sql.statement(query.sql)
        given: dict[str, Typed] = {}
        for name in sql.parameters(text):
            node = query.parameters.get(name)
            value = self.values.parameter(step, node) if node is not None else None
            if value is None:
                title = f"the statement `{query.name}` names `:{name}`, which has no value"
                help_ = f"add `{name}` to its `parameters`"
                self.values.wrong("E0667", title, query.span, help=help_)
                continue
            given[name] = converted(value, sql.type_of(query.types.get(name, "")))
        effect = f"{'writes' if sql.writes(text) else 'reads'} {DATABASE}"
        call = self._call((text,), query.name, given, f"list[json] {effect}", sql.laid_out(text))
        return Typed(call, "list[json]")

    def request(self, step: Step) -> Typed:
        """The call of an HTTP step; names in its address are parameters too."""
        given = {
            name: value
            for name, node in step.parameters.items()
            if (value := self.values.parameter(step, node)) is not None
        }
        url, span = (str(step.url.value), step.url.span) if step.url is not None else ("", step.span)
        for part in parts(url, span, self.values.wiring.found):
            if isinstance(part, Reference):
                path = (part.name, *part.fields)
                wired = self.values.wiring.template(step, f"{{{{{'.'.join(path)}}}}}", span)
                given.setdefault(path[-1], self.values.wired(wired, span))
        effect = f"{'reads' if step.method in _READING else 'writes'} {SERVICE}"
        about = f"{step.method} {url}"
        decorator = f"@latency({_duration(step.latency)})\n" if step.latency else ""
        return Typed(
            self._call((about, decorator), step.id, given, f"json {effect}", about, decorator), "json"
        )

    def rule(self, step: Step) -> Typed:
        """The call of a processor."""
        given = {name: self.values.input(step, name) for name in step.inputs}
        fields = rules.fields(step)
        result = self.values.records.add(step.outputs[0], fields) if fields else "json"
        about = rules.described(step)
        return Typed(self._call((step.id,), step.id, given, f"{result} pure", about, RULE), result)

    def _call(
        self,
        same: tuple[object, ...],
        name: str,
        given: Mapping[str, Typed],
        result: str,
        about: str,
        decorator: str = "",
    ) -> str:
        """A call of a tool, which is declared where it is new."""
        own = Names(set())
        names = [own.free(each) for each in given]
        types = tuple(value.type for value in given.values())
        key = (*same, tuple(names), types)
        known = self.declared.get(key)
        if known is None:
            known = self.declared[key] = self.values.names.free(name, "tool")
            signature = ", ".join(f"{each}: {type_}" for each, type_ in zip(names, types, strict=True))
            text = "\n".join(block_string(about, 4))
            self.texts.append(f"{decorator}tool {known}({signature}) -> {result}:\n{text}\n")
        arguments = (f"{each}={value.text}" for each, value in zip(names, given.values(), strict=True))
        return f"{known}({', '.join(arguments)})"


def _duration(seconds: float) -> str:
    """Seconds as the language writes them, to the millisecond."""
    thousandths = max(1, round(seconds * 1e3))
    return f"{thousandths}ms" if thousandths % 1_000 else f"{thousandths // 1_000}s"
