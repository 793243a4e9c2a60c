"""Plans by hand: a few lines a node, slots numbered as they come."""

from collections.abc import Sequence

from attrs import define, field

from flowc.runtime.plan import (
    Effect,
    Function,
    Json,
    Limits,
    Node,
    Operation,
    Parameter,
    Plan,
    Region,
)
from flowc.runtime.types import INT, STR, Type

NO_LIMITS = Limits()


@define
class Builder:
    """A region under construction. Slots of an enclosing builder are captured with `use`."""

    size: int = 0
    parameters: list[int] = field(factory=list)
    captures: list[tuple[int, int]] = field(factory=list)
    constants: list[tuple[int, Json]] = field(factory=list)
    nodes: list[Node] = field(factory=list)

    def slot(self) -> int:
        self.size += 1
        return self.size - 1

    def parameter(self) -> int:
        slot = self.slot()
        self.parameters.append(slot)
        return slot

    def use(self, outer: int) -> int:
        slot = self.slot()
        self.captures.append((outer, slot))
        return slot

    def constant(self, value: Json) -> int:
        slot = self.slot()
        self.constants.append((slot, value))
        return slot

    def node(
        self,
        op: str,
        *inputs: int,
        name: str = "",
        outputs: int = 1,
        regions: Sequence[Region] = (),
        after: Sequence[int] = (),
        rank: float = 0.0,
        line: int = 0,
        **settings: Json,
    ) -> tuple[int, ...]:
        made = tuple(self.slot() for _ in range(outputs))
        name = name or str(settings.get("operation") or settings.get("function") or op)
        self.nodes.append(
            Node(op, name, inputs, made, settings, tuple(regions), tuple(after), rank, line, 1 if line else 0)
        )
        return made

    def one(self, op: str, *inputs: int, **more: object) -> int:
        return self.node(op, *inputs, **more)[0]

    def tool(
        self, tool: str, *inputs: int, after: Sequence[int] = (), rank: float = 0.0, line: int = 0
    ) -> int:
        return self.node("tool", *inputs, operation=tool, after=after, rank=rank, line=line)[0]

    def apply(self, function: str, *inputs: int) -> int:
        return self.node("apply", *inputs, function=function)[0]

    def region(self, *results: int) -> Region:
        return Region(
            self.size,
            tuple(self.parameters),
            tuple(self.captures),
            tuple(self.constants),
            tuple(self.nodes),
            results,
        )


def tool(
    name: str,
    *parameters: Type,
    result: Type = INT,
    effects: Sequence[Effect] = (Effect("pure"),),
    limits: Limits = NO_LIMITS,
) -> Operation:
    """The declaration of a tool."""
    named = tuple(Parameter(f"p{index}", type_) for index, type_ in enumerate(parameters))
    return Operation("tool", name, named, result, tuple(effects), limits)


def llm(
    name: str,
    *,
    result: Type = STR,
    limits: Limits = NO_LIMITS,
    model: str | None = None,
    cached: bool = False,
    max_tokens: int | None = None,
) -> Operation:
    """The declaration of an llm with one parameter."""
    return Operation(
        "llm",
        name,
        (Parameter("question", STR),),
        result,
        (Effect("llm"),),
        limits,
        model,
        None,
        max_tokens,
        cached,
    )


def plan(
    body: Region,
    *parameters: Parameter,
    operations: Sequence[Operation] = (),
    result: Type = INT,
    limits: Limits = NO_LIMITS,
    records: dict[str, tuple[tuple[str, Type], ...]] | None = None,
    enums: dict[str, tuple[str, ...]] | None = None,
    functions: Sequence[Function] = (),
) -> Plan:
    """A plan whose flow `main` has this body."""
    main = Function("main", parameters, result, body, limits)
    return Plan(
        "test.flow",
        {function.name: function for function in (main, *functions)},
        {operation.name: operation for operation in operations},
        records or {},
        enums or {},
    )
