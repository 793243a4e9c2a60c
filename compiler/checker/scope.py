"""Variables along the flow of control: which are defined, of what type, and what tests have shown about them.

A branch gets a child scope that holds only what the branch changes, so entering and joining branches costs
what they change and not what is in sight.
"""

from collections.abc import Mapping, Sequence

from attrs import Factory, define, evolve, frozen

from flowc.compiler.syntax import Assign, Block, For, If, Span, Statement, Try, While, With
from flowc.runtime.types import Type


@frozen
class Variable:
    """A variable: where it was first defined, and whether it is defined on every path that leads here.

    `other` is a definition of another type in another branch; such a variable cannot be used after the
    branches.
    """

    name: str
    type: Type
    span: Span
    definite: bool = True
    other: "Variable | None" = None
    parameter: bool = False


Narrowed = Mapping[str, Type]
"""Types that tests have shown, by path: `x`, `x.note`."""


@define
class Scope:
    """One branch's view. `alive` is false once every path through it has returned or left the loop."""

    parent: "Scope | None" = None
    variables: dict[str, Variable] = Factory(dict)
    narrowed: dict[str, Narrowed] = Factory(dict)
    alive: bool = True


def child(scope: Scope) -> Scope:
    """A scope inside `scope`."""
    return Scope(scope, alive=scope.alive)


def target_span(targets: tuple[str, ...], span: Span) -> Span:
    """Where the target of an assignment that fills `span` stands; the whole of it when there are several."""
    if len(targets) != 1:
        return span
    return Span(span.line, span.column, span.line, span.column + len(targets[0]))


def lookup(scope: Scope, name: str) -> Variable | None:
    """The variable of that name in sight."""
    inner: Scope | None = scope
    while inner is not None:
        if name in inner.variables:
            return inner.variables[name]
        inner = inner.parent
    return None


def names_in_sight(scope: Scope) -> list[str]:
    """The names of all variables in sight."""
    found: dict[str, None] = {}
    inner: Scope | None = scope
    while inner is not None:
        found.update(dict.fromkeys(inner.variables))
        inner = inner.parent
    return list(found)


def shown(scope: Scope, name: str) -> Narrowed:
    """What tests have shown about a variable and its fields."""
    inner: Scope | None = scope
    while inner is not None:
        if name in inner.narrowed:
            return inner.narrowed[name]
        inner = inner.parent
    return {}


def define_variable(scope: Scope, variable: Variable, narrowed: Type | None = None) -> None:
    """Gives a variable a value; what was shown about the old one is forgotten."""
    scope.variables[variable.name] = variable
    scope.narrowed[variable.name] = {} if narrowed is None else {variable.name: narrowed}


def narrow(scope: Scope, facts: Mapping[str, Type]) -> None:
    """Adds what a test has shown, by path."""
    for path, type_ in facts.items():
        root = path.partition(".")[0]
        scope.narrowed[root] = {**shown(scope, root), path: type_}


def forget(scope: Scope, names: frozenset[str]) -> None:
    """Forgets what was shown about variables that a loop assigns."""
    for name in names:
        if shown(scope, name):
            scope.narrowed[name] = {}


def merge(scope: Scope, branches: Sequence[Scope]) -> None:
    """Continues after branches, one of which has run: `scope` then knows what all living ones agree on."""
    alive = [branch for branch in branches if branch.alive]
    if not alive:
        scope.alive = False
        alive = list(branches)
    changed = dict.fromkeys(name for branch in alive for name in branch.variables)
    for name in changed:
        scope.variables[name] = _joined([lookup(branch, name) for branch in alive])
    for name in dict.fromkeys(name for branch in alive for name in branch.narrowed):
        views = [shown(branch, name) for branch in alive]
        agreed = {path: t for path, t in views[0].items() if all(view.get(path) == t for view in views)}
        if agreed or shown(scope, name):
            scope.narrowed[name] = agreed


def _joined(versions: list[Variable | None]) -> Variable:
    present = [version for version in versions if version is not None]
    first = present[0]
    definite = len(present) == len(versions) and all(version.definite for version in present)
    other = next((each for each in present if each.type != first.type), None) or next(
        (each.other for each in present if each.other is not None), None
    )
    return evolve(first, definite=definite, other=other)


def after_loop(scope: Scope, body: Scope) -> None:
    """Continues after a loop that may not have run at all."""
    for name, variable in body.variables.items():
        if lookup(scope, name) is None:
            scope.variables[name] = evolve(variable, definite=False)
    forget(scope, frozenset(body.variables))


def assigned_names(block: Block, known: dict[int, frozenset[str]]) -> frozenset[str]:
    """The variables that a block assigns, itself or in an inner block; `known` remembers inner blocks."""
    if id(block) not in known:
        known[id(block)] = frozenset(name for statement in block for name in _names(statement, known))
    return known[id(block)]


def _names(statement: Statement, known: dict[int, frozenset[str]]) -> frozenset[str]:
    match statement:
        case Assign(targets=targets):
            return frozenset(targets)
        case If(branches=branches, otherwise=otherwise):
            inner = [assigned_names(body, known) for _, body in branches]
            return frozenset().union(*inner, assigned_names(otherwise, known))
        case For(targets=targets, body=body):
            return assigned_names(body, known) | frozenset(targets)
        case While(body=body) | With(body=body):
            return assigned_names(body, known)
        case Try(body=body, otherwise=otherwise):
            return assigned_names(body, known) | assigned_names(otherwise, known)
    return frozenset()
