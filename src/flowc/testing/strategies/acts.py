"""Generated statements that call: for what a call does, again, about an answer, or a kernel."""

from functools import cache

from flowc.compiler import syntax as s
from flowc.testing.strategies.expressions import Maker, again, filled
from flowc.testing.strategies.forms import Form, form
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.trees import PLACE, assign, constant, name


@cache
def _acts(writable: frozenset[str]) -> tuple[Form, ...]:
    lines = (
        "sleep(0.0)",
        "note(TAG, STR)",
        "keep(TAG, INT)",
        "book(TAG, INT)",
        "pin(TAG, INT)",
        "sleep(1ms)",
    )
    return tuple(each for each in map(form, lines) if each.writes <= writable)


def act(maker: Maker) -> s.Statement:
    """Something that is done for what it does, perhaps what was done before."""
    acts, done = _acts(maker.writable), maker.said.setdefault("ACT", [])
    chosen = maker.number(0, len(acts) - 1 + 2 * bool(done))
    made = again(maker, done[chosen % len(done)]) if chosen >= len(acts) else None
    if made is None:
        made = filled(maker, acts[chosen % len(acts)], 1)
        done.append(made)
    return s.ExpressionStatement(made, span=PLACE)


def repeat(maker: Maker) -> s.Statement:
    """A call that was made before, made once more, whatever happened in between."""
    holes = [hole for hole, found in maker.said.items() if hole != "ACT" and found]
    if not holes:
        return act(maker)
    hole = maker.pick(holes)
    value = again(maker, maker.pick(maker.said[hole]))
    if value is None:
        return act(maker)
    target = maker.fresh("v")
    maker.variables[target] = TYPES[hole]
    return assign(target, value)


@cache
def _questions() -> tuple[Form, ...]:
    return tuple(map(form, ("refine(TAG, STR)", "draft(TAG, STR)", "grade(TAG, STR)")))


def ask_on(maker: Maker) -> s.Statement:
    """A question about the last text there is: with an answer in it, it belongs to a chain of questions."""
    chosen, target = maker.number(0, 2), maker.fresh("v")
    texts = [*maker.variables.items()]
    last = next((key for key, type_ in reversed(texts) if type_ == TYPES["STR"]), None)
    asked = _questions()[chosen]
    maker.uses |= asked.uses
    value = asked.build(
        lambda hole: maker.next_tag() if hole == "TAG" else constant("a") if last is None else name(last)
    )
    maker.variables[target] = TYPES["INT" if chosen == 2 else "STR"]
    return assign(target, value)


def launch(maker: Maker) -> s.Statement:
    """What a kernel gives."""
    if not maker.launches:
        return act(maker)
    target, value = maker.fresh("v"), maker.pick(maker.launches)(1)
    maker.variables[target] = TYPES["FLOAT"]
    return assign(target, value)
