"""What must be known of parts of a program before they change places: what they do, whether they may fail."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from flowc.compiler import syntax as s
from flowc.testing.oracles.rewriting import used, walk

Effects = frozenset[tuple[str, str | None]]
"""Kinds of effects and their resources."""

UNKNOWN = ("unknown", None)
"""What somebody else decides: the steps of a plan."""

STEADY = frozenset(
    ("len", "str", "abs", "sign", "float", "upper", "lower", "strip", "startswith", "min", "max", "range")
)
"""Built-in functions that do not fail for what generated programs give them."""


@frozen(eq=False)
class Facts:
    """What is known of the callables of a program. `failing` are tools that may fail."""

    effects: Mapping[str, Effects]
    declared: Mapping[str, s.Callable]
    failing: frozenset[str] = frozenset({"falter"})

    @staticmethod
    def of(program: s.Program) -> "Facts":
        """Reads the declarations; flows do what their bodies do."""
        declared = {each.name: each for each in program.declarations if isinstance(each, s.Callable)}
        known: dict[str, Effects] = {
            "sleep": frozenset({("sleep", None)}),
            "embed": frozenset({("llm", None)}),
            "execute": frozenset({UNKNOWN}),
        }
        facts = Facts(known, declared)
        for name, each in declared.items():
            if each.kind != "flow":
                known[name] = _declared(each)
        for name in declared:
            facts._learn(name, known)
        return facts

    def _learn(self, name: str, known: dict[str, Effects]) -> None:
        if name not in known:
            called = {each for each in used(self.declared[name].body) if each in self.declared} - {name}
            for each in called:
                self._learn(each, known)
            known[name] = self.of_node(self.declared[name].body)

    def of_node(self, node: Any) -> Effects:
        """The effects of all that is called inside."""
        return frozenset(effect for name in used(node) for effect in self.effects.get(name, ()))

    def writes(self, node: Any) -> bool:
        """Whether something outside changes, or somebody is asked."""
        return any(kind in ("writes", "human", "unknown") for kind, _ in self.of_node(node))

    def apart(self, one: Any, other: Any) -> bool:
        """Whether two parts may change places: neither writes what the other reads or writes, nor does one
        write and the other fail.
        """
        mine, theirs = self.of_node(one), self.of_node(other)
        if UNKNOWN in mine | theirs or _clash(mine, theirs) or _clash(theirs, mine):
            return False
        return (self.steady(other) or not self.writes(one)) and (self.steady(one) or not self.writes(other))

    def steady(self, node: Any) -> bool:
        """Whether it surely does not fail."""
        return all(self._one_is_steady(each) for each in walk(node))

    def _one_is_steady(self, node: Any) -> bool:
        match node:
            case s.Call(function=s.Name(id=name)):
                if name in self.declared and self.declared[name].kind != "flow":
                    return name not in self.failing and not self.declared[name].decorators
                return name in STEADY
            case s.Binary(operator=operator, right=right):
                safe = operator in ("+", "-", "and", "or")
                return safe or (isinstance(right, s.Constant) and operator in "*//%" and right.value != 0)
            case s.Subscript(indices=indices):
                return all(isinstance(each, s.Slice) for each in indices)
            case s.Call() | s.With() | s.While() | s.Try() | s.TryElse() | s.Attribute():
                return False
        return True


def _declared(each: s.Callable) -> Effects:
    if each.kind in ("llm", "human", "event"):
        return frozenset({("llm" if each.kind == "llm" else "human", None)})
    found = {(effect.kind, effect.resource) for effect in each.effects or ()} - {("pure", None)}
    return frozenset(found)


def _clash(one: Effects, other: Effects) -> bool:
    return any(
        kind == "writes" and (beside, resource) in other
        for kind, resource in one
        for beside in ("reads", "writes")
    )
