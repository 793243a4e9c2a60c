"""The world of generated programs: what they declare, and what everything outside answers.

Every call of a tool carries a tag of its own, so that a trace of effects tells which call of the program made
it; where a call is made again, it has the tag of the first. What a `@fusable` llm is asked says all that its
answer depends on, so that it answers the same in a fused call (`oracles.asking`). All answers are plain
functions of the arguments; `falter` fails for some of them, and stands only where that is caught.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from flowc.compiler import syntax as s
from flowc.compiler.parser import parse
from flowc.testing.strategies.trees import placed

MEMBERS = ("calm", "keen", "bored")

ENVIRONMENT = '''
labels low < mid < high

record Item:
    label: str
    size: int

record Parcel:
    item: Item
    notes: untrusted list[str]
    key: secret int
    mark: float?
    kind: Mood

record Badge:
    owner: trusted str
    level: low int

enum Mood: calm, keen, bored

tool twist(tag: int, x: int) -> int pure
tool again(tag: int, x: int) -> int reads web
tool fetch(tag: int, x: int) -> int reads web
tool peek(tag: int) -> int reads store
tool keep(tag: int, x: int) -> int writes store
tool note(tag: int, text: str) -> none writes log idempotent
tool spell(tag: int, x: int) -> str pure
tool scale(tag: int, x: int, by: int = 3) -> int pure
tool unbook(tag: int, result: int) -> none writes ledger
tool book(tag: int, x: int) -> int writes ledger undo unbook
tool unpin(tag: int) -> none writes board idempotent

@timeout(1h)
tool pin(tag: int, x: int) -> int writes board idempotent undo unpin

@cached
@latency(1ms)
tool recall(tag: int, x: int) -> int reads web

@retry(1, backoff=1ms)
@budget(calls=1000)
tool falter(tag: int, x: int) -> int reads web

@associative
tool blend(x: int, y: int) -> int pure

tool survey(tag: int, x: int) -> Parcel reads web
tool describe(tag: int, x: int) -> json pure
tool consult(tag: int, x: int) -> high int reads vault reads web
tool confide(tag: int) -> secret str reads vault
tool tell(tag: int, text: trusted str) -> int pure
tool publish(tag: int, text: public str) -> int pure
tool admit(tag: int, x: low int) -> int pure

llm feel(tag: int, text: str) -> Mood:
    """tag: {tag}text: {text}."""

@model("small", temperature=0.5, max_tokens=50)
@retry(1, backoff=1ms)
@timeout(1h)
@budget($100, tokens=100000, calls=1000)
llm rate(tag: int, text: str) -> int:
    """tag: {tag}text: {text}."""

llm judge(tag: int, text: str, unused: int) -> Item:
    """tag: {tag}text: {text}."""

@reorder
llm weigh(tag: int, text: str) -> int:
    """Weigh {text}.

    The tag is {tag}."""

@model("small", temperature=0)
llm sense(tag: int, text: str) -> Mood:
    """tag: {tag}text: {text}."""

@fusable
llm draft(tag: int, text: str) -> str:
    """draft {tag}: {text}."""

@fusable
llm refine(tag: int, text: str) -> str:
    """refine {tag}: {text}."""

@fusable
llm grade(tag: int, text: str) -> int:
    """grade {tag}: {text}."""

@cached
llm quote(tag: int, text: str) -> list[str]:
    """Quote {text} at {tag}: {{as it stands}}"""

llm devise(tag: int, text: str) -> plan[twist, spell]:
    """tag: {tag}text: {text}."""

@timeout(1h)
human allow(tag: int, text: str) -> bool:
    """tag: {tag}text: {text}."""

@timeout(1h)
event arrived(tag: int, text: str) -> bool:
    """tag: {tag}text: {text}."""

@associative
flow join_up(x: int, y: int) -> int:
    return (x + y) % 997

@budget($100, tokens=1000000, calls=10000)
@timeout(1h)
flow looked_up(tag: int, x: int = 4) -> int reads web reads store:
    """What two places say."""
    return fetch(tag, x) + peek(tag)

@retry(1)
@memory(2GB)
flow steady(tag: int, x: int) -> int writes board:
    return pin(tag, x) if x > 0 else 0

flow settled(tag: int, text: str) -> int llm human sleep:
    sleep(1ms)
    return rate(tag, text) if allow(tag, text) else 0

flow checked_over(text: trusted str, x: low int) -> public int:
    return declassify(len(text) + x, "a length says little")
'''
"""What programs declare as far as they use it: records, an enum, labels, callables of each kind of effect."""


@cache
def declarations() -> Mapping[str, s.Declaration]:
    """The declarations of the environment by name; the order of labels is called `labels`."""
    program = placed(parse(ENVIRONMENT.lstrip(), "environment.flow"))
    return {getattr(each, "name", "labels"): each for each in program.declarations}


def _tools() -> dict[str, s.Callable]:
    found = declarations().items()
    return {name: each for name, each in found if isinstance(each, s.Callable) and each.kind == "tool"}


def tools() -> Mapping[str, tuple[str, ...]]:
    """The tools by name, with the names of their parameters."""
    return {name: tuple(each.name for each in tool.parameters) for name, tool in _tools().items()}


@cache
def _writes() -> Mapping[str, s.Effect]:
    effects = ((name, each) for name, tool in _tools().items() for each in tool.effects or ())
    return {name: each for name, each in effects if each.kind == "writes"}


def writes() -> Mapping[str, str]:
    """The resource that each tool writes, of those that write."""
    return {name: each.resource or "" for name, each in _writes().items()}


def idempotent() -> frozenset[str]:
    """The tools whose writes may be made twice."""
    return frozenset(name for name, each in _writes().items() if each.idempotent)


@cache
def cached() -> frozenset[str]:
    """The tools and llms of which an answer holds for all equal calls: those that are kept, or at temperature
    0.
    """
    callables = [each for each in declarations().values() if isinstance(each, s.Callable)]
    return frozenset(each.name for each in callables if any(map(_is_steady, each.decorators)))


def _is_steady(decorator: s.Decorator) -> bool:
    at_zero = [
        isinstance(each.value, s.Constant) and each.value.value == 0
        for each in decorator.arguments
        if each.name == "temperature"
    ]
    return decorator.name == "cached" or any(at_zero)


def undone() -> Mapping[str, str]:
    """What takes back the write of a tool, of those that can be taken back."""
    return {name: each.undo for name, each in _writes().items() if each.undo is not None}


Answer = Callable[[int, int, str], Any]
"""What a tag, a number and a text are answered with; absent ones are 0 and empty."""


def _falter(tag: int, x: int, text: str) -> int:
    if (tag + x) % 3 == 0:
        raise ValueError("falter fails for every third")
    return x + 1


def _parcel(tag: int, x: int, text: str) -> dict[str, Any]:
    item = {"label": f"p{x % 5}", "size": x % 50}
    mark = x / 4 if tag % 2 else None
    return {"item": item, "notes": ["n", f"{tag}"], "key": tag % 7, "mark": mark, "kind": MEMBERS[x % 3]}


def _plan(tag: int, x: int, text: str) -> dict[str, Any]:
    return {"steps": [_step("a", "twist", tag, len(text)), _step("b", "spell", tag, "$a")]}


def _step(id_: str, tool: str, tag: int, x: int | str) -> dict[str, Any]:
    return {"id": id_, "tool": tool, "arguments": {"tag": tag, "x": x}}


ANSWERS: Mapping[str, Answer] = {
    "twist": lambda tag, x, text: (x * 7 + tag) % 101 - 50,
    "again": lambda tag, x, text: (x * 7 + tag) % 101 - 50,
    "fetch": lambda tag, x, text: (x * 3 + tag * 5) % 97,
    "peek": lambda tag, x, text: tag % 13,
    "keep": lambda tag, x, text: x + tag,
    "note": lambda tag, x, text: None,
    "spell": lambda tag, x, text: f"s{(x + tag) % 11}",
    "scale": lambda tag, x, text: (x * 2 + tag) % 31,
    "unbook": lambda tag, x, text: None,
    "book": lambda tag, x, text: (x + tag * 2) % 89,
    "unpin": lambda tag, x, text: None,
    "pin": lambda tag, x, text: (x * 5 + tag) % 23,
    "recall": lambda tag, x, text: (x + tag * 3) % 41,
    "falter": _falter,
    "survey": _parcel,
    "describe": lambda tag, x, text: {"n": x % 100, "words": ["a", f"w{tag % 5}"], "nothing": None},
    "consult": lambda tag, x, text: (x + tag) % 19,
    "confide": lambda tag, x, text: f"key {tag % 17}",
    "tell": lambda tag, x, text: len(text) + tag,
    "publish": lambda tag, x, text: len(text) * 2 + tag,
    "admit": lambda tag, x, text: (x + tag) % 67,
    "feel": lambda tag, x, text: MEMBERS[(len(text) + tag) % 3],
    "rate": lambda tag, x, text: (len(text) * 5 + tag) % 29,
    "judge": lambda tag, x, text: {"label": text[:3], "size": tag},
    "weigh": lambda tag, x, text: (len(text) * 7 + tag) % 37,
    "sense": lambda tag, x, text: MEMBERS[(len(text) * 2 + tag) % 3],
    "draft": lambda tag, x, text: f"{text[:4]}d{tag % 7}",
    "refine": lambda tag, x, text: f"{text[-4:]}r{tag % 5}",
    "grade": lambda tag, x, text: (len(text) * 3 + tag) % 43,
    "quote": lambda tag, x, text: [text[:4], f"q{tag % 9}"],
    "devise": _plan,
    "allow": lambda tag, x, text: (len(text) + tag) % 2 == 0,
    "arrived": lambda tag, x, text: (len(text) + tag) % 3 != 0,
}

"""What each of them is answered with."""


def answer(operation: str, arguments: Mapping[str, Any]) -> Any:
    """What a tool, llm, human or event of a generated program answers; kernels are computed, not answered.

    Raises ValueError where a tool fails.
    """
    if operation == "blend":
        return (arguments["x"] + arguments["y"]) % 997
    return ANSWERS[operation](arguments.get("tag", 0), arguments.get("x", 0), arguments.get("text", ""))


def executed(plan: Any) -> list[Any]:
    """The results of the steps of a plan, one after the other; a step refers to those before it."""
    results: dict[str, Any] = {}
    for step in plan["steps"]:
        given = {key: results.get(str(value)[1:], value) for key, value in step["arguments"].items()}
        results[step["id"]] = answer(step["tool"], given)
    return list(results.values())


def embedded(texts: Sequence[str]) -> Any:
    """A row of four small numbers for each text, f32."""
    rows = [[len(text) % 8, sum(map(ord, text)) % 16 / 4, text.count("s"), 1.0] for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), 4)
