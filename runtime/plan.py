"""The plan: what the runtime executes. A machine defines its own instruction set, so this file imports
nothing of the compiler.

A plan is a set of functions. A function's body is a region: nodes over numbered slots, each slot written
once. A node starts as soon as its inputs are written and the nodes in `after` have ended; there is no other
order. A nested region runs in a frame of its own, into which captured slots are copied, so frames never
share state.
"""

from collections.abc import Mapping

from attrs import field, frozen

from flowc.runtime.expectations import Expectations
from flowc.runtime.types import Type

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

FORMAT_VERSION = 1


@frozen
class Node:
    """One instruction. docs/plan.md lists each `op` with its inputs, settings and regions.

    `after` holds indexes of nodes of the same region that must end first although no data flows (effect
    order). `rank` is the upward rank: among ready nodes the highest starts first. `line`, `column` are the
    source's.
    """

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    settings: Mapping[str, Json] = field(factory=dict)
    regions: "tuple[Region, ...]" = ()
    after: tuple[int, ...] = ()
    rank: float = 0.0
    line: int = 0
    column: int = 0


@frozen
class Region:
    """A block of nodes over `size` slots.

    `captures` pairs a slot of the enclosing frame with a slot of this one; `parameters` are filled by the
    owner of the region (the element of a map, the carried values of a loop); `constants` are there from the
    start.
    """

    size: int
    parameters: tuple[int, ...]
    captures: tuple[tuple[int, int], ...]
    constants: tuple[tuple[int, Json], ...]
    nodes: tuple[Node, ...]
    results: tuple[int, ...]


@frozen
class Parameter:
    """A parameter of a function or an operation. `default` counts only when `optional`."""

    name: str
    type: Type
    default: Json = None
    optional: bool = False


@frozen
class Limits:
    """What a call or a block may use; None is no limit. Money in US dollars, times in seconds, memory in
    bytes.
    """

    timeout: float | None = None
    money: float | None = None
    tokens: int | None = None
    calls: int | None = None
    memory: int | None = None
    retries: int = 0
    backoff: float = 0.0


@frozen
class Effect:
    """What an operation does to the world; as in the syntax tree, without a span."""

    kind: str
    resource: str | None = None
    idempotent: bool = False
    undo: str | None = None


@frozen
class Operation:
    """A declared llm, tool, human or event: everything a call needs beside its inputs.

    `model` is the alias that flowc.toml resolves; `cached` licenses merging and reuse of equal calls;
    `pruned` are fields of the answer that are not asked for, since nobody reads them;
    `module` and `function` name the Python function behind a tool (a path as written in the program);
    `latency` is how many seconds its calls are said to take in the mean.
    """

    kind: str
    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    effects: tuple[Effect, ...] = ()
    limits: Limits = Limits()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    cached: bool = False
    module: str | None = None
    function: str | None = None
    documentation: str = ""
    line: int = 0
    pruned: tuple[str, ...] = ()
    latency: float | None = None


@frozen
class Function:
    """A flow, compiled. `result` is the type of the one value that `body` yields."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    body: Region
    limits: Limits = Limits()
    effects: tuple[Effect, ...] = ()
    documentation: str = ""
    line: int = 0


@frozen
class Plan:
    """A whole compiled program. Kernel code travels beside it, named by the `kernel` nodes.

    `expectations` are what runs before have shown of its calls, where there were any.
    """

    source: str
    functions: Mapping[str, Function]
    operations: Mapping[str, Operation]
    records: Mapping[str, tuple[tuple[str, Type], ...]]
    enums: Mapping[str, tuple[str, ...]]
    optimisation: int = 2
    expectations: Expectations | None = None
    format_version: int = FORMAT_VERSION
