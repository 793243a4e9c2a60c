"""Plans for tests: valid ones over all kinds of nodes, as the compiler could make them."""

from collections.abc import Sequence

from attrs import define, field

from flowc.runtime import types
from flowc.runtime.plan import Effect, Function, Json, Limits, Node, Operation, Parameter, Plan, Region
from flowc.runtime.plan_check import BATCHED, REGIONS
from flowc.testing.strategies.choices import Choices

CONSTANTS: tuple[Json, ...] = (
    None, True, 0, -1, 10**30, 0.5, -0.0, 1e300, "", "größe", "a\x00\u202e", [], [1, ["x"]], {},
    {"k": {"": None}}, {"$bytes": "YWI="},
)  # fmt: skip
NAMES = ("main", "ask", "look", "größe", "x y", "")
MACHINES = (None, "small", "größe")


def drawn_plan(choices: Choices, holding: str | None = None) -> Plan:
    """A plan that `check_plan` accepts; `holding` is a kind of node that it has."""
    operations = {f"{kind}{n}": _operation(choices, kind, f"{kind}{n}") for n in range(2) for kind in KINDS}
    functions: dict[str, Function] = {}
    for number in range(choices.number(1, 3)):
        name = f"{choices.one(NAMES)}{number}"
        functions[name] = _function(choices, name, operations, tuple(functions), holding)
        holding = None
    return Plan(
        source=choices.one(NAMES),
        functions=functions,
        operations=operations,
        records={"Item": tuple((name, any_type(choices)) for name in NAMES[: choices.number(0, 3)])},
        enums={"Mood": tuple(NAMES[: choices.number(0, 3)])},
        optimisation=choices.number(0, 3),
    )


KINDS = ("llm", "tool", "human")
CALLERS = {"generate": "llm", "tool": "tool", "human": "human"}
"""The kinds of nodes that call an operation, with its kind."""


def any_type(c: Choices, depth: int = 2) -> types.Type:
    """A type of values."""
    if depth and c.flag():
        inner = any_type(c, depth - 1)
        pair = types.Tuple((inner, types.INT), c.one([(), ("values", "indices")]))
        holders: list[types.Type] = [types.List(inner), types.Dict(inner), types.Optional(inner), pair]
        return c.one(holders)
    array = types.Array(c.one(types.NUMERIC), tuple(c.several([3, "n", "", 0], 0, 3)))
    words = ("str", "int", "float", "bool", "bytes", "none", "json", "f32")
    plain: list[types.Type] = [types.Scalar(name) for name in words]
    return c.one([*plain, array, types.Record("Item"), types.Enum("Mood"), types.PlanOf(("tool0",))])


def _parameters(c: Choices, count: int) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(f"p{n}", any_type(c), c.one(CONSTANTS), True)
        if c.flag()
        else Parameter(f"p{n}", any_type(c))
        for n in range(count)
    )


def _limits(c: Choices) -> Limits:
    return Limits(
        timeout=c.one([None, 0.0, 1e-9, 30.0]),
        money=c.one([None, 0.02]),
        tokens=c.one([None, 0, 10**12]),
        calls=c.one([None, 7]),
        memory=c.one([None, 2**40]),
        retries=c.number(0, 3),
        backoff=c.one([0.0, 0.25]),
    )


def _effects(c: Choices) -> tuple[Effect, ...]:
    return tuple(
        c.several(
            [
                Effect("pure"),
                Effect("llm"),
                Effect("reads", "web"),
                Effect("writes", "mail", True, "unsend"),
                Effect("writes", "log"),
            ],
            0,
            2,
        )
    )


def _operation(c: Choices, kind: str, name: str) -> Operation:
    return Operation(
        kind,
        name,
        _parameters(c, c.number(0, 2)),
        any_type(c),
        _effects(c),
        _limits(c),
        model=c.one(MACHINES),
        temperature=c.one([None, 0.0, 1.5]),
        max_tokens=c.one([None, 100]),
        cached=c.flag(),
        module=c.one([None, "tools.py"]),
        function=c.one([None, "search"]),
        documentation=c.one(NAMES),
        line=c.number(0, 99),
        pruned=tuple(c.several(NAMES, 0, 2)),
        latency=c.one([None, 0.5]),
    )


def _function(
    c: Choices, name: str, operations: dict[str, Operation], callees: tuple[str, ...], holding: str | None
) -> Function:
    count = c.number(0, 2)
    making = _Making(c, callees, operations)
    body = making.region(None, count, 1, holding=holding)
    return Function(
        name, _parameters(c, count), any_type(c), body, _limits(c), _effects(c), "", c.number(0, 9)
    )


@define
class _Frame:
    """A region in the making: `there` are slots that are written so far."""

    parameters: list[int] = field(factory=list)
    captures: list[tuple[int, int]] = field(factory=list)
    constants: list[tuple[int, Json]] = field(factory=list)
    nodes: list[Node] = field(factory=list)
    there: list[int] = field(factory=list)
    size: int = 0

    def hidden(self) -> int:
        """Another slot, that nothing drawn reads."""
        self.size += 1
        return self.size - 1

    def slot(self) -> int:
        """Another slot, written from now on."""
        self.there.append(self.hidden())
        return self.there[-1]


@define
class _Making:
    """Regions in the making. `left` bounds the nodes of all of them, `only` says of which kinds they are."""

    c: Choices
    callees: tuple[str, ...]
    operations: dict[str, Operation]
    left: int = 20
    only: Sequence[str] = tuple(REGIONS)

    def region(
        self,
        outer: _Frame | None,
        parameters: int,
        results: int,
        *,
        holding: str | None = None,
    ) -> Region:
        """A region of a few nodes, one of them of the kind `holding`."""
        frame = _Frame()
        frame.parameters = [frame.slot() for _ in range(parameters)]
        for source in self.c.several(outer.there, 0, 2) if outer is not None and outer.there else ():
            frame.captures.append((source, frame.slot()))
        for _ in range(self.c.number(0 if frame.there else 1, 2)):
            frame.constants.append((frame.slot(), self.c.one(CONSTANTS)))
        for kind in ([holding] if holding else []) + self.c.several(self.only, 0, 3):
            if self.left > 0 or kind == holding:
                self.left -= 1
                self._node(frame, kind)
        found = [self.c.one(frame.there) for _ in range(results)]
        return Region(
            frame.size,
            tuple(frame.parameters),
            tuple(frame.captures),
            tuple(frame.constants),
            tuple(frame.nodes),
            tuple(found),
        )

    def _node(self, frame: _Frame, kind: str) -> None:
        if kind == "call" and not self.callees:
            return
        inputs = self.c.several(frame.there, int(kind == "generate_batch"), 2)
        if kind in ("if", "speculate"):
            self._branch(frame, inputs, started=kind == "speculate")
            return
        settings = self._settings(kind)
        as_many = kind in ("for", "while", "race", "attempt", "limit", "transaction")
        regions = self._regions(frame, kind, len(inputs), settings)
        outputs = [frame.slot() for _ in range(len(inputs) if as_many else 1)]
        self._add(frame, kind, inputs, outputs, settings, regions)

    def _branch(self, frame: _Frame, inputs: Sequence[int], *, started: bool) -> None:
        """An `if`; what begins early for it is read by nothing else."""
        test, count = self.c.one(frame.there), self.c.number(0, 2)
        regions = tuple(self.region(frame, 0, count) for _ in range(2))
        handle = [frame.hidden()] if started else []
        if started:
            self._add(frame, "speculate", inputs, handle, {"others": []}, ())
        early: dict[str, Json] = {"early": [[], []]} if started else {}
        self._add(frame, "if", [test, *handle], [frame.slot() for _ in range(count)], early, regions)

    def _regions(
        self, frame: _Frame, kind: str, inputs: int, settings: dict[str, Json]
    ) -> tuple[Region, ...]:
        """The regions of a node, with as many parameters and results as its kind has."""
        kept = 2 if settings.get("filtered") else 1
        match kind:
            case "map":
                return (self.region(frame, max(inputs, 1), kept),)
            case "generate_batch":
                outer, self.only = self.only, BATCHED
                asking = self.region(frame, inputs, kept, holding="generate")
                self.only = outer
                return (asking,)
            case "vote":
                return (self.region(frame, 1, 1),)
            case "for":
                return (self.region(frame, inputs, inputs),)
            case "while":
                return self.region(frame, inputs, 1), self.region(frame, inputs, inputs)
        wanted = REGIONS[kind]
        count = self.c.number(1, 3) if wanted is None else wanted
        return tuple(self.region(frame, 0, inputs) for _ in range(count))

    def _settings(self, kind: str) -> dict[str, Json]:
        settings: dict[str, Json] = {}
        if kind in CALLERS:
            name = f"{CALLERS[kind]}{self.c.number(0, 1)}"
            settings = {"operation": name}
            operation = self.operations[name]
            if kind == "generate":
                settings |= {"segments": ["Why ", {"input": 0, "name": "x"}]}
                settings |= {"stream": True} if self.c.flag() else {}
                settings |= {"share": "batch"} if operation.cached and self.c.flag() else {}
        elif kind == "call":
            settings = {"function": self.c.one(self.callees)}
        elif kind == "record":
            settings = {"record": "Item"}
        elif kind in ("map", "generate_batch"):
            settings = {"width": self.c.number(1, 64)}
            settings |= {"filtered": True} if self.c.flag() else {}
        elif kind in ("apply", "embed", "kernel"):
            settings = {"function": "add", "odd": self.c.one(CONSTANTS)}
            settings |= {"ahead": True} if self.c.flag() else {}
        return settings

    def _add(
        self,
        frame: _Frame,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        settings: dict[str, Json],
        regions: tuple[Region, ...],
    ) -> None:
        earlier = self.c.several(range(len(frame.nodes)), 0, 2) if frame.nodes else []
        node = Node(
            kind,
            self.c.one(NAMES),
            tuple(inputs),
            tuple(outputs),
            settings,
            regions,
            tuple(sorted({*earlier})),
            self.c.one([0.0, 1.5, 1e-300]),
            self.c.number(0, 99),
            self.c.number(0, 9),
        )
        frame.nodes.append(node)
